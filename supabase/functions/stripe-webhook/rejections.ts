/**
 * Requests that failed a check: counted per address for the rate limit, and for `webhook_rejections`.
 *
 * The first failures of an address go to the shared limiter and the table at once. From the moment it is over
 * the limit this worker answers from memory alone and reports what it turned away in batches, so that a flood
 * costs no database work.
 */
import { runLater } from "../_shared/background.ts";
import { addressBucket } from "../_shared/http/client_ip.ts";
import type { Logger } from "../_shared/log.ts";
import type { RateLimiter } from "../_shared/limits/rate_limit.ts";
import type { WebhookCalls } from "../_shared/database/webhooks.ts";

export interface RejectionDeps {
  rpc: Pick<WebhookCalls, "recordWebhookRejection">;
  limiter: RateLimiter;
  limitPerMinute: number;
  log: Logger;
  now?: () => number;
  /** Runs a report later without holding the worker open; tests run it by hand. */
  later?: (report: () => Promise<void>, ms: number) => void;
}

export interface Rejections {
  /** Seconds for which an address is shut out, or null when it is not. Memory only. */
  blockedFor(address: string | null): number | null;
  /**
   * Counts a failed check. Answers with the seconds to wait when the address is now over its limit; an `exempt`
   * address has none, and is only written down.
   */
  count(reason: string, address: string | null, exempt?: boolean): Promise<number | null>;
  /** Counts a request that was turned away by `blockedFor`. */
  countBlocked(address: string | null): void;
}

const windowSeconds = 60;
/** How long a refused caller may wait for our bookkeeping. */
const bookkeepingMs = 1_500;
const reportEveryMs = 10_000;
/** Addresses remembered at a time; past it the oldest are forgotten, and merely cost a check again. */
const capacity = 5_000;

/** The bookkeeping of one worker. */
export function createRejections(
  { rpc, limiter, limitPerMinute, log, now = Date.now, later = runLater }: RejectionDeps,
): Rejections {
  const windows = new Map<string, { endsAt: number; count: number }>();
  const blocked = new Map<string, number>();
  const unreported = new Map<string, { reason: string; address: string | null; count: number }>();
  let reportPlanned = false;

  function countLocally(bucket: string): { count: number; endsAt: number } {
    const known = windows.get(bucket);
    const window = known !== undefined && known.endsAt > now()
      ? known
      : { endsAt: now() + windowSeconds * 1000, count: 0 };
    window.count += 1;
    remember(windows, bucket, window);
    return window;
  }

  async function overLimit(bucket: string, local: { count: number; endsAt: number }): Promise<number | null> {
    const shared = await within(
      bookkeepingMs,
      limiter.take([{ key: `webhook:${bucket}`, limit: limitPerMinute, window_seconds: windowSeconds }]),
    );
    const sharedWait = shared?.allowed === false ? shared.retry_after_seconds : null;
    // At the limit, not past it: the next bad request is to be answered without any work.
    if (local.count >= limitPerMinute) remember(blocked, bucket, local.endsAt);
    if (sharedWait !== null) remember(blocked, bucket, now() + sharedWait * 1000);
    return sharedWait ?? (local.count > limitPerMinute ? secondsUntil(local.endsAt) : null);
  }

  function secondsUntil(time: number): number {
    return Math.max(1, Math.ceil((time - now()) / 1000));
  }

  function reportLater(reason: string, address: string | null): void {
    // Full: one line per reason for all further addresses, so that the batch stays bounded too.
    const known = unreported.size < capacity ? address : null;
    const key = `${reason} ${addressBucket(known)}`;
    const entry = unreported.get(key) ?? { reason, address: known, count: 0 };
    entry.count += 1;
    unreported.set(key, entry);
    if (reportPlanned) return;
    reportPlanned = true;
    later(report, reportEveryMs);
  }

  async function report(): Promise<void> {
    reportPlanned = false;
    const batch = [...unreported.values()];
    unreported.clear();
    for (const { reason, address, count } of batch) {
      try {
        await rpc.recordWebhookRejection(reason, address, count);
      } catch (error) {
        log.warn("webhook_rejection_not_recorded", { error, count });
      }
    }
  }

  return {
    blockedFor(address) {
      const until = blocked.get(addressBucket(address));
      return until !== undefined && until > now() ? secondsUntil(until) : null;
    },
    async count(reason, address, exempt = false) {
      const bucket = addressBucket(address);
      const local = countLocally(bucket);
      // A picture of the first failures at once; a flood, also one that may not be limited, in batches.
      const written = local.count <= limitPerMinute
        ? within(bookkeepingMs, rpc.recordWebhookRejection(reason, address, 1))
        : reportLater(reason, address);
      const [wait] = await Promise.all([exempt ? null : overLimit(bucket, local), written]);
      return wait;
    },
    countBlocked(address) {
      reportLater("rate_limited", address);
    },
  };

  /** The promise's value, or null when it fails or is late: bookkeeping must not change an answer. */
  async function within<T>(ms: number, promise: Promise<T>): Promise<T | null> {
    const late = Promise.withResolvers<null>();
    const timer = setTimeout(() => late.resolve(null), ms);
    const safe = promise.catch((error) => {
      log.warn("webhook_rejection_not_recorded", { error });
      return null;
    });
    try {
      return await Promise.race([safe, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Sets as the newest entry; the oldest goes when the map is full. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  if (map.size >= capacity) map.delete(map.keys().next().value ?? "");
  map.set(key, value);
}
