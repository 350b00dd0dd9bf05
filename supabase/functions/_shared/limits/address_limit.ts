/** Requests per minute and address, for endpoints that can cost a call to Stripe and that anybody can ask. */
import { addressBuckets } from "../http/client_ip.ts";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { RateLimiter } from "./rate_limit.ts";

/** How many addresses may use up their share in one minute before an endpoint has had enough of all of them. */
const addressesMax = 10;

/**
 * Counts a request to `endpoint` for an address; callers without an address share one bucket. All addresses together
 * have a limit as well: who rotates through networks must not use up what the shop may ask Stripe.
 * @throws AppError `rate_limited` with the seconds after which there is room again.
 */
export async function takeAddressLimit(
  endpoint: string,
  address: string | null,
  { env, limiter }: { env: Pick<Env, "checkout">; limiter: RateLimiter },
): Promise<void> {
  const { rateLimitPerMinute } = env.checkout;
  const bucket = (name: string, times: number) => ({
    key: `${endpoint}:${name}`,
    limit: Math.ceil(rateLimitPerMinute * times),
    window_seconds: 60,
  });
  const decision = await limiter.take([
    ...addressBuckets(address).map(({ key, factor }) => bucket(key, factor)),
    bucket("all", addressesMax),
  ]);
  if (!decision.allowed) {
    throw new AppError("rate_limited", { retryAfterSeconds: decision.retry_after_seconds });
  }
}
