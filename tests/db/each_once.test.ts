import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";

Deno.test("each_once keeps each item once, in their order, whether there are none, one or many, and leaves null out", async () => {
  await using database = await createTestDatabase();
  const each = async (items: (string | null)[]) =>
    (await database.sql`select private.each_once(${items}::text[]) as items`)[0]?.["items"];
  assert.deepEqual(await each([]), []);
  assert.deepEqual(await each([null, null]), []);
  assert.deepEqual(await each(["b", null, "b"]), ["b"]);
  assert.deepEqual(await each(["c", "a", null, "c", "b", "a"]), ["a", "b", "c"]);
});
