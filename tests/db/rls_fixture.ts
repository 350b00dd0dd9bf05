/**
 * One row in every table of the schemas, made from the catalogue, so that a new table is covered the day it
 * appears. Check constraints go (the database is thrown away), foreign keys and triggers sleep.
 */
import type postgres from "postgres";

/** The schemas whose objects the access tests look at. */
const SCHEMAS = ["public", "private", "reporting"];

/** A table or view. */
export interface Relation {
  schema: string;
  name: string;
  /** `r` table, `p` partitioned table, `v` view, `m` materialised view. */
  kind: string;
  row_security: boolean;
}

/** All tables and views, in alphabetical order. */
export async function relations(sql: postgres.Sql): Promise<Relation[]> {
  return await sql<Relation[]>`
    select n.nspname as schema, c.relname as name, c.relkind as kind, c.relrowsecurity as row_security
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (${SCHEMAS}) and c.relkind in ('r', 'p', 'v', 'm')
    order by 1, 2`;
}

/** A function or procedure. */
export interface Routine {
  oid: number;
  schema: string;
  name: string;
  /** Name with argument types, as Postgres writes it. */
  signature: string;
  arguments: string[];
  definer: boolean;
  config: string[] | null;
  is_trigger: boolean;
  is_variadic: boolean;
}

/** All functions, extensions' own left out, in alphabetical order. */
export async function routines(sql: postgres.Sql): Promise<Routine[]> {
  return await sql<Routine[]>`
    select p.oid::int, n.nspname as schema, p.proname as name, p.oid::regprocedure::text as signature,
      array(select format_type(t, null) from unnest(p.proargtypes) with ordinality as a (t, i) order by i) as arguments,
      p.prosecdef as definer, p.proconfig as config, p.prorettype = 'trigger'::regtype as is_trigger,
      p.provariadic <> 0 as is_variadic
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = any (${SCHEMAS})
      and not exists (select 1 from pg_depend d where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e')
    order by 2, 4`;
}

/** Puts a row into every table that has none. */
export async function fillTables(sql: postgres.Sql): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    for (const { schema, name } of (await relations(sql)).filter((relation) => relation.kind === "r")) {
      const checks = await tx`select conname from pg_constraint
        where conrelid = ${`${schema}.${name}`}::regclass and contype = 'c'`;
      for (const { conname } of checks) {
        await tx.unsafe(`alter table ${schema}.${name} drop constraint "${conname}"`);
      }
      const [{ count } = { count: 0 }] = await tx.unsafe(
        `select count(*)::int as count from ${schema}.${name}`,
      );
      if (count > 0) continue;
      const columns = await tx`
        select attname as name, format_type(atttypid, null) as type from pg_attribute
        where attrelid = ${`${schema}.${name}`}::regclass and attnum > 0 and not attisdropped and attnotnull
          and not atthasdef and attidentity = '' and attgenerated = ''`;
      const names = columns.map((column) => `"${column["name"]}"`).join(", ");
      const values = columns.map((column) => sample(column["type"])).join(", ");
      await tx.unsafe(
        columns.length === 0
          ? `insert into ${schema}.${name} default values`
          : `insert into ${schema}.${name} (${names}) values (${values})`,
      );
    }
  });
}

function sample(type: string): string {
  if (type.endsWith("[]")) return `'{}'::${type}`;
  switch (type) {
    case "uuid":
      return "gen_random_uuid()";
    case "jsonb":
    case "json":
      return `'{}'::${type}`;
    case "inet":
      return "'192.0.2.1'::inet";
    case "interval":
      return "interval '1 day'";
    case "boolean":
      return "true";
    case "bytea":
      return "'sample'::bytea";
    case "text":
      return "'sample'";
    case "date":
    case "timestamp with time zone":
      return "now()";
    default:
      return `1::${type}`;
  }
}
