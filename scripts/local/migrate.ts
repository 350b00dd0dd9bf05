/**
 * Brings a database to the state of `supabase/`: the platform's roles and schemas, the migrations, the seed.
 * What was applied is recorded as the Supabase CLI records it, so that either can continue where the other stopped.
 */
import { join } from "node:path";
import postgres from "postgres";
import { connect, withDatabaseName } from "../lib/connection.ts";
import { StackError } from "../lib/errors.ts";
import { SUPABASE_DIR } from "../lib/paths.ts";
import { lineAt, splitStatements } from "./sql_statements.ts";

const PLATFORM_SQL = join(import.meta.dirname ?? "", "platform.sql");

type Sql = postgres.Sql;

/**
 * Gives a fresh cluster what Supabase provides, in `postgres` and in every database created from now on; `databases`:
 * in these.
 */
export async function preparePlatform(url: string, databases = ["template1", "postgres"]): Promise<void> {
  const script = await Deno.readTextFile(PLATFORM_SQL);
  for (const database of databases) {
    const sql = connect(withDatabaseName(url, database));
    try {
      await sql.unsafe(script).simple();
    } finally {
      await sql.end();
    }
  }
}

/** What {@linkcode migrate} did. */
export interface MigrationReport {
  applied: string[];
  seeded: boolean;
}

/**
 * Applies the migrations that the database has not seen, then the seed when it has never been seeded. `only`: of the
 * migrations those of these versions, whichever of them there are.
 */
export async function migrate(
  url: string,
  options: { dir?: string; seed?: boolean; only?: Set<string> } = {},
): Promise<MigrationReport> {
  const dir = options.dir ?? SUPABASE_DIR;
  const sql = connect(url);
  try {
    await createHistory(sql);
    const applied = await applyMigrations(sql, join(dir, "migrations"), options.only);
    const seeded = options.seed === false ? false : await applySeed(sql, join(dir, "seed.sql"));
    return { applied, seeded };
  } finally {
    await sql.end();
  }
}

/** Applies SQL files of `dir` in the given order to an empty database, without a history. */
export async function applySchemas(url: string, dir: string, paths: string[]): Promise<void> {
  const sql = connect(url);
  try {
    for (const path of paths) {
      await runFile(sql, join(dir, path), `supabase/${path}`, () => Promise.resolve());
    }
  } finally {
    await sql.end();
  }
}

async function createHistory(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
    alter table supabase_migrations.schema_migrations add column if not exists statements text[];
    alter table supabase_migrations.schema_migrations add column if not exists name text;
    create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);
  `).simple();
}

async function applyMigrations(sql: Sql, dir: string, only?: Set<string>): Promise<string[]> {
  const files = await migrationFiles(dir);
  const rows = await sql<{ version: string }[]>`select version from supabase_migrations.schema_migrations`;
  const known = new Set(rows.map((row) => row.version));
  const missing = [...known].filter((version) => !files.some((file) => file.version === version));
  if (missing.length > 0) {
    throw new StackError(
      `The database has migrations that supabase/migrations does not (${missing.join(", ")}): ` +
        "run 'deno task dev --fresh', or bring the missing files back",
    );
  }
  const applied: string[] = [];
  for (const file of files.filter(({ version }) => !known.has(version) && only?.has(version) !== false)) {
    const statements = await runFile(
      sql,
      join(dir, file.fileName),
      `supabase/migrations/${file.fileName}`,
      (tx, statements) =>
        tx`insert into supabase_migrations.schema_migrations (version, name, statements)
        select ${file.version}, ${file.name}, array(select jsonb_array_elements_text(${
          JSON.stringify(statements)
        }::text::jsonb))`,
    );
    if (statements > 0) applied.push(file.fileName);
  }
  return applied;
}

interface MigrationFile {
  fileName: string;
  version: string;
  name: string;
}

async function migrationFiles(dir: string): Promise<MigrationFile[]> {
  const files: MigrationFile[] = [];
  for await (const entry of Deno.readDir(dir)) {
    const match = /^(\d+)_(.*)\.sql$/.exec(entry.name);
    if (match !== null) files.push({ fileName: entry.name, version: match[1] ?? "", name: match[2] ?? "" });
  }
  return files.sort((a, b) => a.fileName < b.fileName ? -1 : 1);
}

async function applySeed(sql: Sql, path: string): Promise<boolean> {
  const content = await Deno.readFile(path).catch(() => null);
  if (content === null) return false;
  const [seen] = await sql`select from supabase_migrations.seed_files where path = 'supabase/seed.sql'`;
  if (seen !== undefined) return false;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  await runFile(
    sql,
    path,
    "supabase/seed.sql",
    (tx) =>
      tx`insert into supabase_migrations.seed_files (path, hash) values ('supabase/seed.sql', ${digest.toHex()})`,
  );
  return true;
}

type Recorder = (tx: postgres.TransactionSql, statements: string[]) => PromiseLike<unknown>;

/** Runs one file in one transaction; the error of a failing statement names file, line and fix. */
async function runFile(sql: Sql, path: string, shown: string, record: Recorder): Promise<number> {
  const content = await Deno.readTextFile(path);
  const statements = splitStatements(content);
  await sql.begin(async (tx) => {
    for (const statement of statements) {
      try {
        await tx.unsafe(statement.text).simple();
      } catch (cause) {
        throw failedStatement(shown, content, statement, cause);
      }
    }
    await record(tx, statements.map((statement) => statement.text));
  });
  return statements.length;
}

function failedStatement(
  shown: string,
  content: string,
  statement: { text: string; line: number },
  cause: unknown,
): unknown {
  if (!(cause instanceof postgres.PostgresError)) return cause;
  const inStatement = Number(cause.position ?? 0);
  const start = content.indexOf(statement.text);
  const line = inStatement > 0 && start !== -1 ? lineAt(content, start + inStatement - 1) : statement.line;
  const extra = [cause.detail, cause.hint, cause.where].filter(Boolean).map((text) => `\n  ${text}`).join("");
  return new StackError(
    `${shown}:${line}: ${cause.message} (SQLSTATE ${cause.code})${extra}\n` +
      `Fix the statement at that line and start again; nothing of this file was applied.`,
    { cause },
  );
}
