/** What the API does not show: the database's own catalogue, read by a session that can only read. */
import { join } from "node:path";
import type postgres from "postgres";
import { openReadOnly } from "../../lib/connection.ts";
import { ROOT } from "../../lib/paths.ts";
import { readAccessRules } from "../access_rules.ts";
import { keptTooLong } from "../kept_too_long.ts";
import { error, type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const shownLimit = 5;
/** What Supabase has and an offline stack does not. */
const extensions = ["pg_cron", "pg_net", "supabase_vault"];
/** Ten years: no purpose of a shop takes longer but bookkeeping, which has no such setting. */
const longestDays = 3_650;

/** Migrations, rights, extensions and clean-up. Needs SUPABASE_DB_URL, and says so without. */
export async function checkCatalogue({ values, kind }: Pick<Subject, "values" | "kind">): Promise<Finding[]> {
  const url = values["SUPABASE_DB_URL"];
  const fix =
    "set SUPABASE_DB_URL to the session pooler's connection string (dashboard, Connect), for this task alone";
  if (url === undefined) {
    return [unseen("migrations, rights, extensions and clean-up of the database were not looked at", fix)];
  }
  await using database = openReadOnly(url);
  try {
    const sql = await database.session();
    return sql === null ? [] : await readCatalogue(sql, kind);
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : "no answer";
    return [unseen(`the database does not show its catalogue (${reason})`, fix)];
  }
}

/** The same with an open session. */
export async function readCatalogue(
  sql: postgres.Sql,
  kind: Subject["kind"],
  root: string = ROOT,
): Promise<Finding[]> {
  const migrations = await checkMigrations(sql, kind, root);
  return [
    ...migrations,
    // Another version has other rules: they are compared with its own.
    ...(migrations.every(({ level }) => level === "ok") ? await checkRights(sql, root) : []),
    ...(kind === "project" ? await checkExtensions(sql) : []),
    ...await checkRetention(sql),
  ];
}

async function checkMigrations(
  sql: postgres.Sql,
  kind: Subject["kind"],
  root: string,
): Promise<Finding[]> {
  const here: string[] = [];
  for await (const { name } of Deno.readDir(join(root, "supabase", "migrations"))) {
    const version = /^(\d{14})_.*\.sql$/.exec(name)?.[1];
    if (version !== undefined) here.push(version);
  }
  const applied = await sql<{ version: string }[]>`select version from supabase_migrations.schema_migrations`;
  const there = new Set(applied.map(({ version }) => version));
  const missing = here.filter((version) => !there.has(version)).sort();
  const unknown = [...there].filter((version) => !here.includes(version)).sort();
  return [
    ...(missing.length === 0 ? [] : [error(
      "migrations_behind",
      `the database lacks ${missing.length} of ${here.length} migrations, from ${missing[0]} on`,
      kind === "local" ? "run 'deno task dev --fresh'" : "run 'deno task setup'",
    )]),
    ...(unknown.length === 0 ? [] : [warning(
      "migrations_ahead",
      `the database has ${unknown.length} migrations that this checkout does not know, from ${unknown[0]} on`,
      "look from the version that is deployed, or deploy a newer one",
    )]),
    ...(missing.length + unknown.length === 0 ? [ok(`all ${here.length} migrations are applied`)] : []),
  ];
}

async function checkRights(sql: postgres.Sql, root: string): Promise<Finding[]> {
  const { found, lacking, surplus } = await readAccessRules(sql, root);
  const differences = [
    ...surplus.map((rule) => judgeRule(rule, "is not in the migrations", "take it back")),
    ...lacking.map((rule) => judgeRule(rule, "is gone", "put it back")),
  ];
  if (differences.length === 0) return [ok(`${found.length} rules of access are those of the migrations`)];
  const more = differences.length - shownLimit;
  return [
    ...differences.slice(0, shownLimit),
    ...(more > 0
      ? [error("rights_changed", `${more} more rules of access differ`, "'deno task pci' lists them all")]
      : []),
  ];
}

function judgeRule(rule: string, what: string, verb: string): Finding {
  const fix = `${verb}: rights change by a migration, never by hand`;
  if (
    /^grant execute on function .* to (?:public|anon|authenticated)$/.test(rule) && verb === "take it back"
  ) {
    return error("function_open_to_all", `anybody may call what nobody granted: ${rule}`, fix);
  }
  return /^(?:policy|(?:NO )?row level security) /.test(rule)
    ? error("row_security_changed", `row-level security was changed: ${rule} ${what}`, fix)
    : error("rights_changed", `rights were changed: ${rule} ${what}`, fix);
}

async function checkExtensions(sql: postgres.Sql): Promise<Finding[]> {
  const there = await sql<{ extname: string }[]>`select extname from pg_extension`;
  const missing = extensions.filter((name) => !there.some(({ extname }) => extname === name));
  return missing.length === 0 ? [ok("pg_cron, pg_net and Vault are enabled")] : [error(
    "extension_missing",
    `${missing.join(", ")} not enabled: the database calls retry-jobs by no means of its own`,
    "enable it in the dashboard (Database, Extensions) and run 'deno task setup', or keep a scheduler of your own",
  )];
}

async function checkRetention(sql: postgres.Sql): Promise<Finding[]> {
  const late = (await keptTooLong(sql)).filter(({ rows }) => rows > 0);
  const endless = await sql<{ key: string; days: string }[]>`
    select key, value #>> '{}' as days from private.settings
    where key like 'retention\\_%\\_days' and (value #>> '{}')::integer > ${longestDays}
  `;
  const findings = [
    ...late.map(({ what, rows }) =>
      warning(
        "retention_off",
        `${rows} rows are kept longer than they may be: ${what}`,
        "see in private.jobs why the job purge fails",
      )
    ),
    ...endless.map(({ key, days }) =>
      warning(
        "retention_off",
        `${key} is ${days} days: nothing is ever deleted`,
        "set a period that a purpose needs (docs/privacy.md)",
      )
    ),
  ];
  return findings.length > 0 ? findings : [ok("what is too old has been deleted")];
}
