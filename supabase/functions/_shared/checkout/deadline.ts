/** How long a shopper waits for Stripe in all, over every call and retry that a request makes. */
export interface Deadline {
  /** Milliseconds left, at least `leastMs`. */
  remainingMs(leastMs?: number): number;
  passed(): boolean;
}

/** With the database's share this stays under the ten seconds after which storefronts give up. */
const checkoutLimitMs = 8_000;

/** A deadline that starts now. */
export function startDeadline(
  limitMs = checkoutLimitMs,
  now: () => number = () => performance.now(),
): Deadline {
  const end = now() + limitMs;
  return {
    remainingMs: (leastMs = 0) => Math.max(leastMs, end - now()),
    passed: () => now() >= end,
  };
}
