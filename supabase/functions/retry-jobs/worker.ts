/**
 * Claims due jobs and runs them, a few at a time, within the platform's limits (2 s CPU, 150 s wall clock).
 * Leases make overlapping invocations safe: no job runs twice at a time, and a killed worker's jobs come back.
 */
import type { Logger } from "../_shared/log.ts";
import { type JobContext, needsStripe, type Outcome, runJob } from "../_shared/jobs/mod.ts";
import type { Job } from "../_shared/rpc.ts";

export interface Tally {
  claimed: number;
  succeeded: number;
  retried: number;
  discarded: number;
  dead: number;
}

/** Jobs at a time: enough to hide the providers' latency, below Stripe's sandbox limit of 25 requests a second. */
const parallel = 8;
const batchSize = 32;
/** Longer than the slowest batch: four rounds of two Stripe calls, 8.5 s each, and the database in between. */
const leaseSeconds = 120;
/** No new batch after this; what is running then still ends before the platform does. */
const claimForMs = 60_000;
/** After this many failures in a row Stripe is taken for dead, and its jobs wait without burning attempts. */
const failuresUntilOpen = 5;
const openForMs = 60_000;

/** Claims and runs up to `limit` jobs. */
export async function work(limit: number, context: JobContext): Promise<Tally> {
  const tally: Tally = { claimed: 0, succeeded: 0, retried: 0, discarded: 0, dead: 0 };
  const worker = crypto.randomUUID();
  const breaker = createBreaker(context.now);
  const startedAt = context.now();
  while (tally.claimed < limit && context.now() - startedAt < claimForMs) {
    const wanted = Math.min(batchSize, limit - tally.claimed);
    const { jobs } = await context.rpc.claimJobs(worker, wanted, leaseSeconds, null);
    tally.claimed += jobs.length;
    await inParallel(jobs, (job) => runOne(job, breaker, context, tally));
    if (jobs.length < wanted) break;
  }
  return tally;
}

async function runOne(job: Job, breaker: Breaker, context: JobContext, tally: Tally): Promise<void> {
  const log = context.log.with({ job_id: job.id, kind: job.kind, attempt: job.attempts });
  const startedAt = context.now();
  const outcome = breaker.waits(job) ?? await runJob(job, { ...context, log });
  breaker.note(job, outcome);
  try {
    const { finished, status } = await finish(job, outcome, context);
    if (finished) count(tally, outcome, status);
    report(log, outcome, finished ? status : "lease_lost", context.now() - startedAt);
  } catch (error) {
    // The lease runs out and the job comes back; its idempotency keys make the repetition harmless.
    tally.retried += 1;
    log.error("job_not_finished", { error });
  }
}

function finish(job: Job, outcome: Outcome, { rpc }: JobContext) {
  switch (outcome.kind) {
    case "done":
      return rpc.finishJob(job, "done", null, null);
    case "discard":
      return rpc.finishJob(job, "discard", outcome.reason, null);
    case "retry":
      return rpc.finishJob(job, "retry", outcome.error, outcome.after ?? null);
    case "snooze":
      return rpc.finishJob(job, "snooze", outcome.reason, outcome.until);
  }
}

function count(tally: Tally, outcome: Outcome, status: string): void {
  if (status === "dead") tally.dead += 1;
  else if (outcome.kind === "done") tally.succeeded += 1;
  else if (outcome.kind === "discard") tally.discarded += 1;
  else tally.retried += 1;
}

function report(log: Logger, outcome: Outcome, status: string, durationMs: number): void {
  const fields = { outcome: outcome.kind, status, duration_ms: durationMs };
  switch (outcome.kind) {
    case "done":
      return log.info("job_finished", fields);
    case "snooze":
      return log.warn("job_finished", {
        ...fields,
        reason: outcome.reason,
        until: outcome.until.toISOString(),
      });
    case "discard":
      return log.warn("job_finished", { ...fields, reason: outcome.reason });
    case "retry":
      return log[status === "dead" ? "error" : "warn"]("job_finished", { ...fields, reason: outcome.error });
  }
}

interface Breaker {
  /** What to do instead of running the job, or null to run it. */
  waits(job: Job): Outcome | null;
  note(job: Job, outcome: Outcome): void;
}

/** Keeps Stripe's jobs from burning attempts while Stripe is down or our key is wrong. */
function createBreaker(now: () => number): Breaker {
  let failures = 0;
  let closedUntil: { until: Date; reason: string } | null = null;
  return {
    waits: (job) => closedUntil !== null && needsStripe(job.kind) ? { kind: "snooze", ...closedUntil } : null,
    note(job, outcome) {
      if (!needsStripe(job.kind) || closedUntil !== null) return;
      failures = outcome.kind === "retry" ? failures + 1 : 0;
      if (outcome.kind === "snooze") closedUntil = { until: outcome.until, reason: outcome.reason };
      else if (failures >= failuresUntilOpen) {
        closedUntil = { until: new Date(now() + openForMs), reason: "stripe is failing; waiting" };
      }
    },
  };
}

async function inParallel<T>(items: T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const lanes = Array.from({ length: Math.min(parallel, items.length) }, async () => {
    for (const item of queue) await run(item);
  });
  await Promise.all(lanes);
}
