/** The calls to Stripe that checkout makes, each under what is left of the shopper's patience. */
import type Stripe from "stripe";
import { callStripe } from "../stripe/client.ts";
import { expireSession, readSession } from "../stripe/session.ts";

export interface CreatedSession {
  session: Stripe.Checkout.Session;
  /** Stripe had answered this idempotency key before: the session is as it was then. */
  replayed: boolean;
}

/** Each rejects with an AppError as `callStripe` does; the cause is Stripe's error. */
export interface StripeCalls {
  createSession(
    params: Stripe.Checkout.SessionCreateParams,
    idempotencyKey: string,
    limitMs: number,
  ): Promise<CreatedSession>;
  retrieveSession(id: string, limitMs: number): Promise<Stripe.Checkout.Session>;
  expireSession(id: string, limitMs: number): Promise<Stripe.Checkout.Session>;
  createCustomer(
    params: Stripe.CustomerCreateParams,
    idempotencyKey: string,
    limitMs: number,
  ): Promise<Stripe.Customer>;
  updateCustomer(id: string, params: Stripe.CustomerUpdateParams, limitMs: number): Promise<Stripe.Customer>;
}

/** The calls through Stripe's SDK. */
export function stripeCalls(stripe: Stripe): StripeCalls {
  return {
    createSession: (params, idempotencyKey, limitMs) =>
      callStripe(async () => {
        const options = { idempotencyKey, ...attempt(limitMs) };
        const session = await stripe.checkout.sessions.create(params, options);
        return { session, replayed: isReplayed(session.lastResponse?.headers) };
      }, limitMs),
    retrieveSession: (id, limitMs) => callStripe(() => readSession(stripe, id, attempt(limitMs)), limitMs),
    expireSession: (id, limitMs) => callStripe(() => expireSession(stripe, id, attempt(limitMs)), limitMs),
    createCustomer: (params, idempotencyKey, limitMs) =>
      callStripe(() => stripe.customers.create(params, { idempotencyKey, ...attempt(limitMs) }), limitMs),
    updateCustomer: (id, params, limitMs) =>
      callStripe(() => stripe.customers.update(id, params, attempt(limitMs)), limitMs),
  };
}

/** The SDK's fetch client hands over Headers where its types promise a record. */
function isReplayed(headers: Headers | Record<string, string> | undefined): boolean {
  return new Headers(headers).get("idempotent-replayed") === "true";
}

/** Two tries and the pause between them fit into the limit. */
function attempt(limitMs: number): { timeout: number } {
  return { timeout: Math.max(250, Math.floor((limitMs - 500) / 2)) };
}
