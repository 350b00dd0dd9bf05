/**
 * The way back to an unpaid order, by the link in a mail. Mail scanners and previews open links as well, so a `GET`
 * only looks: it leads to the payment page that is still open, to the success page, or to the shop's own page, which
 * offers to go on. `POST` is the shopper who takes up the offer. A link is opened by a person, so a refusal is a short
 * text to read; programs that ask for JSON get the usual error body.
 */
import * as z from "zod/mini";
import { takeAddressLimit } from "../_shared/limits/address_limit.ts";
import type { resumeAnswer } from "../_shared/http/answers.ts";
import { keyKind } from "../_shared/auth/caller.ts";
import type { DatabaseDeadline } from "../_shared/checkout/calls.ts";
import { type Deadline, startDeadline } from "../_shared/checkout/deadline.ts";
import {
  checkoutDurations,
  openSession,
  type OpenSessionDeps,
  velocityExceeded,
} from "../_shared/checkout/open_session.ts";
import { readResumeToken } from "../_shared/checkout/resume_link.ts";
import { doneUrlOf, pageOfLink, resumeUrl } from "../_shared/checkout/return_urls.ts";
import { enterCheckout } from "../_shared/checkout/supersede.ts";
import { shopperAddress } from "../_shared/http/client_ip.ts";
import { AppError } from "../_shared/errors.ts";
import { json, readJson, respond } from "../_shared/http/endpoint.ts";
import type { RateLimiter } from "../_shared/limits/rate_limit.ts";
import type { Checkout, CheckoutCalls, EndedCheckout } from "../_shared/database/checkout.ts";
import { observe } from "../_shared/database/readings.ts";
import { checkoutSessionFacts } from "../_shared/stripe_events/checkout_session.ts";
import { validBody } from "../_shared/http/valid_body.ts";
import { readable } from "../_shared/http/refusal_page.ts";

export interface Deps extends Omit<OpenSessionDeps, "rpc"> {
  /** The database under a deadline. */
  rpcWithin: (
    deadline: DatabaseDeadline,
  ) => OpenSessionDeps["rpc"] & Pick<CheckoutCalls, "findOpenCheckout" | "resumeCheckout">;
  limiter: RateLimiter;
}

type BoundDeps = Omit<Deps, "rpcWithin"> & { rpc: ReturnType<Deps["rpcWithin"]> };

/** The body of `POST`; `docs/openapi.json` is generated from it. */
export const resumeSchema = z.strictObject({ token: z.string().check(z.minLength(1), z.maxLength(200)) });
const bodyLimitBytes = 4 * 1024;

/** Answers `GET ?token=…` with 303 and changes nothing; answers `POST { token }` with `{ url }`. */
export async function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = {
    methods: ["GET", "POST"] as const,
    allowedOrigins: deps.env.allowedOrigins,
    log: deps.log,
  };
  const answer = await respond(request, endpoint, async (context) => {
    const token = await tokenOf(request);
    const orderId = await readResumeToken(token, deps.env, deps.now());
    const log = context.concerns(orderId);
    const deadline = startDeadline(deps.now);
    const bySecretKey = await keyKind(request, deps.env) === "secret";
    const address = shopperAddress(request.headers, bySecretKey);
    await takeAddressLimit("resume", address, deps);
    const bound = { ...deps, rpc: deps.rpcWithin(deadline), log };
    if (request.method !== "POST") return redirect(await look(orderId, token, bound, deadline));
    const answer: z.infer<typeof resumeAnswer> = { url: await reopen(orderId, address, bound, deadline) };
    return json(answer);
  });
  return await readable(request, answer, deps.env.siteUrl);
}

async function tokenOf(request: Request): Promise<string> {
  return request.method === "POST"
    ? validBody(resumeSchema, await readJson(request, bodyLimitBytes)).token
    : new URL(request.url).searchParams.get("token") ?? "";
}

/** Where a link leads as things are. */
async function look(orderId: string, token: string, deps: BoundDeps, deadline: Deadline): Promise<string> {
  const found = await deps.rpc.findOpenCheckout(orderId, deps.env.livemode);
  if (found.outcome !== "unpaid") return endOf(found, deps);
  if (found.session === null) return resumeUrl(token, deps.env);
  const { id, url } = found.session;
  const session = await askStripe(id, deps, deadline);
  // Paid a moment ago: the success page settles it, should the event still be on its way.
  if (session?.status === "complete") return endOf({ outcome: "paid", session_id: id }, deps);
  return session?.status === "expired" ? resumeUrl(token, deps.env) : url;
}

async function reopen(
  orderId: string,
  address: string | null,
  deps: BoundDeps,
  deadline: Deadline,
): Promise<string> {
  const resume = () =>
    enterCheckout(
      (supersede) =>
        deps.rpc.resumeCheckout({
          p_order_id: orderId,
          ...checkoutDurations(deps.env),
          p_velocity_mode: deps.env.velocityMode,
          p_client_ip: address,
          p_supersede: supersede,
          p_livemode: deps.env.livemode,
        }),
      deps,
      deadline,
    );
  let resumed = await resume();
  if ("session" in resumed && await hasEnded(resumed.session, deps, deadline)) resumed = await resume();
  switch (resumed.outcome) {
    case "velocity_exceeded":
      throw velocityExceeded(resumed);
    case "paid":
    case "cancelled":
      return endOf(resumed, deps);
    default: {
      const { session } = resumed;
      if (session?.status === "open" && session.url !== null) return session.url;
      const opened = await openSession(resumed, pageOfLink(deps.env), deps, deadline);
      if (opened.session.url === null) {
        throw new AppError("internal_error", { cause: new Error("no address") });
      }
      return opened.session.url;
    }
  }
}

/** @throws AppError `conflict` when the order has been cancelled. */
function endOf(ended: EndedCheckout, { env }: BoundDeps): string {
  if (ended.outcome === "paid") return doneUrlOf(ended.session_id, pageOfLink(env));
  throw new AppError("conflict", { message: "This order has been cancelled." });
}

/**
 * Whether a session that we think open is over by now, settled then as Stripe says: its event may not have come yet,
 * and its page would be a dead end.
 */
async function hasEnded(session: Checkout["session"], deps: BoundDeps, deadline: Deadline): Promise<boolean> {
  if (session?.status !== "open") return false;
  const now = await observe(
    { ...deps, source: "checkout" },
    () => askStripe(session.id, deps, deadline),
    (now) => now === null || now.status === "open" ? [] : checkoutSessionFacts(now),
  );
  return now !== null && now.status !== "open";
}

/** A session as it is at Stripe; null while Stripe cannot be asked: what the database knows is the answer then. */
async function askStripe(id: string, { stripe, log }: BoundDeps, deadline: Deadline) {
  try {
    return await stripe.retrieveSession(id, deadline.stripeMs());
  } catch (error) {
    log.warn("session_not_asked", { session_id: id, error });
    return null;
  }
}

function redirect(location: string): Response {
  return new Response(null, { status: 303, headers: { location, "referrer-policy": "no-referrer" } });
}
