/** Requests per minute: by address and by account, counted together. */
import type { User } from "../_shared/auth/caller.ts";
import { addressBuckets } from "../_shared/http/client_ip.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { Bucket, RateLimiter } from "../_shared/limits/rate_limit.ts";

/**
 * Who asks, as far as it can be counted. An e-mail address is not among it: anybody can type anybody's, and what
 * strangers ask under it must lock nobody out.
 */
export interface Shopper {
  address: string | null;
  user: User | null;
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
    ...(shopper.address === null
      ? [bucket("unknown", Math.max(1, Math.floor(limit / 3)))]
      : addressBuckets(shopper.address).map(({ key, factor }) => bucket(key, Math.ceil(limit * factor)))),
    ...(shopper.user === null ? [] : [bucket(`user:${shopper.user.id}`)]),
  ]);
  if (!decision.allowed) {
    throw new AppError("rate_limited", { retryAfterSeconds: decision.retry_after_seconds });
  }
}
