/** docs/contract.md promises names; here they are held against the code and the catalogue. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import type { StackFile } from "../../scripts/lib/stack_file.ts";
import { environmentVariables } from "../../supabase/functions/_shared/env.ts";
import { ROOT } from "../../scripts/lib/paths.ts";

const page = await Deno.readTextFile(join(ROOT, "docs/contract.md"));

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** The text under a heading, up to the next heading of the same rank or above. */
function section(heading: string): string {
  const rank = heading.indexOf(" ");
  const start = page.indexOf(`\n${heading}\n`);
  assert.ok(start >= 0, `docs/contract.md has no '${heading}'`);
  const rest = page.slice(start + heading.length + 2);
  const end = new RegExp(`^#{1,${rank}} `, "m").exec(rest)?.index ?? rest.length;
  return rest.slice(0, end);
}

/** What stands in backticks in the first cell of each row of a section's tables. */
function firstCells(text: string): string[] {
  return [...text.matchAll(/^\| `([^`]+)`/gm)].map(([, name = ""]) => name);
}

/** List entries of the form `name(first, second)`. */
function signatures(text: string): { name: string; parts: string[] }[] {
  return [...text.matchAll(/^- `([\w.]+)\(([^)]*)\)`/gm)].map(([, name = "", list = ""]) => ({
    name,
    parts: list.split(/,\s+/),
  }));
}

/** `orders` is public.orders; `reporting.revenue_daily` says its schema. */
function qualified(name: string): string {
  return name.includes(".") ? name : `public.${name}`;
}

Deno.test("docs/contract.md names every task of deno.json, and no other", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const named = firstCells(section("## Tasks")).flatMap((cell) =>
    cell.startsWith("deno task ") ? [cell.slice("deno task ".length)] : []
  );
  assert.deepEqual(named.sort(), Object.keys(tasks).sort());
});

Deno.test("docs/contract.md names every field of stack.json, and no other", () => {
  const fields: Record<keyof StackFile, true> = {
    api_url: true,
    functions_url: true,
    db_url: true,
    web_url: true,
    stripe_url: true,
    publishable_key: true,
    secret_key: true,
    stripe_secret_key: true,
    stripe_webhook_secret: true,
    pid: true,
  };
  const list = /Its fields: ([^.]*)\./.exec(section("### The offline stack"))?.[1] ?? "";
  const named = [...list.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
  assert.deepEqual(named.sort(), Object.keys(fields).sort());
});

Deno.test("docs/contract.md names every endpoint of docs/openapi.json, and no other", async () => {
  const { paths } = JSON.parse(await Deno.readTextFile(join(ROOT, "docs/openapi.json")));
  const methods = ["get", "post", "put", "patch", "delete"];
  const served = Object.entries<Record<string, unknown>>(paths).flatMap(([path, operations]) =>
    methods.filter((method) => method in operations).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const named = firstCells(section("## HTTP")).filter((cell) => cell.includes("/functions/v1/"));
  assert.deepEqual(named.sort(), served.sort());
});

Deno.test("docs/contract.md names every error code of errors.ts with its status, and no other", async () => {
  const source = await Deno.readTextFile(join(ROOT, "supabase/functions/_shared/errors.ts"));
  const list = /^const codes = \{\n([\s\S]*?)^\} as const/m.exec(source)?.[1] ?? "";
  const codes = [...list.matchAll(/^ {2}([a-z_]+): \[(\d{3}),/gm)].map(([, code, status]) =>
    `${code} ${status}`
  );
  const named = [...section("## HTTP").matchAll(/^\| `([a-z_]+)` +\| (\d{3}) +\|$/gm)]
    .map(([, code, status]) => `${code} ${status}`);
  assert.ok(codes.length > 20, "errors.ts is read");
  assert.deepEqual(named.sort(), codes.sort());
});

Deno.test("docs/contract.md names every environment variable, in the order of env.ts", () => {
  const named = [...section("## Environment").split("\n\n").at(-1)?.matchAll(/`([A-Z0-9_]+)`/g) ?? []];
  assert.deepEqual(named.map(([, name = ""]) => name), environmentVariables);
});

Deno.test("docs/contract.md names every setting with its default, and no other", async () => {
  const settings = await sql<{ row: string }[]>`
    select format('%s = %s', key, value) as row from private.settings order by key`;
  const named = [...section("### Settings").matchAll(/^\| `([a-z_]+)` +\| `([^`]*)` +\|/gm)]
    .map(([, key, value]) => `${key} = ${value}`);
  assert.deepEqual(named.sort(), settings.map(({ row }) => row).sort());
});

Deno.test("tables and views of docs/contract.md have the columns that it names", async () => {
  const tables = signatures(section("## Database")).filter(({ parts }) => !parts[0]?.startsWith("p_"));
  assert.ok(tables.length > 25, "the list is read");
  for (const { name, parts } of tables) {
    const columns = await sql<{ attname: string }[]>`
      select attname from pg_attribute
      where attrelid = to_regclass(${qualified(name)}) and attnum > 0 and not attisdropped`;
    const present = columns.map(({ attname }) => attname);
    assert.deepEqual(
      parts.filter((part) => !present.includes(part)),
      [],
      `${name} has ${present.join(", ")}`,
    );
  }
});

Deno.test("closed sets of words of docs/contract.md are those of the check constraints", async () => {
  const sets = [...section("## Database").matchAll(/^- `(\w+)\.(\w+)`: ((?:`\w+`(?:,\s+)?)+)/gm)];
  assert.ok(sets.length > 5, "the list is read");
  for (const [, table = "", column = "", words = ""] of sets) {
    const checks = await sql<{ definition: string }[]>`
      select pg_get_constraintdef(oid) as definition from pg_constraint
      where conrelid = to_regclass(${qualified(table)}) and conname = ${`${table}_${column}_known`}`;
    const allowed = [...checks[0]?.definition.matchAll(/'(\w+)'/g) ?? []].map(([, word]) => word);
    const named = [...words.matchAll(/`(\w+)`/g)].map(([, word]) => word);
    assert.deepEqual(named.sort(), allowed.sort(), `${table}.${column}`);
  }
});

Deno.test("commands of docs/contract.md take the arguments that it names, and need no other", async () => {
  const commands = signatures(section("### Commands of staff"));
  assert.ok(commands.length > 9, "the list is read");
  for (const { name, parts } of commands) {
    const functions = await sql<{ names: string[]; optional: number; callable: boolean }[]>`
      select proargnames as names, pronargdefaults as optional,
        has_function_privilege('authenticated', oid, 'execute') as callable
      from pg_proc where pronamespace = 'public'::regnamespace and proname = ${name}`;
    assert.equal(functions.length, 1, `${name}() exists, once`);
    const [{ names, optional, callable } = assert.fail()] = functions;
    assert.ok(callable, `staff may call ${name}()`);
    assert.deepEqual(parts.filter((part) => !names.includes(part)), [], `${name}(${names.join(", ")})`);
    const needed = names.slice(0, names.length - optional);
    assert.deepEqual(needed.filter((argument) => !parts.includes(argument)), [], `${name}() needs these too`);
  }
});
