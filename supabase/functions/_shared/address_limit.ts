/** Requests per minute and address, for endpoints that can cost a call to Stripe and that anybody can ask. */
import { addressBucket } from "./client_ip.ts";
import type { Env } from "./env.ts";
import { AppError } from "./errors.ts";
import type { RateLimiter } from "./rate_limit.ts";

/**
 * Counts a request to `endpoint` for an address; callers without an address share one bucket.
 * @throws AppError `rate_limited` with the seconds after which there is room again.
 */
export async function takeAddressLimit(
  endpoint: string,
  address: string | null,
  { env, limiter }: { env: Pick<Env, "checkout">; limiter: RateLimiter },
): Promise<void> {
  const decision = await limiter.take([{
    key: `${endpoint}:${addressBucket(address)}`,
    limit: env.checkout.rateLimitPerMinute,
    window_seconds: 60,
  }]);
  if (!decision.allowed) {
    throw new AppError("rate_limited", { retryAfterSeconds: decision.retry_after_seconds });
  }
}
