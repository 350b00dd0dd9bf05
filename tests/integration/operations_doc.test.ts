import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { nonEmpty } from "../support/non_empty.ts";

Deno.test("docs/operations.md and docs/monitoring.md: every SQL statement runs", async () => {
  const pages = ["operations.md", "monitoring.md"].map((name) =>
    new URL(`../../docs/${name}`, import.meta.url)
  );
  const page = (await Promise.all(pages.map((url) => Deno.readTextFile(url)))).join("\n");
  const statements = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, sql]) => sql ?? "");
  assert(statements.length > 0);
  await using database = await createTestDatabase("seeded");
  for (const statement of statements) {
    await assert.doesNotReject(async () => await database.sql.unsafe(statement), statement);
  }
});

Deno.test("docs/operations.md and docs/runbook.md name only tasks and variables that exist", async () => {
  const pages = ["operations.md", "runbook.md"].map((name) => new URL(`../../docs/${name}`, import.meta.url));
  const page = (await Promise.all(pages.map((url) => Deno.readTextFile(url)))).join("\n");
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const { environmentVariables } = await import("../../supabase/functions/_shared/env.ts");
  for (const [, task] of nonEmpty(page.matchAll(/deno task (\w+)/g))) {
    assert(Object.hasOwn(tasks, task ?? ""), `deno task ${task}`);
  }
  for (const [, variable] of nonEmpty(page.matchAll(/\b((?:STRIPE|WEBHOOK)_[A-Z_]+)\b/g))) {
    assert(environmentVariables.includes(variable ?? ""), variable);
  }
});
