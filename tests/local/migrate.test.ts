import assert from "node:assert/strict";
import { migrate } from "../../scripts/local/migrate.ts";
import { adminUrl } from "../../scripts/local/test_database.ts";
import { connect, withDatabaseName } from "../../scripts/lib/connection.ts";
import { StackError } from "../../scripts/lib/errors.ts";

/** An empty database and a folder like `supabase/` with the given files. */
async function project(files: Record<string, string>) {
  const admin = connect(await adminUrl());
  const name = `migrate_${crypto.randomUUID().slice(0, 8)}`;
  await admin.unsafe(`create database ${name}`);
  const dir = await Deno.makeTempDir({ prefix: "kct-migrate-" });
  await Deno.mkdir(`${dir}/migrations`);
  const write = async (files: Record<string, string>) => {
    for (const [path, text] of Object.entries(files)) await Deno.writeTextFile(`${dir}/${path}`, text);
  };
  await write(files);
  const url = withDatabaseName(await adminUrl(), name);
  const sql = connect(url);
  return {
    url,
    dir,
    sql,
    write,
    async [Symbol.asyncDispose]() {
      await sql.end();
      await admin.unsafe(`drop database ${name} with (force)`);
      await admin.end();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

const FIRST = "migrations/20260101000000_shelves.sql";
const SECOND = "migrations/20260102000000_books.sql";

Deno.test("migrate() applies in order, once, and records what the Supabase CLI records", async () => {
  await using test = await project({
    [SECOND]: "insert into public.shelves values (2);\n",
    [FIRST]: "-- why\ncreate table public.shelves (id int);\n\ninsert into public.shelves values (1);\n",
    "seed.sql": "insert into public.shelves values (3);",
  });
  const first = await migrate(test.url, { dir: test.dir });
  assert.deepEqual(first, {
    applied: ["20260101000000_shelves.sql", "20260102000000_books.sql"],
    seeded: true,
  });
  assert.deepEqual(await migrate(test.url, { dir: test.dir }), { applied: [], seeded: false });
  const recorded = await test.sql`
    select version, name, to_json(statements) as statements from supabase_migrations.schema_migrations order by version`;
  assert.deepEqual(recorded.map((row) => [row.version, row.name, row.statements]), [
    ["20260101000000", "shelves", [
      "-- why\ncreate table public.shelves (id int)",
      "insert into public.shelves values (1)",
    ]],
    ["20260102000000", "books", ["insert into public.shelves values (2)"]],
  ]);
  const [shelves] = await test
    .sql`select array_to_string(array_agg(id order by id), ',') as ids from public.shelves`;
  assert.equal(shelves?.ids, "1,2,3");
});

Deno.test("migrate() names file and line of a broken statement and applies nothing of its file", async () => {
  await using test = await project({ [FIRST]: "create table public.shelves (id int);" });
  await migrate(test.url, { dir: test.dir });
  await test.write({
    [SECOND]: "create table public.books (id int);\n\n-- wrong\ncreate table public.pens (\n  id nosuch\n);",
  });
  const error = await migrate(test.url, { dir: test.dir }).catch((error) => error);
  assert.ok(error instanceof StackError);
  assert.match(
    error.message,
    /supabase\/migrations\/20260102000000_books\.sql:5: type "nosuch" does not exist/,
  );
  const [books] = await test.sql`select to_regclass('public.books') as found`;
  assert.equal(books?.found, null);
  await test.write({ [SECOND]: "create table public.books (id int);" });
  assert.deepEqual((await migrate(test.url, { dir: test.dir })).applied, ["20260102000000_books.sql"]);
});

Deno.test("migrate() names the line of a statement that fails on data", async () => {
  await using test = await project({
    [FIRST]: "create table public.shelves (id int primary key);\ninsert into public.shelves values (1);\n\n" +
      "insert into public.shelves\n  values (1);",
  });
  const error = await migrate(test.url, { dir: test.dir }).catch((error) => error);
  assert.match(error.message, /_shelves\.sql:4: duplicate key.*\n.*already exists/);
});

Deno.test("migrate() refuses a database that is ahead of the files", async () => {
  await using test = await project({ [FIRST]: "select 1;", [SECOND]: "select 2;" });
  await migrate(test.url, { dir: test.dir });
  await Deno.remove(`${test.dir}/${SECOND}`);
  const error = await migrate(test.url, { dir: test.dir }).catch((error) => error);
  assert.ok(error instanceof StackError);
  assert.match(error.message, /20260102000000.*--fresh/);
});

Deno.test("new databases have Supabase's roles and auth functions, and no grants on new tables", async () => {
  await using test = await project({ [FIRST]: "create table public.shelves (id int);" });
  await migrate(test.url, { dir: test.dir });
  const [found] = await test.sql`select
    has_table_privilege('anon', 'public.shelves', 'select') as anon,
    has_table_privilege('service_role', 'public.shelves', 'select') as service,
    has_schema_privilege('anon', 'public', 'usage') as usage,
    to_regprocedure('auth.uid()') is not null as uid,
    (select rolbypassrls from pg_roles where rolname = 'service_role') as bypasses,
    (select rolinherit from pg_roles where rolname = 'authenticator') as inherits`;
  assert.deepEqual({ ...found }, {
    anon: false,
    service: false,
    usage: true,
    uid: true,
    bypasses: true,
    inherits: false,
  });
});
