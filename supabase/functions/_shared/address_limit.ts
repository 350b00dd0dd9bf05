/** Requests per minute and address, for endpoints that can cost a call to Stripe and that anybody can ask. */
import { addressBuckets, clientAddress } from "./client_ip.ts";
import type { Env } from "./env.ts";
import { AppError } from "./errors.ts";
import type { RateLimiter } from "./rate_limit.ts";

/**
 * Counts a request to `endpoint` from its address; callers without an address share one bucket.
 * @throws AppError `rate_limited` with the seconds after which there is room again.
 */
export async function takeAddressLimit(
  endpoint: string,
  request: Request,
  { env, limiter }: { env: Pick<Env, "checkout">; limiter: RateLimiter },
): Promise<void> {
  const decision = await limiter.take(
    addressBuckets(clientAddress(request.headers)).map(({ key, factor }) => ({
      key: `${endpoint}:${key}`,
      limit: Math.ceil(env.checkout.rateLimitPerMinute * factor),
      window_seconds: 60,
    })),
  );
  if (!decision.allowed) {
    throw new AppError("rate_limited", { retryAfterSeconds: decision.retry_after_seconds });
  }
}
