/** Looks once a second at what waits, while the sale goes on and until all of it is done. */
import type { World } from "./world.ts";

/** What waited at one moment. */
export interface Sample {
  /** Milliseconds since the doors opened. */
  atMs: number;
  /** Events that Stripe has not got rid of. */
  deliveries: number;
  /** Jobs that are due. */
  jobs: number;
  /** Connections of the REST API that work, and of these the ones that wait for a lock. */
  working: number;
  locked: number;
  /** What the working ones wait for, by Postgres's names; `` is the processor. */
  waits: Record<string, number>;
}

const everyMs = 1_000;
const tellEveryMs = 5_000;
const heartbeatMs = { least: 5_000, most: 60_000 };

export interface Watch {
  samples: Sample[];
  /** Waits until nothing waits any more; false: something still did at the deadline. */
  drained(deadlineMs: number): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Also beats the heart of the jobs: every minute, as pg_cron does, or as often as the window is long. Tells of some of what
 * it sees while it goes on.
 */
export function watch(
  world: World,
  openedAt: number,
  seconds: number,
  tell: (sample: Sample) => void,
): Watch {
  const samples: Sample[] = [];
  const stopped = new AbortController();
  const pauseMs = Math.max(heartbeatMs.least, Math.min(heartbeatMs.most, seconds * 1_000));
  let toldMs = -Infinity;
  const beating = beat(world, pauseMs, stopped.signal);
  const watching = repeat(everyMs, stopped.signal, async () => {
    const sample = await look(world, openedAt);
    samples.push(sample);
    if (sample.atMs - toldMs < tellEveryMs) return;
    toldMs = sample.atMs;
    tell(sample);
  });
  return {
    samples,
    async drained(deadlineMs) {
      const end = performance.now() + deadlineMs;
      for (let last = await look(world, openedAt); last.deliveries + last.jobs > 0;) {
        if (performance.now() > end) return false;
        await pause(everyMs, stopped.signal);
        last = await look(world, openedAt);
      }
      return true;
    },
    async stop() {
      stopped.abort();
      await Promise.all([beating, watching]);
    },
  };
}

async function look({ sql, stripeUrl }: World, openedAt: number): Promise<Sample> {
  const [answer, [row]] = await Promise.all([
    fetch(`${stripeUrl}/_control/deliveries?limit=1`).then((response) => response.json()),
    sql<Pick<Sample, "jobs" | "working" | "locked" | "waits">[]>`
      select (select count(*)::int from private.jobs
          where status = 'running' or status = 'queued' and run_at <= now()) as jobs,
        count(*) filter (where state = 'active')::int as working,
        count(*) filter (where state = 'active' and wait_event_type = 'Lock')::int as locked,
        (select coalesce(jsonb_object_agg(w.name, w.times), '{}') from (
          select coalesce(a.wait_event_type || ' ' || a.wait_event, '') as name, count(*) as times
          from pg_stat_activity a where a.usename = 'authenticator' and a.state = 'active' group by 1
        ) w) as waits
      from pg_stat_activity where usename = 'authenticator'`,
  ]);
  return {
    atMs: performance.now() - openedAt,
    deliveries: answer.pending,
    jobs: row?.jobs ?? NaN,
    working: row?.working ?? NaN,
    locked: row?.locked ?? NaN,
    waits: row?.waits ?? {},
  };
}

async function beat({ functionsUrl, keys }: World, everyMs: number, stopped: AbortSignal): Promise<void> {
  await repeat(everyMs, stopped, async () => {
    const response = await fetch(`${functionsUrl}/retry-jobs`, {
      method: "POST",
      headers: { apikey: keys.secret_key, "content-type": "application/json" },
      body: JSON.stringify({ limit: 1_000 }),
    });
    await response.body?.cancel();
  });
}

async function repeat(everyMs: number, stopped: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!stopped.aborted) {
    await work();
    await pause(everyMs, stopped);
  }
}

async function pause(ms: number, stopped: AbortSignal): Promise<void> {
  if (stopped.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    stopped.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
