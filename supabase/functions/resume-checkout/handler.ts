/**
 * The link in a mail back to an unpaid order: to its open payment page, to a new one when the last has expired or
 * failed, or to the success page when it has been paid meanwhile. It is opened by a person, so a refusal is a
 * short page to read; programs that ask for JSON get the usual error body.
 */
import { takeAddressLimit } from "../_shared/limits/address_limit.ts";
import { keyKind } from "../_shared/auth/caller.ts";
import { type Deadline, startDeadline } from "../_shared/checkout/deadline.ts";
import {
  checkoutDurations,
  openSession,
  type OpenSessionDeps,
  velocityExceeded,
} from "../_shared/checkout/open_session.ts";
import { readResumeToken } from "../_shared/checkout/resume_link.ts";
import { cancelUrl, successUrl, successUrlFor } from "../_shared/checkout/return_urls.ts";
import { expireSuperseded, overdueSession } from "../_shared/checkout/supersede.ts";
import { shopperAddress } from "../_shared/http/client_ip.ts";
import { AppError } from "../_shared/errors.ts";
import { respond } from "../_shared/http/endpoint.ts";
import type { RateLimiter } from "../_shared/limits/rate_limit.ts";
import type { Checkout, Rpc } from "../_shared/database/rpc.ts";
import { checkoutSessionFacts } from "../_shared/stripe_events/checkout_session.ts";
import { readable } from "./refusal_page.ts";

export interface Deps extends Omit<OpenSessionDeps, "rpc"> {
  /** The database under a deadline. */
  rpcWithin: (limitMs: () => number) => OpenSessionDeps["rpc"] & Pick<Rpc, "resumeCheckout">;
  limiter: RateLimiter;
}

type BoundDeps = Omit<Deps, "rpcWithin"> & { rpc: ReturnType<Deps["rpcWithin"]> };

/** Answers `GET ?token=…`. */
export async function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = { methods: ["GET"] as const, allowedOrigins: deps.env.allowedOrigins, log: deps.log };
  const answer = await respond(request, endpoint, async ({ log }) => {
    const token = new URL(request.url).searchParams.get("token");
    const orderId = await readResumeToken(token, deps.env, deps.now());
    const deadline = startDeadline(deps.now);
    const bySecretKey = await keyKind(request, deps.env) === "secret";
    const address = shopperAddress(request.headers, bySecretKey);
    await takeAddressLimit("resume", address, deps);
    const bound = { ...deps, rpc: deps.rpcWithin(deadline.databaseMs), log };
    return redirect(await destination(orderId, address, bound, deadline));
  });
  return await readable(request, answer, deps.env.siteUrl);
}

async function destination(
  orderId: string,
  address: string | null,
  deps: BoundDeps,
  deadline: Deadline,
): Promise<string> {
  const urls = { success: successUrl(null, deps.env), cancel: cancelUrl(null, deps.env) };
  const resume = (supersede = true) =>
    deps.rpc.resumeCheckout({
      p_order_id: orderId,
      ...checkoutDurations(deps.env),
      p_velocity_mode: deps.env.velocityMode,
      p_client_ip: address,
      p_supersede: supersede,
    });
  let resumed = await resume();
  if ("session" in resumed && await hasEnded(resumed.session, deps, deadline)) resumed = await resume();
  if (resumed.outcome === "superseded") {
    await expireSuperseded(resumed.session_ids, deps, deadline);
    resumed = await resume(false);
  }
  switch (resumed.outcome) {
    case "velocity_exceeded":
      throw velocityExceeded(resumed);
    case "superseded":
      throw new AppError("internal_error", { cause: new Error("superseded twice") });
    case "paid":
      return successUrlFor(resumed.session_id, urls.success);
    case "cancelled":
      throw new AppError("conflict", { message: "This order has been cancelled." });
    default: {
      const { session } = resumed;
      if (session?.status === "open" && session.url !== null) return session.url;
      return (await openSession(resumed, urls, deps, deadline)).session.url;
    }
  }
}

/**
 * Whether a session that we think open is over by now, settled then as Stripe says: its event may not have come yet,
 * and its page would be a dead end. While Stripe cannot be asked, what the database knows is the answer.
 */
async function hasEnded(session: Checkout["session"], deps: BoundDeps, deadline: Deadline): Promise<boolean> {
  const overdue = overdueSession(session, deps.now());
  if (overdue !== null) {
    await expireSuperseded([overdue], deps, deadline);
    return true;
  }
  if (session?.status !== "open") return false;
  const observedAt = new Date(deps.now());
  try {
    const now = await deps.stripe.retrieveSession(session.id, deadline.stripeMs());
    if (now.status === "open") return false;
    await deps.rpc.applyStripeFacts(checkoutSessionFacts(now), "checkout", observedAt);
    return true;
  } catch (error) {
    deps.log.warn("session_not_asked", { session_id: session.id, error });
    return false;
  }
}

function redirect(location: string): Response {
  return new Response(null, { status: 303, headers: { location, "referrer-policy": "no-referrer" } });
}
