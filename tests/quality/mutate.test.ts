/** A mutant that no longer fits the code says so, instead of breaking nothing and surviving. */
import assert from "node:assert/strict";
import { ROOT } from "../../scripts/lib/paths.ts";
import { type Mutant, mutatedFunction, mutatedText, placesOf } from "../../scripts/quality/mutate/mutant.ts";
import { MUTANTS } from "../../scripts/quality/mutate/mutants.ts";

const mutant: Mutant = {
  name: "x: all is free",
  file: "x.sql",
  find: "amount > 0",
  replace: "$& amount > 1",
  tests: [],
};

const one = "create function private.one() returns boolean\nas $$\n  select amount > 0\n$$;";
const two = "create function private.two() returns boolean\nas $$\n  select true\n$$;";

Deno.test("a mutant replaces its text, word for word", () => {
  assert.equal(mutatedText(mutant, "if amount > 0 then"), "if $& amount > 1 then");
});

Deno.test("a mutant whose text is gone, or stands twice, is stale", () => {
  for (const text of ["if amount >= 0 then", "amount > 0 and amount > 0"]) {
    assert.throws(() => mutatedText(mutant, text), /'x: all is free' is stale/);
  }
});

Deno.test("a mutant in SQL is the function around it, and comes out again", () => {
  const { broken, right } = mutatedFunction(mutant, `${two}\n\n${one}\n`);
  assert.equal(right, one.replace("create function", "create or replace function"));
  assert.equal(broken, right.replace("amount > 0", "$$& amount > 1"));
  assert.throws(() => mutatedFunction(mutant, two), /is in no function/);
});

Deno.test("every mutant fits the code as it is, and the tests that it asks are there", async () => {
  assert.ok(MUTANTS.length > 0);
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  for (const mutant of MUTANTS.flatMap(placesOf)) {
    const text = await Deno.readTextFile(`${ROOT}/${mutant.file}`);
    if (mutant.file.endsWith(".sql")) mutatedFunction(mutant, text);
    mutatedText(mutant, text);
    for (const path of mutant.tests) await Deno.stat(`${ROOT}/${path}`);
  }
});
