/**
 * Stripe's API as the functions use it: a pinned version, short timeouts, a deadline over all retries, and
 * every failure as an AppError.
 */
import Stripe from "stripe";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";

/** The version our translators are written for. An endpoint's events carry the version of its creation. */
export { stripeApiVersion } from "./api_version.ts";
import { stripeApiVersion } from "./api_version.ts";

/**
 * A shopper waits at most this long for Stripe, retries and their pauses included. The SDK obeys a
 * Retry-After of up to a minute, so its own timeout is no bound.
 */
const deadlineMs = 8_500;
const attemptTimeoutMs = 8_000;
const retryAfterSeconds = 5;

type StripeEnv = Pick<Env, "stripeSecretKey" | "stripeApiBase">;

/** The SDK's client; offline its requests go to STRIPE_API_BASE. Without `fetcher` it asks with its own. */
export function createStripe(env: StripeEnv, fetcher?: typeof fetch): Stripe {
  return new Stripe(env.stripeSecretKey, {
    apiVersion: stripeApiVersion,
    timeout: attemptTimeoutMs,
    maxNetworkRetries: 1,
    telemetry: false,
    ...(fetcher === undefined ? {} : { httpClient: Stripe.createFetchHttpClient(fetcher) }),
    ...baseOf(env.stripeApiBase),
  });
}

function baseOf(base: URL | null) {
  if (base === null) return {};
  const protocol = base.protocol === "http:" ? "http" as const : "https" as const;
  return { protocol, host: base.hostname, port: base.port || (protocol === "http" ? 80 : 443) };
}

/**
 * Runs one call to Stripe under a deadline.
 * @throws AppError `stripe_unavailable` when Stripe is down, slow, busy or answers nonsense, `internal_error` when it
 * has understood and refuses: that is no outage, and waiting does not help. The cause is Stripe's error, and
 * `stripeErrorOf` finds it again.
 */
export async function callStripe<T>(call: () => Promise<T>, limitMs = deadlineMs): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([call(), late.promise]);
  } catch (error) {
    if (classifyStripeFailure(error) !== "retry") throw new AppError("internal_error", { cause: error });
    throw new AppError("stripe_unavailable", { cause: error, retryAfterSeconds: waitOf(error) });
  } finally {
    clearTimeout(timer);
  }
}

/** Stripe's own error behind an AppError, or null when there was no such answer. */
export function stripeErrorOf(error: unknown): InstanceType<typeof Stripe.errors.StripeError> | null {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof Stripe.errors.StripeError ? cause : null;
}

/**
 * True when Stripe replayed a stored 5xx for this idempotency key: it will go on doing so for a day, and only
 * another key can get another answer.
 */
export function isReplayedFailure(error: unknown): boolean {
  const failure = stripeErrorOf(error);
  return (failure?.statusCode ?? 0) >= 500 && failure?.headers?.["idempotent-replayed"] === "true";
}

/** How a failed call is to be treated by a job. */
export type FailureClass = "retry" | "discard" | "authentication";

/**
 * Sorts a failure: connection, 5xx, 429 and lock conflicts may pass; a wrong or revoked key needs a person;
 * anything else that Stripe refused will be refused again.
 */
export function classifyStripeFailure(error: unknown): FailureClass {
  const failure = stripeErrorOf(error);
  if (failure === null) return "retry";
  const { statusCode, code } = failure;
  if (statusCode === 401 || statusCode === 403) return "authentication";
  if (code === "lock_timeout" || statusCode === 409 || statusCode === 429) return "retry";
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500 ? "discard" : "retry";
}

/** Seconds after which Stripe wants to be asked again. */
function waitOf(error: unknown): number {
  const headers = error instanceof Stripe.errors.StripeError ? error.headers : undefined;
  const asked = Number(headers?.["retry-after"]);
  return Number.isFinite(asked) && asked > 0 ? Math.min(Math.ceil(asked), 60) : retryAfterSeconds;
}
