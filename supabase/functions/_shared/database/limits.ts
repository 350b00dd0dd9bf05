/** Request counters that all workers share. */
import type { Call, Known, Returned } from "./client.ts";

export interface Bucket {
  key: string;
  limit: number;
  window_seconds: number;
}

/** `key`: the bucket that refused. */
export type LimitDecision = Known<
  Returned<"take_rate_limits">,
  { allowed: boolean; retry_after_seconds: number }
>;

export const limitCalls = (call: Call) => ({
  /** Counts one request in each bucket; refused when any is full. */
  takeRateLimits: (buckets: Bucket[]) =>
    call("take_rate_limits", { p_buckets: buckets }) as Promise<LimitDecision>,
});
