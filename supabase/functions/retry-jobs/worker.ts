/**
 * Claims due jobs and runs them, a few at a time, within the platform's limits (2 s CPU, 150 s wall clock).
 * Leases make overlapping invocations safe: no job runs twice at a time, and a killed worker's jobs come back.
 */
import { inLanes } from "../_shared/jobs/lanes.ts";
import { type JobContext, type Outcome, runJob } from "../_shared/jobs/mod.ts";
import type { Logger } from "../_shared/log.ts";
import type { Job } from "../_shared/database/jobs.ts";
import { tracedFetch } from "../_shared/telemetry/traced_fetch.ts";
import { createFinisher, type Tally } from "./finisher.ts";
import { createPace } from "./pace.ts";

/** Jobs at a time: enough to hide the providers' latency, below Stripe's sandbox limit of 25 requests a second. */
const lanes = 8;
/** A batch is what the last one's speed makes about a second of work, so that a crash or a slow provider hits few. */
const batchFirst = 16;
const batchMax = 100;
/** A job takes about 2.5 ms of CPU (measured with the stand-in); this many stay well below the platform's 2 s. */
const jobsMax = 500;
/** No new batch after this. */
const claimForMs = 60_000;
/** No job is started after this; the slowest takes 40 s, and the platform ends us at 150 s. */
const startForMs = 100_000;
/** Longer than any invocation lasts, so that a lease that ran out means a dead worker. */
const leaseSeconds = 160;

export type Run = (job: Job, context: JobContext) => Promise<Outcome>;

/**
 * Queues what is due by the clock, then claims and runs up to `limit` jobs, or as many as one invocation may. Mails to
 * customers leave at the rate that the provider takes them at; meanwhile the others run.
 */
export async function work(
  limit: number,
  context: JobContext,
  run: Run = runJob,
  wait: (ms: number) => Promise<unknown> = delay,
): Promise<Tally> {
  const { rpc, now, log, env } = context;
  const startedAt = now();
  const worker = crypto.randomUUID();
  const finisher = createFinisher(context);
  await heartbeat(context);
  const most = Math.min(limit, jobsMax);
  const pace = createPace(env.mailPerSecond, now);
  let wanted = batchFirst;
  /** The last claim took every mail that it might, so more may be waiting. */
  let moreMails = false;
  while (finisher.tally.claimed < most && now() - startedAt < claimForMs) {
    const claimedAt = now();
    const mails = pace.allowed();
    const jobs = await claim(Math.min(wanted, most - finisher.tally.claimed), mails);
    if (jobs === null) break;
    const claimedMails = jobs.filter(({ kind }) => kind === "send_mail").length;
    pace.take(claimedMails);
    if (mails > 0) moreMails = claimedMails >= mails;
    if (jobs.length === 0) {
      if (!moreMails) break;
      await wait(pace.msToNext());
      continue;
    }
    finisher.tally.claimed += jobs.length;
    await inLanes(jobs, Math.min(lanes, jobs.length), async (job) => {
      const late = now() - startedAt > startForMs;
      finisher.add(job, late ? released(now()) : await runOne(job, run, context));
    });
    const seconds = Math.max(now() - claimedAt, 1) / 1000;
    wanted = Math.min(batchMax, Math.max(lanes, Math.round(jobs.length / seconds)));
  }
  await finisher.drained();
  return finisher.tally;

  /** Null when it failed after others had succeeded. */
  async function claim(count: number, mails: number): Promise<Job[] | null> {
    try {
      return await rpc.claimJobs(worker, count, leaseSeconds, mails);
    } catch (error) {
      await finisher.drained();
      if (finisher.tally.claimed === 0) throw error;
      log.error("jobs_not_claimed", { error });
      return null;
    }
  }
}

/** What is due by the clock can wait for the next call; what is queued cannot. */
async function heartbeat({ rpc, log, env }: JobContext): Promise<void> {
  try {
    await rpc.enqueuePeriodicJobs({ admin_require_mfa: env.adminRequireMfa });
  } catch (error) {
    log.error("periodic_jobs_not_queued", { error });
  }
}

async function runOne(job: Job, run: Run, context: JobContext): Promise<Outcome> {
  const about = job.order_id === null ? {} : { order_id: job.order_id };
  const log = context.log.with({ job_id: job.id, kind: job.kind, attempt: job.attempts, ...about });
  const span = log.tracer?.start({ name: `job ${job.kind}`, kind: "internal" });
  if (job.order_id !== null) span?.concerns(job.order_id);
  const startedAt = context.now();
  const fetcher = span === undefined ? context.fetch : tracedFetch(context.fetch, span);
  const outcome = await run(job, { ...context, log, fetch: fetcher });
  report(log, outcome, context.now() - startedAt);
  span?.set({
    "job.id": job.id,
    "job.kind": job.kind,
    "job.attempt": job.attempts,
    "job.outcome": outcome.kind,
  });
  span?.end(isFailure(outcome) ? outcome.kind : null);
  return outcome;
}

function delay(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}

function released(now: number): Outcome {
  return { kind: "snooze", until: new Date(now), reason: "the worker ran out of time before it started" };
}

/** What is discarded without an alert was not needed any more. */
function isFailure(outcome: Outcome): boolean {
  return outcome.kind === "retry" || (outcome.kind === "discard" && outcome.alert !== undefined);
}

function report(log: Logger, outcome: Outcome, durationMs: number): void {
  const fields = { outcome: outcome.kind, duration_ms: durationMs };
  switch (outcome.kind) {
    case "done":
      return log.info("job_run", fields);
    case "discard":
      return isFailure(outcome)
        ? log.warn("job_run", { ...fields, reason: outcome.reason })
        : log.info("job_run", { ...fields, reason: outcome.reason });
    case "retry":
      return log.warn("job_run", { ...fields, reason: outcome.error });
    case "snooze":
      return log.info("job_run", { ...fields, reason: outcome.reason, until: outcome.until.toISOString() });
  }
}
