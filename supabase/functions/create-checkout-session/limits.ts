/** Requests per minute: by address, by account and by e-mail address, counted in one round trip. */
import { shortHash } from "../_shared/checkout/session_params.ts";
import { addressBucket } from "../_shared/client_ip.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { Bucket, RateLimiter } from "../_shared/rate_limit.ts";

/** Who asks, as far as it can be counted. */
export interface Shopper {
  address: string | null;
  userId: string | null;
  email: string | null;
}

const windowSeconds = 60;

/**
 * Counts a request of this shopper. Callers without an address share one bucket, and it is a strict one.
 * @throws AppError `rate_limited` with the seconds after which there is room again.
 */
export async function takeLimits(
  shopper: Shopper,
  { env, limiter }: { env: Pick<Env, "checkout">; limiter: RateLimiter },
): Promise<void> {
  const limit = env.checkout.rateLimitPerMinute;
  const bucket = (name: string, most = limit): Bucket => ({
    key: `checkout:${name}`,
    limit: most,
    window_seconds: windowSeconds,
  });
  const decision = await limiter.take([
    shopper.address === null
      ? bucket("unknown", Math.max(1, Math.floor(limit / 3)))
      : bucket(addressBucket(shopper.address)),
    ...(shopper.userId === null ? [] : [bucket(`user:${shopper.userId}`)]),
    // Hashed: keys may lie in a third party's Redis, and an address is personal data.
    ...(shopper.email === null ? [] : [bucket(`email:${await shortHash(shopper.email.toLowerCase())}`)]),
  ]);
  if (!decision.allowed) {
    throw new AppError("rate_limited", { retryAfterSeconds: decision.retry_after_seconds });
  }
}
