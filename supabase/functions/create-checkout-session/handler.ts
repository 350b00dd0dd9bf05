/**
 * From a cart to a page where it can be paid: validate, limit, reserve stock and freeze prices in one
 * transaction, ask Stripe for a session, note the session. Three round trips and one call to Stripe.
 */
import type { CheckoutAnswer } from "../_shared/http/answers.ts";
import { requireApiKey, type User } from "../_shared/auth/caller.ts";
import { enterCheckout } from "../_shared/checkout/supersede.ts";
import type { DatabaseDeadline } from "../_shared/checkout/calls.ts";
import { type Deadline, startDeadline } from "../_shared/checkout/deadline.ts";
import {
  checkoutDurations,
  openSession,
  type OpenSessionDeps,
  type PayableSession,
  payableSession,
  velocityExceeded,
} from "../_shared/checkout/open_session.ts";
import { doneUrlOf, paymentPage } from "../_shared/checkout/return_urls.ts";
import type { PaymentPage } from "../_shared/checkout/session_params.ts";
import type { StripeCalls } from "../_shared/checkout/stripe_calls.ts";
import { shopperAddress } from "../_shared/http/client_ip.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import { json, readJson, respond } from "../_shared/http/endpoint.ts";
import type { Logger } from "../_shared/log.ts";
import { observe } from "../_shared/database/readings.ts";
import { checkoutSessionFacts } from "../_shared/stripe_events/checkout_session.ts";
import type { RateLimiter } from "../_shared/limits/rate_limit.ts";
import type { Checkout, CheckoutCalls, CheckoutRequest } from "../_shared/database/checkout.ts";
import { parseCart, parseIdempotencyKey, toldKey } from "./cart.ts";
import { takeLimits } from "./limits.ts";
import { checkTurnstile } from "./turnstile.ts";

export interface Deps {
  env: Env;
  /** The database under a deadline. */
  rpcWithin: (deadline: DatabaseDeadline) => OpenSessionDeps["rpc"] & Pick<CheckoutCalls, "beginCheckout">;
  limiter: RateLimiter;
  stripe: StripeCalls;
  /** Asks Turnstile; Cloudflare's address is the only one it is called with. */
  fetch: typeof fetch;
  log: Logger;
  /** Epoch milliseconds. */
  now: () => number;
}

type BoundDeps = Omit<Deps, "rpcWithin"> & { rpc: ReturnType<Deps["rpcWithin"]> };

/** 50 lines and four URLs fit many times over. */
const bodyLimitBytes = 64 * 1024;

/** Answers one checkout request. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = { methods: ["POST"] as const, allowedOrigins: deps.env.allowedOrigins, log: deps.log };
  return respond(request, endpoint, async (context) => {
    const { key, user } = await requireApiKey(request, deps.env);
    const cart = parseCart(await readJson(request, bodyLimitBytes));
    checkCountry(cart.country, deps.env);
    const idempotencyKey = parseIdempotencyKey(request.headers, user === null);
    const page = paymentPage(cart, deps.env);
    const deadline = startDeadline(deps.now);
    const address = shopperAddress(request.headers, key === "secret");
    await takeLimits({ address, user }, deps);
    await checkTurnstile(
      { token: cart.turnstileToken, address, userId: user?.id ?? null, idempotencyKey },
      { ...deps, log: context.log },
    );

    const bound = { ...deps, rpc: deps.rpcWithin(deadline) };
    const wanted: Omit<CheckoutRequest, "p_supersede"> = {
      p_items: cart.items,
      p_idempotency_key: await toldKey(idempotencyKey),
      p_user_id: user?.id ?? null,
      p_email: emailOf(cart.customerEmail, user),
      p_client_ip: address,
      p_user_agent: request.headers.get("user-agent"),
      p_locale: cart.locale,
      p_livemode: deps.env.livemode,
      ...checkoutDurations(deps.env),
      p_velocity_mode: deps.env.velocityMode,
      p_previous_session_id: cart.previousSessionId,
      p_accepts_marketing: cart.acceptsMarketing,
      p_ui_mode: cart.uiMode,
      p_currency: cart.currency,
      p_country: cart.country,
    };
    const checkout = await begin(wanted, bound, deadline);
    const log = context.concerns(checkout.order_id, checkout.outcome === "created");
    context.span?.set({ "checkout.outcome": checkout.outcome, "checkout.attempt": checkout.attempt });
    return await answer(checkout, page, { ...bound, log }, deadline, () => begin(wanted, bound, deadline));
  });
}

/** @throws AppError `shipping_unavailable` for a country that the shop does not deliver to. */
function checkCountry(country: string | null, { shippingCountries }: Env): void {
  if (country === null || shippingCountries.includes(country)) return;
  throw new AppError("shipping_unavailable", { details: { country } });
}

function emailOf(given: string | null, user: User | null): string | null {
  return given ?? user?.email ?? null;
}

async function begin(
  request: Omit<CheckoutRequest, "p_supersede">,
  deps: BoundDeps,
  deadline: Deadline,
): Promise<Checkout> {
  const begun = await enterCheckout(
    (supersede) => deps.rpc.beginCheckout({ ...request, p_supersede: supersede }),
    deps,
    deadline,
  );
  if (begun.outcome === "velocity_exceeded") throw velocityExceeded(begun);
  return begun;
}

/** `again` begins the checkout anew, should its page turn out to have ended. */
async function answer(
  checkout: Checkout,
  page: PaymentPage,
  deps: BoundDeps,
  deadline: Deadline,
  again: (() => Promise<Checkout>) | null,
): Promise<Response> {
  if (checkout.session !== null) {
    const known = await knownSession(checkout.session, page, deps, deadline);
    if (known === null && again !== null) return await answer(await again(), page, deps, deadline, null);
    if (known === null) throw ended();
    deps.log.info("checkout_repeated", { session_id: known.id, status: checkout.session.status });
    return json(body(checkout, known));
  }
  const opened = await openSession(checkout, page, deps, deadline);
  deps.log.info("checkout_session_created", {
    session_id: opened.session.id,
    outcome: checkout.outcome,
    attempt: opened.checkout.attempt,
  });
  return json(body(opened.checkout, opened.session), checkout.outcome === "created" ? 201 : 200);
}

/**
 * A repeat of a request that went through: the same answer, for a page of Stripe's without asking Stripe. The secret of
 * a page of the shop's own is kept nowhere, so Stripe is asked for it; null when it says that the session has expired.
 */
async function knownSession(
  session: NonNullable<Checkout["session"]>,
  page: PaymentPage,
  deps: BoundDeps,
  deadline: Deadline,
): Promise<PayableSession | null> {
  if (session.status === "complete") {
    return { ...session, url: doneUrlOf(session.id, page), client_secret: null };
  }
  if (session.status !== "open") throw ended();
  if (page.ui_mode === "hosted_page") {
    if (session.url === null) throw ended();
    return { ...session, client_secret: null };
  }
  deadline.check();
  const now = await observe(
    { ...deps, source: "checkout" },
    () => deps.stripe.retrieveSession(session.id, deadline.stripeMs()),
    (now) => now.status === "open" ? [] : checkoutSessionFacts(now),
  );
  return payableSession(now, page);
}

function ended(): AppError {
  return new AppError("conflict", {
    message: "This checkout has ended; start a new one with another Idempotency-Key.",
  });
}

function body(checkout: Checkout, { id, url, client_secret, expires_at }: PayableSession): CheckoutAnswer {
  return {
    order_id: checkout.order_id,
    order_number: checkout.order_number,
    session_id: id,
    url,
    client_secret,
    expires_at,
    currency: checkout.currency,
    amount_subtotal: checkout.amount_subtotal,
  };
}
