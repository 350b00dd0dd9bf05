/**
 * From a cart to a page where it can be paid: validate, limit, reserve stock and freeze prices in one
 * transaction, ask Stripe for a session, note the session. Three round trips and one call to Stripe.
 */
import type Stripe from "stripe";
import { requireApiKey } from "../_shared/auth.ts";
import { addressBucket, clientAddress } from "../_shared/client_ip.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import { json, readJson, type RequestContext, respond } from "../_shared/http.ts";
import type { Logger } from "../_shared/log.ts";
import type { RateLimiter } from "../_shared/rate_limit.ts";
import type { Checkout, Rpc } from "../_shared/rpc.ts";
import { isReplayedFailure, stripeErrorOf } from "../_shared/stripe.ts";
import { checkoutSessionFact } from "../_shared/stripe_events/checkout_session.ts";
import { type Cart, parseCart, parseIdempotencyKey } from "./cart.ts";
import { cancelUrl, successUrl, successUrlFor } from "./return_urls.ts";
import { type ReturnUrls, sessionIdempotencyKey, sessionParams } from "./session_params.ts";

export interface Deps {
  env: Env;
  rpc: Pick<Rpc, "beginCheckout" | "restartCheckoutAttempt" | "attachCheckoutSession">;
  limiter: RateLimiter;
  /** Rejects with AppError `stripe_unavailable`; the cause is Stripe's error. */
  createSession(
    params: Stripe.Checkout.SessionCreateParams,
    idempotencyKey: string,
  ): Promise<Stripe.Checkout.Session>;
  log: Logger;
}

/** 50 lines and four URLs fit many times over. */
const bodyLimitBytes = 64 * 1024;

/**
 * Stripe counts the 30 minutes from when *it* reads the request; a minute on top keeps the shortest session
 * legal, also for a retry a few seconds later.
 */
const sessionMarginSeconds = 60;
const sessionMaxSeconds = 24 * 3600 - 60;

/** Stock stays held after the session has ended, until Stripe has said that it has. */
const holdMarginSeconds = 30 * 60;

/** Answers one checkout request. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = { methods: ["POST"] as const, allowedOrigins: deps.env.allowedOrigins, log: deps.log };
  return respond(request, endpoint, async (context) => {
    const user = await requireApiKey(request, deps.env);
    const cart = parseCart(await readJson(request, bodyLimitBytes));
    const idempotencyKey = parseIdempotencyKey(request.headers);
    const urls = {
      success: successUrl(cart.successUrl, deps.env),
      cancel: cancelUrl(cart.cancelUrl, deps.env),
    };
    const address = clientAddress(request.headers);
    await limit(address, deps);

    const begun = await deps.rpc.beginCheckout({
      p_items: cart.items,
      p_idempotency_key: idempotencyKey,
      p_user_id: user?.id ?? null,
      p_email: cart.customerEmail ?? user?.email ?? null,
      p_client_ip: address,
      p_user_agent: request.headers.get("user-agent"),
      p_locale: cart.locale,
      p_livemode: deps.env.livemode,
      ...durations(deps.env),
    });
    if (begun.outcome === "velocity_exceeded") {
      throw new AppError("velocity_exceeded", { retryAfterSeconds: begun.retry_after_seconds });
    }
    return await answer(begun, cart, urls, deps, context);
  });
}

/** Callers without an address share one bucket, and it is a strict one. */
async function limit(address: string | null, { env, limiter }: Deps): Promise<void> {
  const perMinute = env.checkout.rateLimitPerMinute;
  const decision = await limiter.take([{
    key: `checkout:${addressBucket(address)}`,
    limit: address === null ? Math.max(1, Math.floor(perMinute / 3)) : perMinute,
    window_seconds: 60,
  }]);
  if (!decision.allowed) {
    throw new AppError("rate_limited", { retryAfterSeconds: decision.retry_after_seconds });
  }
}

function durations(env: Env): { p_session_seconds: number; p_hold_seconds: number } {
  const seconds = Math.min(env.checkout.sessionMinutes * 60 + sessionMarginSeconds, sessionMaxSeconds);
  return { p_session_seconds: seconds, p_hold_seconds: seconds + holdMarginSeconds };
}

async function answer(
  checkout: Checkout,
  cart: Cart,
  urls: ReturnUrls,
  deps: Deps,
  { log }: RequestContext,
): Promise<Response> {
  if (checkout.session !== null) return knownSession(checkout, checkout.session, urls);
  const { checkout: current, session } = await createSession(checkout, cart, urls, deps);
  if (session.url === null) throw gone();
  await deps.rpc.attachCheckoutSession(current.order_id, current.attempt, checkoutSessionFact(session));
  log.info("checkout_session_created", {
    order_id: current.order_id,
    session_id: session.id,
    outcome: current.outcome,
    attempt: current.attempt,
  });
  const status = checkout.outcome === "created" ? 201 : 200;
  return json(body(current, { id: session.id, url: session.url, expires_at: session.expires_at }), status);
}

/** A repeat of a request that went through: the same answer, without asking Stripe. */
function knownSession(
  checkout: Checkout,
  session: NonNullable<Checkout["session"]>,
  urls: ReturnUrls,
): Response {
  if (session.status === "complete") {
    return json(body(checkout, { ...session, url: successUrlFor(session.id, urls.success) }));
  }
  if (session.status !== "open" || session.url === null) throw gone();
  return json(body(checkout, { ...session, url: session.url }));
}

function gone(): AppError {
  return new AppError("conflict", {
    message: "This checkout has ended; start a new one with another Idempotency-Key.",
  });
}

function body(checkout: Checkout, session: { id: string; url: string; expires_at: number }) {
  return {
    order_id: checkout.order_id,
    order_number: checkout.order_number,
    session_id: session.id,
    url: session.url,
    expires_at: session.expires_at,
    currency: checkout.currency,
    amount_subtotal: checkout.amount_subtotal,
  };
}

/** Asks Stripe; where a refusal has a known mend, mends it and asks once more. */
async function createSession(
  checkout: Checkout,
  cart: Cart,
  urls: ReturnUrls,
  deps: Deps,
): Promise<{ checkout: Checkout; session: Stripe.Checkout.Session }> {
  const ask = async (current: Checkout) => {
    const params = sessionParams(current, urls, cart.locale, deps.env);
    const session = await deps.createSession(params, await sessionIdempotencyKey(current, params));
    return { checkout: current, session: checkedSession(session) };
  };
  const askAgain = async () => {
    const { p_session_seconds, p_hold_seconds } = durations(deps.env);
    const { order_id: id, attempt } = checkout;
    return await ask(await deps.rpc.restartCheckoutAttempt(id, attempt, p_session_seconds, p_hold_seconds));
  };
  try {
    return await ask(checkout);
  } catch (error) {
    if (isReplayedFailure(error)) return await askAgain();
    switch (stripeErrorOf(error)?.param) {
      // The attempt was never carried out and its end has come too near: Stripe wants 30 minutes from now.
      case "expires_at":
        return await askAgain();
      // Deleted in the dashboard, and its event has not arrived yet.
      case "customer":
        return await ask({ ...checkout, stripe_customer_id: null });
      case "customer_email":
        throw new AppError("invalid_request", {
          details: [{ path: "customer_email", message: "is not accepted by the payment provider" }],
          cause: error,
        });
      default:
        throw error;
    }
  }
}

/** A 200 that is no session (a proxy's page, a cut body) is as good as no answer. */
function checkedSession(session: Stripe.Checkout.Session): Stripe.Checkout.Session {
  const valid = typeof session?.id === "string" && session.id.startsWith("cs_") &&
    (typeof session.url === "string" || session.url === null) && Number.isInteger(session.expires_at);
  if (!valid) {
    throw new AppError("stripe_unavailable", {
      retryAfterSeconds: 5,
      cause: new Error("no session in answer"),
    });
  }
  return session;
}
