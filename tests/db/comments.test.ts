import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("every table, view and function says in a comment what it is", async () => {
  const silent = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace::regnamespace::text in ('public', 'private', 'reporting')
      and c.relkind in ('r', 'p', 'v', 'm') and obj_description(c.oid, 'pg_class') is null
    union all
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace::regnamespace::text in ('public', 'private', 'reporting')
      and obj_description(p.oid, 'pg_proc') is null
    order by 1`;
  assert.deepEqual(silent.map(({ name }) => name), []);
});
