import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { nonEmpty } from "../support/non_empty.ts";

Deno.test("docs/operations.md: every SQL statement runs", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/operations.md", import.meta.url));
  const statements = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, sql]) => sql ?? "");
  assert(statements.length > 0);
  await using database = await createTestDatabase("seeded");
  for (const statement of statements) {
    await assert.doesNotReject(async () => await database.sql.unsafe(statement), statement);
  }
});

Deno.test("docs/operations.md names only tasks, variables and alerts that exist", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/operations.md", import.meta.url));
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const { environmentVariables } = await import("../../supabase/functions/_shared/env.ts");
  for (const [, task] of nonEmpty(page.matchAll(/deno task (\w+)/g))) {
    assert(Object.hasOwn(tasks, task ?? ""), `deno task ${task}`);
  }
  for (const [, variable] of nonEmpty(page.matchAll(/\b((?:STRIPE|WEBHOOK)_[A-Z_]+)\b/g))) {
    assert(environmentVariables.includes(variable ?? ""), variable);
  }
});

/** All files of a folder and its folders, in one text. */
async function textOf(folder: URL): Promise<string> {
  const texts: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    texts.push(
      isDirectory
        ? await textOf(new URL(`${name}/`, folder))
        : await Deno.readTextFile(new URL(name, folder)),
    );
  }
  return texts.join("\n");
}

Deno.test("docs/operations.md has every alert that is raised, and no other", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/operations.md", import.meta.url));
  const sql = await textOf(new URL("../../supabase/migrations/", import.meta.url));
  const functions = await textOf(new URL("../../supabase/functions/", import.meta.url));
  const watched =
    /from \(values([^;]*?)\) k \(kind\)\s+left join private\.delivery_problems/.exec(sql)?.[1] ?? "";
  const raised = new Set([
    ...[...sql.matchAll(/raise_alert(?:_once)?\(\s*'([a-z_]+)'/g)].map(([, kind]) => kind ?? ""),
    ...[...watched.matchAll(/'([a-z_]+)'/g)].map(([, kind]) => kind ?? ""),
    ...[...functions.matchAll(/\braise\("([a-z_]+)"/g)].map(([, kind]) => kind ?? ""),
  ]);
  assert(raised.size > 15 && raised.has("webhook_silence") && raised.has("webhook_thin_payload"));
  assert.deepEqual([...raised].filter((kind) => !page.includes(`\`${kind}\``)), []);

  const tables = [...page.matchAll(/^\| alert .*\n\|[-| ]+\n((?:\|.*\n)+)/gm)].map(([, rows]) => rows ?? "")
    .join("");
  const described = [...tables.matchAll(/^\|([^|]*)\|/gm)]
    .flatMap(([, cell]) => [...(cell ?? "").matchAll(/`([a-z_]+)`/g)].map(([, kind]) => kind ?? ""));
  assert(described.includes("webhook_silence") && described.includes("stock_held"));
  assert.deepEqual(described.filter((kind) => !new RegExp(`['"]${kind}['"]`).test(sql + functions)), []);
});
