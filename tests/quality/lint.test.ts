/** The project's own lint rules find what they are for, and nothing else. */
import assert from "node:assert/strict";
import emptyLists from "../../scripts/quality/lint/empty_lists.ts";

const found = (source: string, file = "tests/x.test.ts") =>
  Deno.lint.runPlugin(emptyLists, `/project/${file}`, source).length;

for (
  const source of [
    "assert(rows.every((row) => row.paid));",
    "assert.ok(rows.every((row) => row.paid), 'paid');",
    "assert(rows.length < 3 && (await read()).every((row) => row.paid));",
    "assert(!rows.some((row) => row.failed));",
    "assert.equal(rows.every((row) => row.paid), true);",
    "for (const row of rows.filter((row) => row.paid)) assert(row.mail);",
    "for (const [name] of text.matchAll(/x/g)) { const row = rows[name]; assert.ok(row); }",
    "for (const row of await read()) { if (row.paid) assert.equal(row.mail, 1); }",
    "for (const row of await read()) await assert.rejects(row.run());",
  ]
) {
  Deno.test(`empty-lists finds: ${source}`, () => assert.equal(found(source), 1));
}

for (
  const source of [
    "assert(nonEmpty(rows).every((row) => row.paid));",
    "assert(!nonEmpty(rows).some((row) => row.failed));",
    "assert(rows.some((row) => row.failed));",
    "assert(['a', 'b'].every((name) => names.has(name)));",
    "for (const row of nonEmpty(await read())) assert(row.mail);",
    "for (const row of ['a', 'b']) assert(names.has(row));",
    "for (const row of await read()) await send(row);",
    "const all = rows.every((row) => row.paid);",
  ]
) {
  Deno.test(`empty-lists lets be: ${source}`, () => assert.equal(found(source), 0));
}

Deno.test("empty-lists looks at tests alone", () => {
  assert.equal(found("assert(rows.every(Boolean));", "scripts/x.ts"), 0);
});
