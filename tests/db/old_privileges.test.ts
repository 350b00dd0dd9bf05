/**
 * Projects made before 2026 grant everything in `public` to the API roles by default; later ones grant nothing. The
 * migrations must lead to the same rights on both.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { migrate } from "../../scripts/local/migrate.ts";
import { adminUrl, createTestDatabase } from "../../scripts/local/test_database.ts";
import { admin, asRole, sqlstateOf } from "../support/role.ts";
import { connect, withDatabaseName } from "../../scripts/lib/connection.ts";

/** All that the API roles may do in our schemas: to tables, columns, sequences and functions. */
async function rights(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql`
    with role as (select unnest(array['anon', 'authenticated', 'service_role', 'public']) as name),
    schema as (select oid, nspname from pg_namespace where nspname in ('public', 'private', 'reporting'))
    select format('%s: %s on %I.%I', r.name, p, s.nspname, c.relname) as "right"
    from schema s join pg_class c on c.relnamespace = s.oid and c.relkind in ('r', 'p', 'v', 'm'), role r,
      unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']) p
    where has_table_privilege(r.name, c.oid, p)
    union all
    select format('%s: %s on %I.%I (%I)', r.name, p, s.nspname, c.relname, a.attname)
    from schema s join pg_class c on c.relnamespace = s.oid and c.relkind in ('r', 'p', 'v', 'm')
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped, role r,
      unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
    where has_column_privilege(r.name, c.oid, a.attnum, p)
    union all
    select format('%s: %s on sequence %I.%I', r.name, p, s.nspname, c.relname)
    from schema s join pg_class c on c.relnamespace = s.oid and c.relkind = 'S', role r,
      unnest(array['USAGE', 'SELECT', 'UPDATE']) p
    where has_sequence_privilege(r.name, c.oid, p)
    union all
    select format('%s: %s', r.name, f.oid::regprocedure)
    from schema s join pg_proc f on f.pronamespace = s.oid, role r
    where has_function_privilege(r.name, f.oid, 'EXECUTE')
    order by 1`;
  return rows.map((row) => row["right"]);
}

Deno.test("the migrations give the API roles the same rights on a project with the old default privileges", async () => {
  const name = `test_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const server = connect(await adminUrl());
  await using fresh = await createTestDatabase();
  const url = withDatabaseName(await adminUrl(), name);
  try {
    await server.unsafe(`create database ${name} template template1`);
    const old = postgres(url, { max: 1, onnotice: () => {} });
    try {
      for (const kind of ["tables", "functions", "sequences"]) {
        await old.unsafe(`alter default privileges in schema public
          grant all on ${kind} to anon, authenticated, service_role`);
      }
      await old`create table public.probe (id integer)`;
      assert((await rights(old)).includes("anon: DELETE on public.probe"), "the old defaults are in force");
      await old`drop table public.probe`;
      await migrate(url, { seed: false });

      assert.deepEqual(await rights(old), await rights(fresh.sql));
      await old.unsafe(
        "create function public.brand_new() returns int language sql set search_path = '' as 'select 1'",
      );
      assert.deepEqual((await rights(old)).filter((right) => right.includes("brand_new")), []);
      const forged = asRole(
        old,
        admin("aal2"),
        (tx) =>
          tx`insert into public.staff_commands (command, args, actor)
          values ('cancel_order', '{"order_number":"x"}', 'somebody else')`,
      );
      assert.equal(await sqlstateOf(forged), "42501");
    } finally {
      await old.end();
    }
  } finally {
    await server.unsafe(`drop database if exists ${name} with (force)`);
    await server.end();
  }
});
