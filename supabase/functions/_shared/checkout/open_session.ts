/**
 * From an order that waits for payment to a page where it can be paid: one call to Stripe and one to the
 * database. Where Stripe's refusal has a known remedy, applies it and asks again, within the shopper's patience.
 */
import type Stripe from "stripe";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Checkout, CheckoutCalls, CheckoutRefusal, VelocityExceeded } from "../database/checkout.ts";
import type { FactCalls } from "../database/facts.ts";
import { observe } from "../database/readings.ts";
import { classifyStripeFailure, isReplayedFailure, stripeErrorOf } from "../stripe/client.ts";
import { checkoutSessionFact, checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import type { Deadline } from "./deadline.ts";
import { doneUrlOf } from "./return_urls.ts";
import { type PaymentPage, sessionIdempotencyKey, sessionParams, shortHash } from "./session_params.ts";
import type { StripeCalls } from "./stripe_calls.ts";

export interface OpenSessionDeps {
  env: Env;
  rpc:
    & FactCalls
    & Pick<
      CheckoutCalls,
      "restartCheckoutAttempt" | "attachCheckoutSession" | "forgetStripeCustomer" | "abandonCheckout"
    >;
  stripe: StripeCalls;
  /** Epoch milliseconds. */
  now: () => number;
  log: Logger;
}

/**
 * Where a session can be paid: at `url`, or with `client_secret` on the shop's own page. One that has been paid has the
 * `url` after paying. The secret is for the shopper's browser, and is kept nowhere.
 */
export interface PayableSession {
  id: string;
  url: string | null;
  client_secret: string | null;
  expires_at: number;
}

/** The attempt that got the session, which may be a later one than was asked for. */
export interface OpenedSession {
  checkout: Checkout;
  session: PayableSession;
}

type StripeFailure = NonNullable<ReturnType<typeof stripeErrorOf>>;

/** Enough for Stripe's longest sentences. */
const refusalLength = 300;
/** Each remedy moves things on, so nothing honest needs more. */
const roundsMax = 5;
const busyPauseMs = 300;

/**
 * Creates the Stripe session of a checkout's attempt and notes it.
 * @throws AppError `stripe_unavailable`, `database_unavailable`, `invalid_request`, `insufficient_stock`,
 * `checkout_refused`, `velocity_exceeded`.
 */
export async function openSession(
  checkout: Checkout,
  page: PaymentPage,
  deps: OpenSessionDeps,
  deadline: Deadline,
): Promise<OpenedSession> {
  let current = checkout;
  for (let round = 1;; round++) {
    deadline.check();
    try {
      const session = await askStripe(current, page, deps, deadline);
      await attach(current, session, deps, deadline);
      const payable = payableSession(session, page);
      if (payable !== null) return { checkout: current, session: payable };
    } catch (error) {
      if (round === roundsMax || deadline.passed()) throw error;
      current = await remedy(error, current, deps);
      continue;
    }
    if (round === roundsMax) throw noAnswer("every session of the order has ended");
    current = await restart(current, deps);
  }
}

/** How long a new session lives, and how much longer its stock stays held, in seconds. */
export function checkoutDurations(env: Env): { p_session_seconds: number; p_hold_seconds: number } {
  const seconds = Math.min(env.checkout.sessionMinutes * 60 + sessionMarginSeconds, sessionMaxSeconds);
  return { p_session_seconds: seconds, p_hold_seconds: seconds + holdMarginSeconds };
}

/**
 * Stripe counts the 30 minutes from when *it* reads the request; a minute on top keeps the shortest session
 * legal, also for a retry a few seconds later.
 */
const sessionMarginSeconds = 60;
const sessionMaxSeconds = 24 * 3600 - 60;
/** Stock stays held after the session has ended, until Stripe has said that it has. */
const holdMarginSeconds = 30 * 60;

async function askStripe(
  checkout: Checkout,
  page: PaymentPage,
  deps: OpenSessionDeps,
  deadline: Deadline,
): Promise<Stripe.Checkout.Session> {
  const customerId = await currentCustomer(checkout, deps, deadline);
  const params = sessionParams({ ...checkout, stripe_customer_id: customerId }, page, deps.env);
  const key = await sessionIdempotencyKey(checkout, params);
  const { session, replayed } = await deps.stripe.createSession(params, key, deadline.stripeMs());
  checkSession(session);
  // A repeated answer tells how the session was born; meanwhile it may have been paid or expired.
  return replayed ? await deps.stripe.retrieveSession(session.id, deadline.stripeMs()) : session;
}

/** The account's Stripe customer, with the account's present address: its page shows it and lets nobody change it. */
async function currentCustomer(
  checkout: Checkout,
  deps: OpenSessionDeps,
  deadline: Deadline,
): Promise<string | null> {
  const { stripe_customer_id: id, customer_email: email } = checkout;
  if (id === null) return await createCustomer(checkout, deps, deadline);
  if (email !== null) await deps.stripe.updateCustomer(id, { email }, deadline.stripeMs());
  return id;
}

/**
 * One Stripe customer per account: parallel first checkouts send the same key, so Stripe makes one. Its id is
 * noted with the session; should that be lost, the key finds the same customer again.
 */
async function createCustomer(
  { customer, order_id, attempt }: Checkout,
  { stripe }: OpenSessionDeps,
  deadline: Deadline,
): Promise<string | null> {
  if (customer === null) return null;
  const params = {
    metadata: { customer_id: customer.id },
    ...(customer.email === null ? {} : { email: customer.email }),
  };
  const key = `customer_${customer.id}_${customer.generation}_${await shortHash(JSON.stringify(params))}`;
  const create = (name: string) => stripe.createCustomer(params, name, deadline.stripeMs());
  const created = await create(key).catch((error) => {
    // Stripe would replay the failure to each order of the account for a day.
    if (!isReplayedFailure(error)) throw error;
    return create(`${key}_${order_id}_${attempt}`);
  });
  if (typeof created?.id !== "string") throw noAnswer("no customer in answer");
  return created.id;
}

/** Notes the session; if that fails, nobody may pay what the database does not know. */
async function attach(
  { order_id, attempt, customer_email_change }: Checkout,
  session: Stripe.Checkout.Session,
  { rpc, stripe, log, now }: OpenSessionDeps,
  deadline: Deadline,
): Promise<void> {
  try {
    await rpc.attachCheckoutSession(order_id, attempt, checkoutSessionFact(session), customer_email_change);
  } catch (error) {
    let expired = false;
    // The sweep finds what could not be expired: it looks for attempts without a session.
    const expire = async () => {
      const ended = await stripe.expireSession(session.id, deadline.stripeMs(500));
      expired = true;
      return ended;
    };
    // Where the session was noted and only the answer got lost, a repeat must not be given the ended page; if this
    // fails as well, Stripe's event tells.
    const noted = await observe(
      { rpc, now, source: "checkout" },
      expire,
      (ended) => checkoutSessionFacts(ended),
    )
      .then(() => true, () => false);
    log.error("checkout_session_not_attached", { order_id, session_id: session.id, expired, noted, error });
    throw error;
  }
}

/** What to ask instead after this failure; throws when there is nothing better. */
async function remedy(error: unknown, current: Checkout, deps: OpenSessionDeps): Promise<Checkout> {
  const failure = stripeErrorOf(error);
  if (error instanceof AppError && error.code === "shipping_unavailable") {
    await giveUp(current, deps, noDelivery);
  }
  if (failure === null) throw error;
  // Stripe repeats the outcome of a key, failures included: only another attempt gets another answer.
  if (isReplayedFailure(error)) return await restart(current, deps);
  // A parallel repeat of this request is being carried out; its answer will be ours as well.
  if (failure.statusCode === 409) {
    await new Promise((resolve) => setTimeout(resolve, busyPauseMs));
    return current;
  }
  // The attempt was never carried out and its end has come too near: Stripe wants 30 minutes from now.
  if (failure.param === "expires_at") return await restart(current, deps);
  // Deleted in the dashboard, and its event has not arrived yet.
  const missing = failure.param === "customer" ||
    (failure.param === "id" && failure.code === "resource_missing");
  if (missing && current.stripe_customer_id !== null) {
    return await deps.rpc.forgetStripeCustomer(current.order_id, current.stripe_customer_id);
  }
  // An account's address that Stripe does not take is no reason not to sell: the page asks for one.
  const refusesAddress = isAboutAddress(failure);
  if (refusesAddress && isAccount(current) && hasAddress(current)) return withoutAddress(current);
  if (!isRefusal(failure.statusCode)) throw error;
  await giveUp(current, deps, refusesAddress ? null : told(failure));
  throw refusal(error, failure);
}

function isAboutAddress({ param, code }: StripeFailure): boolean {
  return code === "email_invalid" ||
    ["email", "customer_email", "payment_intent_data[receipt_email]"].includes(param ?? "");
}

function isAccount({ customer, stripe_customer_id }: Checkout): boolean {
  return customer !== null || stripe_customer_id !== null;
}

function hasAddress({ email, customer, customer_email }: Checkout): boolean {
  return email !== null || customer_email !== null || (customer !== null && customer.email !== null);
}

function withoutAddress(checkout: Checkout): Checkout {
  const { customer } = checkout;
  return {
    ...checkout,
    email: null,
    customer_email: null,
    customer: customer === null ? null : { ...customer, email: null },
  };
}

async function restart(current: Checkout, { env, rpc }: OpenSessionDeps): Promise<Checkout> {
  const { p_session_seconds, p_hold_seconds } = checkoutDurations(env);
  const restarted = await rpc.restartCheckoutAttempt(
    current.order_id,
    current.attempt,
    p_session_seconds,
    p_hold_seconds,
  );
  if (restarted.outcome === "velocity_exceeded") throw velocityExceeded(restarted);
  return restarted;
}

/** The answer to a shopper whom the velocity rules keep from a payment page. */
export function velocityExceeded({ retry_after_seconds }: VelocityExceeded): AppError {
  return new AppError("velocity_exceeded", { retryAfterSeconds: retry_after_seconds });
}

/** Stripe has read the request and made nothing of it, and asking again changes nothing. */
function isRefusal(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 429;
}

/**
 * Frees the stock of an attempt that cannot be sold, and tells staff of the refusal unless it is the shopper's to fix
 * (null). If that fails, the sweep frees the stock.
 */
async function giveUp(
  { order_id, attempt }: Checkout,
  { rpc, log }: OpenSessionDeps,
  told: CheckoutRefusal | null,
): Promise<void> {
  try {
    await rpc.abandonCheckout(order_id, attempt, told);
  } catch (error) {
    log.warn("checkout_not_abandoned", { order_id, attempt, error });
  }
}

/** What staff are told of delivery prices that hold for no country that the shop delivers to. */
const noDelivery: CheckoutRefusal = {
  code: "shipping_unavailable",
  param: "shipping_rates",
  status: null,
  message: "no delivery price holds for any country of SHIPPING_COUNTRIES",
};

/** What staff are told of a refusal: no address in it, and of bounded length. */
function told({ type, rawType, code, param, statusCode, message }: StripeFailure): CheckoutRefusal {
  return {
    code: code ?? rawType ?? type,
    param: param ?? null,
    status: statusCode ?? null,
    message: message.replaceAll(/\S+@\S+/g, "…").slice(0, refusalLength),
  };
}

function refusal(error: unknown, failure: StripeFailure): unknown {
  if (isAboutAddress(failure)) {
    return new AppError("invalid_request", {
      details: [{ path: "customer_email", message: "is not accepted by the payment provider" }],
      cause: error,
    });
  }
  if (failure.code === "amount_too_small" || failure.code === "amount_too_large") {
    return new AppError("invalid_request", {
      details: [{ path: "items", message: "the total is outside what the payment provider accepts" }],
      cause: error,
    });
  }
  // A wrong or revoked key is our fault and not this order's.
  return classifyStripeFailure(error) === "discard"
    ? new AppError("checkout_refused", { cause: error })
    : error;
}

/** A 200 that is no session (a proxy's page, a cut body) is as good as no answer. */
function checkSession(session: Stripe.Checkout.Session): void {
  const valid = typeof session?.id === "string" && session.id.startsWith("cs_") &&
    (typeof session.url === "string" || session.url === null) && Number.isInteger(session.expires_at);
  if (!valid) throw noAnswer("no session in answer");
}

function noAnswer(reason: string): AppError {
  return new AppError("stripe_unavailable", { retryAfterSeconds: 5, cause: new Error(reason) });
}

/**
 * A session as Stripe has just answered it; null when it has expired. One that was paid between two tries leads where
 * Stripe would have sent the shopper.
 * @throws AppError `stripe_unavailable` when it is open and nothing says how to pay it.
 */
export function payableSession(
  { id, status, url, client_secret, expires_at }: Stripe.Checkout.Session,
  page: PaymentPage,
): PayableSession | null {
  if (status === "complete") return { id, url: doneUrlOf(id, page), client_secret: null, expires_at };
  if (status !== "open") return null;
  const own = page.ui_mode !== "hosted_page";
  if ((own ? client_secret : url) === null) throw noAnswer("the session cannot be paid");
  return { id, url: own ? null : url, client_secret: own ? client_secret : null, expires_at };
}
