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

Deno.test("the tables that staff read in the table editor say of each column what it is", async () => {
  const tables = ["orders", "order_items", "disputes", "webhook_events"];
  const silent = await sql<{ name: string }[]>`
    select c.relname || '.' || a.attname as name
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relname = any (${tables})
      and col_description(c.oid, a.attnum) is null
    order by 1`;
  assert.deepEqual(silent.map(({ name }) => name), []);
});
