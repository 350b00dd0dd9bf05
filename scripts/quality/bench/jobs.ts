/**
 * The queue against its own SQL: how fast retry-jobs' worker drains no-op jobs over HTTP, compared with the same
 * claim and finish statements run by themselves, and whether claiming slows down as finished jobs pile up.
 * `deno run -A scripts/quality/bench/jobs.ts [--jobs 5000] [--finished 1000000]`
 */
import { parseArgs } from "node:util";
import postgres from "postgres";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import type { JobContext } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { queueCalls } from "../../../supabase/functions/_shared/database/jobs.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";
import { startStack } from "../../local/stack.ts";

export interface JobsBench {
  rawPerSecond: number;
  workerPerSecond: number;
  /** Worker over raw; at least 0.5 is asked for. */
  ratio: number;
  claimEmptyMs: number;
  claimFullMs: number;
}

const batch = 100;
const claimRounds = 30;

if (import.meta.main) {
  const { values } = parseArgs({
    options: { jobs: { type: "string", default: "5000" }, finished: { type: "string", default: "1000000" } },
  });
  console.log(await benchJobs(Number(values.jobs), Number(values.finished)));
  Deno.exit(0);
}

/** Measures on a stack of its own, in a temporary folder. */
export async function benchJobs(jobs: number, finished: number): Promise<JobsBench> {
  const dir = await Deno.makeTempDir({ prefix: "kct-bench-jobs-" });
  const stack = await startStack({ dir, quiet: true, jobs: false, web: false });
  const sql = postgres(stack.db_url, { max: 1, onnotice: () => {} });
  try {
    const rpc = queueCalls(
      createCall({ supabaseUrl: stack.api_url, secretKeys: { default: stack.secret_key } }),
    );
    // What mails wait for is the provider, which is not measured here.
    const env = { mailPerSecond: 1_000_000 };
    const context = { rpc, env, now: Date.now, log: createLogger({}, () => {}) } as unknown as JobContext;
    // Once each for warmth, then measured.
    await drainRaw(sql, 500);
    await drainWorker(sql, context, 500);
    const rawPerSecond = await drainRaw(sql, jobs);
    const workerPerSecond = await drainWorker(sql, context, jobs);
    const claimEmptyMs = await claimTime(sql);
    await addFinished(sql, finished);
    const claimFullMs = await claimTime(sql);
    return {
      rawPerSecond: Math.round(rawPerSecond),
      workerPerSecond: Math.round(workerPerSecond),
      ratio: Number((workerPerSecond / rawPerSecond).toFixed(2)),
      claimEmptyMs,
      claimFullMs,
    };
  } finally {
    await sql.end({ timeout: 1 });
    await stack.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

async function fill(sql: postgres.Sql, count: number): Promise<void> {
  await sql`truncate private.jobs`;
  await sql`
    insert into private.jobs (kind, dedupe_key) select 'refresh_refund', 'bench:' || n from generate_series(1, ${count}) n`;
  await sql`vacuum analyze private.jobs`;
}

async function drainRaw(sql: postgres.Sql, count: number): Promise<number> {
  await fill(sql, count);
  const startedAt = performance.now();
  while (true) {
    const claimed = await sql`select * from public.claim_jobs('bench', ${batch}, 60)`;
    if (claimed.length === 0) break;
    const results = claimed.map(({ id, lease_id }) => ({
      id,
      lease_id,
      outcome: "done",
      provider_state: "up",
    }));
    await sql`select public.finish_jobs(${sql.json(results)})`;
  }
  return await rate(sql, count, startedAt);
}

async function drainWorker(sql: postgres.Sql, context: JobContext, count: number): Promise<number> {
  await fill(sql, count);
  const startedAt = performance.now();
  while ((await work(1000, context, () => Promise.resolve({ kind: "done" }))).claimed > 0);
  return await rate(sql, count, startedAt);
}

async function rate(sql: postgres.Sql, count: number, startedAt: number): Promise<number> {
  const seconds = (performance.now() - startedAt) / 1000;
  const [row] =
    await sql`select count(*)::integer as done from private.jobs where status = 'done' and kind = 'refresh_refund'`;
  if (row?.done !== count) throw new Error(`${row?.done} of ${count} jobs are done`);
  return count / seconds;
}

async function addFinished(sql: postgres.Sql, count: number): Promise<void> {
  await sql`
    insert into private.jobs (kind, dedupe_key, status, attempts, run_at, finished_at)
    select 'send_mail', 'finished:' || n, 'done', 1, now() - interval '1 day', now() from generate_series(1, ${count}) n`;
  await sql`vacuum analyze private.jobs`;
}

/** Median milliseconds to claim 20 of 200 jobs. */
async function claimTime(sql: postgres.Sql): Promise<number> {
  await sql`delete from private.jobs where dedupe_key like 'claim:%'`;
  const times: number[] = [];
  for (let round = 0; round < claimRounds; round++) {
    await sql`
      insert into private.jobs (kind, dedupe_key) select 'refresh_refund', format('claim:%s:%s', ${round}::integer, n) from generate_series(1, 20) n`;
    const startedAt = performance.now();
    await sql`select public.claim_jobs('bench', 20, 60)`;
    times.push(performance.now() - startedAt);
  }
  return Number((times.sort((a, b) => a - b)[claimRounds / 2] ?? 0).toFixed(2));
}
