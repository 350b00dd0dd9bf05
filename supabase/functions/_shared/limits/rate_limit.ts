/**
 * One interface, three limiters behind each other: Upstash when it is set up, Postgres when it is not or is
 * down, and the memory of this worker when both are down. A limiter that fails is left alone for a while, so
 * that an outage costs one slow request and not one per caller.
 */
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Call } from "../database/client.ts";
import { type Bucket, limitCalls, type LimitDecision } from "../database/limits.ts";
import type { Metrics } from "../metrics.ts";

export type { Bucket, LimitDecision } from "../database/limits.ts";

/**
 * Counts one request in each bucket and says whether all of them had room. Narrow buckets come first: what one of them
 * refuses uses up none of those behind it, which others share.
 */
export interface RateLimiter {
  take(buckets: Bucket[]): Promise<LimitDecision>;
}

interface Tier {
  name: string;
  limiter: RateLimiter;
  /** Epoch milliseconds until which the tier is left alone. */
  restingUntil: number;
}

const restMs = 10_000;
/** A database that takes longer to count leaves no time for what the caller came for. */
const postgresTimeoutMs = 3_000;

export interface RateLimiterDeps {
  env: Pick<Env, "upstash">;
  call: Pick<Call, "within">;
  log: Logger;
  metrics: Pick<Metrics, "count">;
  now?: () => number;
}

/** The limiter of a function: the tiers that are configured, memory last. */
export function createRateLimiter(
  { env, call, log, metrics, now = Date.now }: RateLimiterDeps,
): RateLimiter {
  const counted = (name: string, limiter: RateLimiter) => countedLimiter(name, limiter, metrics);
  const upstash: Tier[] = env.upstash === null
    ? []
    : [{ name: "upstash", limiter: counted("upstash", createUpstashLimiter(env.upstash)), restingUntil: 0 }];
  const limiter = { take: limitCalls(call.within(() => postgresTimeoutMs, "starts")).takeRateLimits };
  const postgres: Tier = { name: "postgres", limiter: counted("postgres", limiter), restingUntil: 0 };
  const memory = counted("memory", createMemoryLimiter({ now }));
  return createTieredLimiter([...upstash, postgres], memory, log, now);
}

/** The same limiter; what it decides, and that it fails, is counted under its name. */
function countedLimiter(name: string, limiter: RateLimiter, metrics: Pick<Metrics, "count">): RateLimiter {
  return {
    async take(buckets) {
      try {
        const decision = await limiter.take(buckets);
        metrics.count("rate_limit_decisions", [name, decision.allowed ? "allowed" : "refused"]);
        return decision;
      } catch (error) {
        if (!isBusy(error)) metrics.count("rate_limit_decisions", [name, "failed"]);
        throw error;
      }
    },
  };
}

/**
 * Asks the tiers in turn and falls back to `last`, which must not fail.
 * @throws AppError `busy` when the worker has more to ask the database than it takes.
 */
export function createTieredLimiter(
  tiers: Tier[],
  last: RateLimiter,
  log: Logger,
  now: () => number = Date.now,
): RateLimiter {
  return {
    async take(buckets) {
      for (const tier of tiers) {
        if (tier.restingUntil > now()) continue;
        try {
          return await tier.limiter.take(buckets);
        } catch (error) {
          // It is not down: others come first, and would come first at whatever the caller does next.
          if (isBusy(error)) throw error;
          tier.restingUntil = now() + restMs;
          log.warn("rate_limiter_down", { limiter: tier.name, error });
        }
      }
      return await last.take(buckets);
    },
  };
}

/** Whether the limiter was not asked at all, because this worker has too much to ask. */
function isBusy(error: unknown): boolean {
  return error instanceof AppError && error.code === "busy";
}

/** Fixed windows in a bounded map; when it is full, the windows that end first make room. */
export function createMemoryLimiter(
  { now = Date.now, capacity = 10_000 }: { now?: () => number; capacity?: number } = {},
): RateLimiter & { size(): number } {
  const windows = new Map<string, { endsAt: number; count: number }>();

  function count(bucket: Bucket): { refused: boolean; endsAt: number } {
    const key = `${bucket.key}|${bucket.window_seconds}`;
    let window = windows.get(key);
    if (window === undefined || window.endsAt <= now()) {
      windows.delete(key);
      if (windows.size >= capacity) makeRoom(windows, now());
      window = { endsAt: now() + bucket.window_seconds * 1000, count: 0 };
      windows.set(key, window);
    }
    window.count += 1;
    return { refused: window.count > bucket.limit, endsAt: window.endsAt };
  }

  return {
    take(buckets) {
      for (const bucket of buckets) {
        const { refused, endsAt } = count(bucket);
        if (refused) return Promise.resolve(refusal(bucket, endsAt, now()));
      }
      return Promise.resolve(allowed);
    },
    size: () => windows.size,
  };
}

function makeRoom(windows: Map<string, { endsAt: number }>, now: number): void {
  for (const [key, { endsAt }] of windows) if (endsAt <= now) windows.delete(key);
  // Still full of live windows: a map keeps insertion order, so the first tenth is the oldest.
  const surplus = windows.size === 0 ? 0 : Math.ceil(windows.size / 10);
  for (const key of [...windows.keys()].slice(0, surplus)) windows.delete(key);
}

/** Upstash answers in a few milliseconds; past this the fallback is faster. */
const upstashTimeoutMs = 1_000;

/**
 * Sliding windows in Redis through Upstash's REST API; the libraries load on first use only.
 * Throws on failure and on the library's fail-open `timeout` answer, so that the next tier decides.
 */
export function createUpstashLimiter(
  settings: { url: string; token: string },
  timeoutMs: number = upstashTimeoutMs,
): RateLimiter {
  const load = once(async () => {
    const [{ Ratelimit }, { Redis }] = await Promise.all([
      import("@upstash/ratelimit"),
      import("@upstash/redis"),
    ]);
    const redis = new Redis({
      ...settings,
      retry: false,
      enableTelemetry: false,
      enableAutoPipelining: false,
    });
    const ephemeralCache = new Map<string, number>();
    const limiters = new Map<string, InstanceType<typeof Ratelimit>>();
    return (limit: number, windowSeconds: number) => {
      // The library never empties its cache of refused keys; a flood of addresses would.
      if (ephemeralCache.size > 10_000) ephemeralCache.clear();
      const name = `${limit}/${windowSeconds}`;
      const limiter = limiters.get(name) ?? new Ratelimit({
        redis,
        limiter: Ratelimit.slidingWindow(limit, `${windowSeconds} s`),
        prefix: `limit:${name}`,
        ephemeralCache,
        timeout: timeoutMs,
        analytics: false,
      });
      limiters.set(name, limiter);
      return limiter;
    };
  });

  async function takeOne(bucket: Bucket): Promise<{ refused: boolean; endsAt: number }> {
    const limiterFor = await load();
    const answer = await limiterFor(bucket.limit, bucket.window_seconds).limit(bucket.key);
    if (answer.reason === "timeout") throw new Error("Upstash did not answer in time");
    return { refused: !answer.success, endsAt: answer.reset };
  }

  return {
    async take(buckets) {
      for (const bucket of buckets) {
        const { refused, endsAt } = await takeOne(bucket);
        if (refused) return refusal(bucket, endsAt, Date.now());
      }
      return allowed;
    },
  };
}

const allowed: LimitDecision = { allowed: true, retry_after_seconds: 0, key: null };

function refusal({ key }: Bucket, endsAt: number, now: number): LimitDecision {
  return { allowed: false, retry_after_seconds: secondsUntil(endsAt, now), key };
}

function secondsUntil(time: number, now: number): number {
  return Math.max(1, Math.ceil((time - now) / 1000));
}

/** Runs `make` at the first call and again only if it failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make().catch((error) => {
      made = null;
      throw error;
    });
    return made;
  };
}
