/** The REST layer and the real PostgREST answer the same, but for what docs/testing.md lists. */
import assert from "node:assert/strict";
import { findPostgrest } from "../../scripts/local/postgrest.ts";
import { skipWithout } from "../support/optional_tool.ts";
import { DIFFERENCES } from "./differences.ts";
import { LIBRARY } from "./library.ts";
import { QUERIES } from "./queries/mod.ts";
import { describe, same, show, startSide } from "./sides.ts";

const { test } = Deno;

const missing = await findPostgrest().then(() => null, (error) => error.message as string);
const ignore = skipWithout("PostgREST", missing);

test({ name: "the REST layer answers as PostgREST does, but for what is listed", ignore }, async (t) => {
  await using real = await startSide(true, LIBRARY);
  await using ours = await startSide(false, LIBRARY);
  const met = new Set<string>();
  for (const [kind, asks] of Object.entries(QUERIES)) {
    await t.step(`${kind}: ${asks.length} requests`, async () => {
      const different: string[] = [];
      for (const ask of asks) {
        const [wanted, found] = [await real.send(ask), await ours.send(ask)];
        if (same(wanted, found)) continue;
        const meant = Object.keys(DIFFERENCES).find((name) => DIFFERENCES[name]?.(ask, wanted, found));
        if (meant !== undefined) met.add(meant);
        else {different.push(
            [describe(ask), `  PostgREST ${show(wanted)}`, `  ours      ${show(found)}`].join("\n"),
          );}
      }
      assert.equal(
        different.length,
        0,
        `${different.length} of ${asks.length} differ:\n${different.join("\n")}`,
      );
    });
  }
  assert.deepEqual(
    [...met].sort(),
    Object.keys(DIFFERENCES).sort(),
    "a difference that is gone is taken off",
  );
});
