/** A database of its own that is thrown away: the schema of this checkout with what the live database knows. */
import { dirname, join } from "node:path";
import type postgres from "postgres";
import { connect } from "../../lib/connection.ts";
import { migrate, preparePlatform } from "../../local/migrate.ts";
import { startPostgres } from "../../local/postgres.ts";
import { type LiveMoment, quoted, type Tables, tablesOf } from "./live.ts";

/** Where shadows are, in the folder for temporary files; the number is that of the process. */
const FOLDER = /^kct-rehearsal-(\d+)-/;

/**
 * Runs `work` with the URL of an empty database that has Supabase's roles: a server of its own, in a temporary folder
 * that no other account may enter. Whatever happens, Ctrl-C included, the folder is removed before this ends; what a
 * killed process left behind, the next one removes.
 */
export async function inTemporaryPlace<T>(work: (url: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: `kct-rehearsal-${Deno.pid}-` });
  const server = startPostgres({ dir, port: 0 });
  let cleared: Promise<void> | undefined;
  const clear = () =>
    cleared ??= server.then(({ stop }) => stop(), () => {}).then(() => Deno.remove(dir, { recursive: true }));
  const interrupted = () => void clear().finally(() => Deno.exit(130));
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, interrupted);
  try {
    await removeLeftovers(dirname(dir));
    const { url } = await server;
    await preparePlatform(url);
    return await work(url);
  } finally {
    await clear();
    for (const signal of signals) Deno.removeSignalListener(signal, interrupted);
  }
}

async function removeLeftovers(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    const pid = FOLDER.exec(name)?.[1];
    if (pid === undefined || await isAlive(pid)) continue;
    try {
      await Deno.remove(join(folder, name), { recursive: true });
    } catch (error) {
      // Another rehearsal was faster; or it was another account's, which removes its own.
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) continue;
      throw error;
    }
  }
}

async function isAlive(pid: string): Promise<boolean> {
  const { success } = await new Deno.Command("ps", { args: ["-p", pid], stdout: "null", stderr: "null" })
    .output();
  return success;
}

/**
 * Not copied: logs and the trail of them, the queue, and figures. Nothing that settling asks for is among them, and
 * what it would queue has no worker here. The events come to a table of their own.
 */
const LEFT_OUT = new Set([
  "public.webhook_events",
  "public.webhook_rejections",
  "public.order_events",
  "public.inventory_journal",
  "public.staff_commands",
  "public.reconciliation_drift",
  "private.jobs",
  "private.audit_unsealed",
  "private.audit_seals",
  "private.audit_leaves",
  "private.metrics",
  "private.metric_series",
  "private.metric_samples",
  "private.unchecked_orders",
  "private.order_pages",
]);

/** Triggers and foreign keys sleep; a commit does not wait for the disk. */
export function connectAsleep(url: string): postgres.Sql {
  return connect(url, { connection: { session_replication_role: "replica", synchronous_commit: "off" } });
}

/**
 * Brings the live database's rows into the shadow as a deployment would: the migrations that the live database has, its
 * rows, then the migrations that are new. The events, from the first of the wanted orders on, go to `rehearsal.events`.
 */
export async function fillShadow(
  url: string,
  live: LiveMoment,
  wanted: { since: Date | null; limit: number | null },
): Promise<void> {
  const { versions } = live;
  await migrate(url, { seed: false, ...(versions === null ? {} : { only: versions }) });
  const sql = connectAsleep(url);
  try {
    const ours = await tablesOf(sql);
    for (const [table, columns] of live.tables) {
      if (!LEFT_OUT.has(table)) await copyTable(sql, live, ours, table, columns);
    }
    await sql.unsafe(`create schema if not exists rehearsal;
      create table rehearsal.events (like public.webhook_events)`).simple();
    const oldest = await live.oldest(wanted.since, wanted.limit);
    const columns = shared(ours, "public.webhook_events", live.tables.get("public.webhook_events") ?? []);
    // A payment page is made before its order is told of, by another clock.
    const where = oldest === null
      ? "where false"
      : `where received_at >= '${oldest.toISOString()}'::timestamptz - interval '1 hour'`;
    await receive(sql, live, "public.webhook_events", columns, where, "rehearsal.events");
    await sql`create index on rehearsal.events (received_at, id)`;
    await sql`create index on rehearsal.events (object_id)`;
  } finally {
    await sql.end();
  }
  await migrate(url, { seed: false });
}

function shared(ours: Tables, table: string, columns: string[]): string[] {
  const known = new Set(ours.get(table) ?? []);
  return columns.filter((column) => known.has(column));
}

/** A record's text is read back as Postgres wrote it: JSON would take a JSON null for none. */
export async function receive(
  sql: postgres.Sql | postgres.TransactionSql,
  live: LiveMoment,
  table: string,
  columns: string[],
  where: string,
  into: string,
): Promise<void> {
  const list = columns.map(quoted).join(", ");
  let described = false;
  await live.read(table, columns, where, async (rows) => {
    if (!described) {
      await sql.unsafe(`drop table if exists pg_temp.row_of_live;
        create temp table row_of_live as select ${list} from ${into} limit 0`).simple();
      described = true;
    }
    await sql.unsafe(
      `insert into ${into} (${list}) overriding system value select (x.r).* from (
        select r::pg_temp.row_of_live as r from jsonb_array_elements_text($1::text::jsonb) r offset 0
      ) x`,
      [JSON.stringify(rows)],
    );
  });
}

/** Rows that migrations have made stay where the live database has none of their key. */
async function copyTable(
  sql: postgres.Sql,
  live: LiveMoment,
  ours: Tables,
  table: string,
  theirs: string[],
): Promise<void> {
  const columns = shared(ours, table, theirs);
  if (columns.length === 0) return;
  const [made] = await sql.unsafe(`select exists (select from ${table}) as yes`);
  if (made?.["yes"] !== true) {
    await receive(sql, live, table, columns, "", table);
    return;
  }
  const [key] = await sql<{ columns: string[] }[]>`
    select to_jsonb(array_agg(a.attname::text)) as columns
    from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
    where i.indrelid = ${table}::regclass and i.indisprimary`;
  const same = (key?.columns ?? []).map((column) => `t.${quoted(column)} = s.${quoted(column)}`).join(
    " and ",
  );
  const list = columns.map(quoted).join(", ");
  await sql.unsafe(`create temp table arriving (like ${table} including defaults)`);
  await receive(sql, live, table, columns, "", "arriving");
  await sql.unsafe(`delete from ${table} t using arriving s where ${same === "" ? "true" : same}`);
  await sql.unsafe(`insert into ${table} (${list}) overriding system value select ${list} from arriving
    on conflict do nothing`);
  await sql`drop table arriving`;
}

/** The functions of a rehearsal, in the order in which they are made. */
export async function addFunctions(sql: postgres.Sql): Promise<void> {
  for (const file of ["prepare.sql", "replay.sql"]) {
    await sql.unsafe(await Deno.readTextFile(join(import.meta.dirname ?? "", file))).simple();
  }
}
