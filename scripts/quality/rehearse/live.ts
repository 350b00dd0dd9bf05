/** The live database, of which a rehearsal reads one moment and where it writes nothing. */
import type postgres from "postgres";
import { isLoopback } from "../../../supabase/functions/_shared/http/loopback.ts";
import { connect } from "../../lib/connection.ts";
import { TaskError } from "../../lib/errors.ts";

const ROWS_AT_ONCE = 1_000;

/** Columns of each table of `public` and `private`, by `schema.table`. */
export type Tables = Map<string, string[]>;

/** One moment of the live database. */
export interface LiveMoment {
  tables: Tables;
  /** Versions of its migrations; null when it keeps no record of them. */
  versions: Set<string> | null;
  /** When the oldest of the orders that are wanted began; null: there is none. */
  oldest(since: Date | null, limit: number | null): Promise<Date | null>;
  /** Reads columns of a table, and gives its rows in batches, each row as the text of a record. */
  read(
    table: string,
    columns: string[],
    where: string,
    into: (rows: string[]) => Promise<unknown>,
  ): Promise<void>;
}

/**
 * Runs `read` in one transaction that sees one moment and that Postgres itself keeps from writing. Ends it before
 * anything else is done, so that the live database is not kept from cleaning up.
 */
export async function atOneMoment(url: string, read: (live: LiveMoment) => Promise<void>): Promise<void> {
  const sql = connect(url, {
    // Names and addresses travel: never in the open, unless the URL says so.
    ...(new URL(url).searchParams.has("sslmode")
      ? {}
      : { ssl: isLoopback(url) ? false : "require" as const }),
    connection: { application_name: "rehearse", default_transaction_read_only: true },
  });
  try {
    await sql.begin("isolation level repeatable read read only", async (tx) => {
      await tx`set local statement_timeout = 0`;
      await tx`set local idle_in_transaction_session_timeout = 0`;
      // Rows that a policy hides would be missing without a word.
      await tx`set local row_security = off`;
      await read(await momentOf(tx));
    });
  } catch (error) {
    const problem = problemOf(error);
    if (problem !== null) throw new TaskError(problem, { cause: error });
    throw error;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** What somebody can do something about; null: a defect of ours. */
function problemOf(error: unknown): string | null {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "42501") {
    return "The role may not read the whole live database: connect as postgres, or as a role with pg_read_all_data " +
      "that bypasses row-level security";
  }
  const closed = /^(E[A-Z]+|CONNECT_TIMEOUT|CONNECTION_[A-Z]+|28\w{3}|3D000)$/.test(code);
  return closed ? "The live database does not let us in" : null;
}

async function momentOf(tx: postgres.TransactionSql): Promise<LiveMoment> {
  const tables = await tablesOf(tx);
  if (!tables.has("public.webhook_events") || !tables.has("public.orders")) {
    throw new TaskError(
      "The live database has no orders and no webhook_events: --db-url names another database",
    );
  }
  return {
    tables,
    versions: await versionsOf(tx),
    async oldest(since, limit) {
      const [row] = await tx<{ oldest: Date | null }[]>`select min(o.created_at) as oldest from (
        select created_at from public.orders where ${since}::timestamptz is null or created_at >= ${since}
        order by created_at desc limit ${limit}
      ) o`;
      return row?.oldest ?? null;
    },
    async read(table, columns, where, into) {
      const list = columns.map(quoted).join(", ");
      // The batch before is written while this one is read.
      let written: Promise<unknown> = Promise.resolve();
      const rows = tx.unsafe<{ row: string }[]>(`select row(${list})::text as row from ${table} ${where}`);
      await rows.cursor(ROWS_AT_ONCE, async (batch) => {
        await written;
        written = into(batch.map(({ row }) => row));
      });
      await written;
    },
  };
}

/** A column's name in SQL. */
export function quoted(column: string): string {
  return `"${column.replaceAll('"', '""')}"`;
}

/** What a database has, generated columns left out. */
export async function tablesOf(sql: postgres.Sql | postgres.TransactionSql): Promise<Tables> {
  const rows = await sql<{ name: string; columns: string[] }[]>`
    select n.nspname || '.' || quote_ident(c.relname) as name,
      to_jsonb(array_agg(a.attname::text order by a.attnum)) as columns
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace and n.nspname in ('public', 'private')
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    where c.relkind in ('r', 'p') and not c.relispartition
    group by 1`;
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}

async function versionsOf(tx: postgres.TransactionSql): Promise<Set<string> | null> {
  const [there] = await tx`select to_regclass('supabase_migrations.schema_migrations') is not null as yes`;
  if (there?.["yes"] !== true) return null;
  const rows = await tx<{ version: string }[]>`select version from supabase_migrations.schema_migrations`;
  return new Set(rows.map(({ version }) => version));
}
