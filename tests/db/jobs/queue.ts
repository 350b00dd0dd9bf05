/** The queue's SQL functions as tests call them. */
import type postgres from "postgres";

type Db = postgres.Sql | postgres.ReservedSql | postgres.TransactionSql;

export interface ClaimedJob {
  id: number;
  kind: string;
  payload: Record<string, unknown>;
  attempts: number;
  max_attempts: number;
  lease_id: string;
}

export interface Result {
  outcome: string;
  reason?: string;
  run_at?: string;
  alert?: string;
  provider_state?: string;
}

/** Queues `count` jobs of a kind; returns their ids. */
export async function enqueue(
  sql: postgres.Sql,
  kind: string,
  count = 1,
  options: { runAt?: string; priority?: number; maxAttempts?: number; payload?: Record<string, unknown> } =
    {},
): Promise<number[]> {
  const { runAt = "now", priority = 100, maxAttempts = null, payload = {} } = options;
  await sql`
    select private.enqueue_job(${kind}, ${kind} || ':' || gen_random_uuid(), ${
    sql.json(payload as postgres.JSONValue)
  },
      ${runAt}::text::timestamptz, ${priority}, ${maxAttempts})
    from generate_series(1, ${count})`;
  const rows = await sql<{ id: number }[]>`
    select id::integer from private.jobs where kind = ${kind} order by private.jobs.id desc limit ${count}`;
  return rows.map(({ id }) => id).reverse();
}

/** Claims due jobs; with `kinds`, as if nothing else were due. */
export async function claim(
  sql: Db,
  limit: number,
  options: { worker?: string; leaseSeconds?: number; kinds?: string[] } = {},
): Promise<ClaimedJob[]> {
  const { worker = "test", leaseSeconds = 60, kinds } = options;
  const postpone = async (days: number) => {
    if (kinds === undefined) return;
    await sql`update private.jobs set run_at = run_at + make_interval(days => ${days})
      where status = 'queued' and not kind = any (${kinds})`;
  };
  await postpone(1000);
  const rows = await sql<{ job: ClaimedJob }[]>`
    select to_jsonb(j) as job from public.claim_jobs(${worker}, ${limit}, ${leaseSeconds}) j`;
  await postpone(-1000);
  return rows.map(({ job }) => job);
}

/** Ends jobs, each with the same result; returns whether and how. */
export async function finish(
  sql: Db,
  jobs: Pick<ClaimedJob, "id" | "lease_id">[],
  result: Result,
): Promise<{ id: number; finished: boolean; status: string | null }[]> {
  const results = jobs.map(({ id, lease_id }) => ({ id, lease_id, ...result }));
  const ended = await sql<{ id: number; finished: boolean; status: string | null }[]>`
    select id::integer, finished, status
    from public.finish_jobs(${sql.json(results as unknown as postgres.JSONValue)})`;
  return ended.map((row) => ({ ...row }));
}

export interface JobRow {
  id: number;
  status: string;
  attempts: number;
  lost_leases: number;
  last_error: string | null;
  run_at: Date;
  wait_seconds: number;
}

export async function jobRow(sql: postgres.Sql, id: number): Promise<JobRow> {
  const [row] = await sql<JobRow[]>`
    select id::integer, status, attempts, lost_leases, last_error, run_at,
      extract(epoch from run_at - now())::double precision as wait_seconds
    from private.jobs where id = ${id}`;
  if (row === undefined) throw new Error(`no job ${id}`);
  return row;
}

/** The worker that holds these jobs is dead, and its leases have run out. */
export async function expireLeases(sql: Db): Promise<void> {
  await sql`update private.jobs set leased_until = now() - interval '1 second' where status = 'running'`;
}

/** Everything that waits is due now. */
export async function makeDue(sql: postgres.Sql): Promise<void> {
  await sql`update private.jobs set run_at = now() where status = 'queued'`;
}

/** Forgets all jobs, alerts and breakers, for the next test of the file. */
export async function clearQueue(sql: postgres.Sql): Promise<void> {
  await sql`truncate private.jobs, private.circuit_breakers, public.alerts, public.webhook_events`;
}

export async function alertsOf(sql: postgres.Sql, kind: string) {
  return await sql<{ severity: string; status: string; count: number; data: Record<string, unknown> }[]>`
    select severity, status, count, data from public.alerts where kind = ${kind}`;
}

/** Empties tables and what hangs on them, the audit trail too: past its triggers, and with its chain. */
export async function emptyTables(sql: postgres.Sql, list: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx.unsafe(`truncate ${list}, private.audit_unsealed, private.audit_leaves, private.audit_seals
      cascade`);
  });
}
