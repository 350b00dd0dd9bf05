/** Names that stand on both sides, in TypeScript and in SQL, are the same on both. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { ROOT } from "../../scripts/lib/paths.ts";
import { templateNames } from "../../supabase/functions/_shared/mails/mod.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** What a pattern finds in the bodies of all functions in SQL, each once. */
async function inBodies(pattern: RegExp): Promise<string[]> {
  const functions = await sql<{ body: string }[]>`
    select prosrc as body from pg_proc
    where pronamespace in ('public'::regnamespace, 'private'::regnamespace)`;
  const found = functions.flatMap(({ body }) => [...body.matchAll(pattern)].map(([, name = ""]) => name));
  return [...new Set(found)].sort();
}

async function jobKinds(): Promise<string[]> {
  const kinds = await sql<{ kind: string }[]>`select kind from private.job_kinds`;
  return kinds.map(({ kind }) => kind).sort();
}

Deno.test("every kind of job has a handler in jobs/mod.ts and a row in private.job_kinds", async () => {
  const source = await Deno.readTextFile(join(ROOT, "supabase/functions/_shared/jobs/mod.ts"));
  const registry = /^const registry[^{]*\{\n([\s\S]*?)^\};/m.exec(source)?.[1] ?? "";
  const handled = [...registry.matchAll(/^ {2}([a-z_]+)(?::|,)/gm)].map(([, kind = ""]) => kind);
  assert.deepEqual(handled.sort(), await jobKinds());
});

Deno.test("every kind of job that a function in SQL queues stands in private.job_kinds", async () => {
  const queued = await inBodies(/enqueue_job\(\s*'([a-z_]+)',/g);
  assert.ok(queued.includes("send_mail") && queued.includes("refund_payment"), "the calls are found");
  const kinds = await jobKinds();
  assert.deepEqual(queued.filter((kind) => !kinds.includes(kind)), []);
});

Deno.test("every mail that a function in SQL queues has a template, and every template is queued", async () => {
  const queued = await inBodies(/queue_notification\(\s*[\w.]+,\s*'([a-z_]+)'/g);
  assert.deepEqual(queued, [...templateNames].sort());
});

Deno.test("docs/settlement.md says when each mail is sent", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/settlement.md"));
  assert.deepEqual(templateNames.filter((name) => !page.includes(`\`${name}\``)), []);
});
