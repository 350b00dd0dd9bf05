/** `supabase/schemas`, its list, and the migrations made from it. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { firstDifference } from "../../scripts/quality/ok/schemas.ts";
import { describeDatabase } from "../../scripts/quality/ok/schema_snapshot.ts";
import {
  generateMigrations,
  schemaPathProblems,
  staleMigrations,
  writeMigrations,
} from "../../scripts/lib/schemas.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";

/** A project folder with the given list, schema files and changelog. */
async function project(list: string[], files: Record<string, string>) {
  const root = await Deno.makeTempDir({ prefix: "kct-schemas-" });
  const write = async (path: string, text: string) => {
    await Deno.mkdir(dirname(join(root, path)), { recursive: true });
    await Deno.writeTextFile(join(root, path), text);
  };
  await Deno.mkdir(join(root, "supabase/migrations"), { recursive: true });
  await write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n");
  await write(
    "supabase/config.toml",
    `[db.migrations]\nschema_paths = [\n${
      list.map((path) => `  "./schemas/${path}",\n`).join("")
    }]\n\n[db.seed]\n`,
  );
  for (const [path, text] of Object.entries(files)) await write(`supabase/schemas/${path}`, text);
  return {
    root,
    supabase: join(root, "supabase"),
    write,
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

for (
  const [what, list, problem] of [
    ["lacks a file", ["a/one.sql"], /lacks .*a\/two\.sql/],
    [
      "names a file that is not there",
      ["a/one.sql", "a/two.sql", "b/three.sql"],
      /b\/three\.sql: no such file/,
    ],
    ["names a file twice", ["a/one.sql", "a/two.sql", "a/one.sql"], /a\/one\.sql twice/],
  ] as const
) {
  Deno.test(`schemaPathProblems() finds a list that ${what}`, async () => {
    await using test = await project([...list], { "a/one.sql": "select 1;\n", "a/two.sql": "select 2;\n" });
    const problems = await schemaPathProblems(test.supabase);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", problem);
  });
}

Deno.test("schemaPathProblems() finds a subject whose files do not stand together, and lets a good list be", async () => {
  const files = { "a/one.sql": "", "a/two.sql": "", "b/three.sql": "" };
  await using scattered = await project(["a/one.sql", "b/three.sql", "a/two.sql"], files);
  assert.match((await schemaPathProblems(scattered.supabase)).join(), /scatters a/);
  await using good = await project(["b/three.sql", "a/two.sql", "a/one.sql"], files);
  assert.deepEqual(await schemaPathProblems(good.supabase), []);
});

Deno.test("writeMigrations() makes one migration per subject, in the order of the list, and removes others", async () => {
  await using test = await project(["b/three.sql", "a/two.sql", "a/one.sql"], {
    "a/one.sql": "select 1;\n",
    "a/two.sql": "select 2;\n",
    "b/three.sql": "select 3;\n",
  });
  await test.write("supabase/migrations/20200101000000_old.sql", "select 0;\n");
  const changed = await writeMigrations(test.root);
  assert.deepEqual(changed.map((name) => name.replace(/^\d{14}_/, "")), ["old.sql", "b.sql", "a.sql"]);
  const made = await generateMigrations(test.supabase);
  assert.equal(
    [...made.values()][1],
    "-- Generated from supabase/schemas/a by 'deno task migrations': edit there.\n\nselect 2;\n\nselect 1;\n",
  );
  assert.deepEqual(await staleMigrations(test.root), []);
  await test.write("supabase/schemas/a/two.sql", "select 22;\n");
  assert.deepEqual((await staleMigrations(test.root)).map((name) => name.slice(15)), ["a.sql"]);
});

Deno.test("after a release no migration is stale: none is written anew", async () => {
  await using test = await project(["a/one.sql"], { "a/one.sql": "select 1;\n" });
  await writeMigrations(test.root);
  await test.write("CHANGELOG.md", "# Changelog\n\n## 1.0.0\n\nFirst version.\n");
  await test.write("supabase/schemas/a/one.sql", "select 11;\n");
  assert.deepEqual(await staleMigrations(test.root), []);
  assert.deepEqual(await writeMigrations(test.root), []);
});

Deno.test("two databases differ by a body, a right or a row, and the difference names its object", async () => {
  await using one = await createTestDatabase();
  await using two = await createTestDatabase();
  const before = await describeDatabase(one.url);
  assert.deepEqual(firstDifference(before, await describeDatabase(two.url)), []);
  for (
    // Each stands before the last in what is compared, so that it is the first difference.
    const [change, named] of [
      [
        "update private.settings set value = '1' where key = 'low_stock_at'",
        /private\.settings/,
      ],
      [
        "do $$ begin execute format('create or replace view public.availability with (security_invoker = true) as ' || " +
        "'select * from (%s) x', rtrim(pg_get_viewdef('public.availability'::regclass), ';')); end $$",
        /public\.availability/,
      ],
      [
        "create or replace function private.rank(p_ladder text[], p_value text) returns text language sql immutable " +
        "set search_path = '' as 'select null'",
        /private\.rank/,
      ],
      ["grant select on public.orders to anon", /public\.orders/],
    ] as const
  ) {
    await two.sql.unsafe(change);
    const [difference = ""] = firstDifference(before, await describeDatabase(two.url));
    assert.match(difference, named, change);
  }
});
