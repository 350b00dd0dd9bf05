/**
 * A real PostgreSQL whose clock and chances are the simulation's: in its databases the functions that tell them have
 * other names, and functions of the simulation have theirs. That happens before the first migration, so that whatever
 * a migration makes (defaults, views, functions) means the simulation's.
 */
import type postgres from "postgres";
import { connect, withDatabaseName } from "../../lib/connection.ts";
import { migrate, preparePlatform } from "../../local/migrate.ts";

const template = "simulated";

/** Clocks and chances of PostgreSQL 17, by name; each gives way to one that follows the simulation. */
const moments = ["now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"];
const chances = ["random", "random_normal", "setseed", "gen_random_uuid", "timeofday"];

const virtualTime = `
do $$
declare
  v_function record;
begin
  for v_function in
    select p.oid::regprocedure as signature, p.proname as name from pg_catalog.pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and p.proname in (${[...moments, ...chances].map((name) => `'${name}'`).join(", ")})
  loop
    execute format('alter function %s rename to %I', v_function.signature, 'real_' || v_function.name);
  end loop;
end $$;

create schema simulation;
grant usage on schema simulation to public;
create sequence simulation.draws;
grant usage on sequence simulation.draws to public;
${
  moments.map((name) => `
create function pg_catalog.${name}() returns timestamptz language sql
  ${name === "clock_timestamp" ? "volatile" : "stable"} parallel restricted
as $$ select current_setting('simulation.now')::timestamptz $$;`).join("")
}

create function simulation.draw() returns text language sql volatile parallel unsafe
as $$ select md5(current_setting('simulation.seed') || '/' || nextval('simulation.draws')) $$;
create function pg_catalog.random() returns double precision language sql volatile parallel unsafe
as $$ select ('x' || substr(simulation.draw(), 1, 8))::bit(32)::bigint / 4294967296.0::double precision $$;
create function pg_catalog.gen_random_uuid() returns uuid language sql volatile parallel unsafe
as $$ select overlay(overlay(simulation.draw() placing '4' from 13) placing '8' from 17)::uuid $$;
`;

/** Makes the template on a server where there is none yet. */
export async function prepareTemplate(adminUrl: string): Promise<void> {
  const admin = connect(adminUrl);
  try {
    await admin`select pg_advisory_lock(hashtext('simulated template'))`;
    const [found] = await admin`select from pg_database where datname = ${template}`;
    if (found !== undefined) return;
    const half = `${template}_half`;
    await admin.unsafe(`drop database if exists ${half} with (force)`);
    await admin.unsafe(`create database ${half} template template0`);
    await fill(withDatabaseName(adminUrl, half));
    await admin.unsafe(`alter database ${half} rename to ${template}`);
  } finally {
    await admin.end();
  }
}

async function fill(url: string): Promise<void> {
  const sql = connect(url);
  try {
    await sql.unsafe(virtualTime).simple();
    // What seeds and migrations write is written at one moment, as long as nobody says another.
    const name = sql.options.database;
    await sql.unsafe(`alter database ${name} set simulation.now = '2026-03-01T00:00:00Z'`);
    await sql.unsafe(`alter database ${name} set simulation.seed = 'template'`);
    await preparePlatform(url, [name]);
    await migrate(url);
  } finally {
    await sql.end();
  }
  // When it cleans up is a matter of real time, and where rows lie decides in which order they are found.
  const again = connect(url);
  try {
    await again.unsafe(`do $$
      declare
        v_table regclass;
      begin
        for v_table in select c.oid from pg_catalog.pg_class c
          where c.relkind = 'r' and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        loop
          execute format('alter table %s set (autovacuum_enabled = false)', v_table);
        end loop;
      end $$`);
  } finally {
    await again.end();
  }
}

/** Bytes of a table that is worth it. */
const worthwhile = 2 * 8192;

/**
 * Removes what is dead and counts what is there, with an outcome that nothing outside of the database decides. `full`
 * leaves no room between the rows: into which room the next one goes is something that a backend remembers until any
 * database of the server is made or dropped. Of tables this small every row is counted.
 */
async function tidyUp(sql: postgres.Sql): Promise<void> {
  const [tables] = await sql`select string_agg(c.oid::regclass::text, ', ' order by c.oid) as list
    from pg_catalog.pg_class c where c.relkind = 'r'
      and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      and pg_relation_size(c.oid) > ${worthwhile}`;
  if (tables?.["list"] === null) return;
  await sql.unsafe(
    `vacuum (full, analyze) ${tables?.["list"]}`,
  );
}

/** A database of one world. */
export interface WorldDatabase extends AsyncDisposable {
  url: string;
  /** One connection as superuser, for whoever judges. */
  sql: postgres.Sql;
  /** Does what autovacuum would do, at a moment of the world's. */
  tidy(): Promise<void>;
}

/** Clones the template; disposing of it drops the clone. */
export async function createWorldDatabase(adminUrl: string, seed: number): Promise<WorldDatabase> {
  const name = `world_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const admin = connect(adminUrl);
  try {
    await admin`select pg_advisory_lock(hashtext('clone test database'))`;
    await admin.unsafe(`create database ${name} template ${template} strategy file_copy`);
    await admin.unsafe(`alter database ${name} set simulation.now = '2026-03-01T00:00:00Z'`);
    await admin.unsafe(`alter database ${name} set simulation.seed = '${Math.trunc(seed)}'`);
    // By an index rows come in its order, otherwise in the order in which they lie.
    for (const scan of ["seqscan", "bitmapscan"]) {
      await admin.unsafe(`alter database ${name} set enable_${scan} = off`);
    }
  } finally {
    await admin.end();
  }
  const url = withDatabaseName(adminUrl, name);
  const sql = connect(url, { max_lifetime: null });
  await sql`select 1`;
  const witness = await openWitness(url);
  return {
    url,
    sql,
    tidy: async () => {
      await witness.unsafe("commit");
      await tidyUp(sql);
      await look(witness);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([sql.end({ timeout: 1 }), witness.end({ timeout: 1 })]);
      const admin = connect(adminUrl);
      await admin.unsafe(`drop database if exists ${name} with (force)`);
      await admin.end();
    },
  };
}

/**
 * A transaction that may see every row there ever was, so that none is cleaned away. When that happens is decided by
 * other databases of the server (their oldest transaction), and where rows lie decides in which order they are found.
 */
async function openWitness(url: string): Promise<postgres.Sql> {
  const witness = connect(url, { max_lifetime: null });
  await look(witness);
  return witness;
}

async function look(witness: postgres.Sql): Promise<void> {
  await witness.unsafe("begin isolation level repeatable read");
  await witness`select 1`;
}
