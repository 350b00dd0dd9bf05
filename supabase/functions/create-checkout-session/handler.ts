/**
 * From a cart to a page where it can be paid: validate, limit, reserve stock and freeze prices in one
 * transaction, ask Stripe for a session, note the session. Three round trips and one call to Stripe.
 */
import type { CheckoutAnswer } from "../_shared/http/answers.ts";
import { requireApiKey, type User } from "../_shared/auth/caller.ts";
import { enterCheckout } from "../_shared/checkout/supersede.ts";
import { type Deadline, startDeadline } from "../_shared/checkout/deadline.ts";
import {
  checkoutDurations,
  openSession,
  type OpenSessionDeps,
  velocityExceeded,
} from "../_shared/checkout/open_session.ts";
import { cancelUrl, successUrl, successUrlFor } from "../_shared/checkout/return_urls.ts";
import type { ReturnUrls } from "../_shared/checkout/session_params.ts";
import type { StripeCalls } from "../_shared/checkout/stripe_calls.ts";
import { shopperAddress } from "../_shared/http/client_ip.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import { json, readJson, respond } from "../_shared/http/endpoint.ts";
import type { Logger } from "../_shared/log.ts";
import type { RateLimiter } from "../_shared/limits/rate_limit.ts";
import type { Checkout, CheckoutCalls, CheckoutRequest } from "../_shared/database/checkout.ts";
import { parseCart, parseIdempotencyKey } from "./cart.ts";
import { takeLimits } from "./limits.ts";
import { checkTurnstile } from "./turnstile.ts";

export interface Deps {
  env: Env;
  /** The database under a deadline. */
  rpcWithin: (limitMs: () => number) => OpenSessionDeps["rpc"] & Pick<CheckoutCalls, "beginCheckout">;
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
    const urls = {
      success: successUrl(cart.successUrl, deps.env),
      cancel: cancelUrl(cart.cancelUrl, deps.env),
    };
    const deadline = startDeadline(deps.now);
    const address = shopperAddress(request.headers, key === "secret");
    await takeLimits({ address, user }, deps);
    await checkTurnstile(
      { token: cart.turnstileToken, address, userId: user?.id ?? null, idempotencyKey },
      { ...deps, log: context.log },
    );

    const bound = { ...deps, rpc: deps.rpcWithin(deadline.databaseMs) };
    const checkout = await begin(
      {
        p_items: cart.items,
        p_idempotency_key: idempotencyKey,
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
        p_currency: cart.currency,
        p_country: cart.country,
      },
      bound,
      deadline,
    );
    const log = context.concerns(checkout.order_id, checkout.outcome === "created");
    context.span?.set({ "checkout.outcome": checkout.outcome, "checkout.attempt": checkout.attempt });
    return await answer(checkout, urls, { ...bound, log }, deadline);
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

async function answer(
  checkout: Checkout,
  urls: ReturnUrls,
  deps: BoundDeps,
  deadline: Deadline,
): Promise<Response> {
  if (checkout.session !== null) {
    deps.log.info("checkout_repeated", { session_id: checkout.session.id, status: checkout.session.status });
    return knownSession(checkout, checkout.session, urls);
  }
  const opened = await openSession(checkout, urls, deps, deadline);
  deps.log.info("checkout_session_created", {
    session_id: opened.session.id,
    outcome: checkout.outcome,
    attempt: opened.checkout.attempt,
  });
  return json(body(opened.checkout, opened.session), checkout.outcome === "created" ? 201 : 200);
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
  if (session.status !== "open" || session.url === null) {
    throw new AppError("conflict", {
      message: "This checkout has ended; start a new one with another Idempotency-Key.",
    });
  }
  return json(body(checkout, { ...session, url: session.url }));
}

function body(checkout: Checkout, session: { id: string; url: string; expires_at: number }): CheckoutAnswer {
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
