import assert from "node:assert/strict";
import { toolVariables } from "../../scripts/live/setup/project.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { nonEmpty } from "../support/non_empty.ts";

for (const name of ["operations.md", "monitoring.md", "going-live.md", "disaster.md"]) {
  Deno.test(`docs/${name}: every SQL statement runs`, async () => {
    const page = await Deno.readTextFile(new URL(`../../docs/${name}`, import.meta.url));
    const statements = [...page.matchAll(/^ *```sql\n([\s\S]*?)^ *```$/gm)].map(([, sql]) => sql ?? "");
    assert(statements.length > 0);
    await using database = await createTestDatabase("seeded");
    for (const statement of statements) {
      await assert.doesNotReject(async () => await database.sql.unsafe(statement), statement);
    }
  });
}

Deno.test("documents for those who run the shop name only tasks and variables that exist", async () => {
  const pages = ["operations.md", "runbook.md", "going-live.md", "upgrading.md", "disaster.md", "radar.md"]
    .map((name) => new URL(`../../docs/${name}`, import.meta.url));
  const page = (await Promise.all(pages.map((url) => Deno.readTextFile(url)))).join("\n");
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const { environmentVariables } = await import("../../supabase/functions/_shared/env.ts");
  const known = [...environmentVariables, ...toolVariables];
  for (const [, task] of nonEmpty(page.matchAll(/deno task (\w+)/g))) {
    assert(Object.hasOwn(tasks, task ?? ""), `deno task ${task}`);
  }
  for (const [, variable] of nonEmpty(page.matchAll(/\b((?:STRIPE|WEBHOOK)_[A-Z_]+)\b/g))) {
    assert(known.includes(variable ?? ""), variable);
  }
});
