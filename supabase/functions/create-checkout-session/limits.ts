/** Requests per minute: by address, by account and by e-mail address, counted in one round trip. */
import type { User } from "../_shared/auth.ts";
import { shortHash } from "../_shared/checkout/session_params.ts";
import { addressBuckets } from "../_shared/client_ip.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { Bucket, RateLimiter } from "../_shared/rate_limit.ts";

/** Who asks, as far as it can be counted. */
export interface Shopper {
  address: string | null;
  user: User | null;
  /** What the order goes under: typed into the cart, or the account's own. */
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
  const typed = shopper.email?.toLowerCase() ?? null;
  // Anybody can type anybody's address: what strangers ask under it must not lock its own account out.
  const email = typed === shopper.user?.email?.toLowerCase() ? null : typed;
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
    // Hashed: keys may lie in a third party's Redis, and an address is personal data.
    ...(email === null ? [] : [bucket(`email:${await shortHash(email)}`)]),
  ]);
  if (!decision.allowed) {
    throw new AppError("rate_limited", { retryAfterSeconds: decision.retry_after_seconds });
  }
}
