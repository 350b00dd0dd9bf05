/** Of several settled sessions an order keeps one; the money of the others goes back. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { deliver } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
Deno.test.afterAll(() => database.drop());

async function settled(tx: postgres.ReservedSql, tell: (story: Story) => void): Promise<Story> {
  const story = new Story(await beginOrder(tx), 60, "T");
  for (const [index, name] of ["a", "b"].entries()) await attachSession(tx, story, name, index + 1);
  tell(story);
  await deliver(tx, story.moves);
  return story;
}

async function kept(tx: postgres.ReservedSql, story: Story): Promise<string> {
  const [row] = await tx`select (private.kept_session(${story.frame.orderId})).id`;
  return row?.["id"];
}

Deno.test("of two paid sessions the one whose payment has the smaller id is kept, whichever came first", async () => {
  for (const names of [["a", "b"], ["b", "a"]]) {
    await undone(database.sql, async (tx) => {
      const story = await settled(tx, (story) => names.forEach((name) => story.paid(name)));
      assert.equal(await kept(tx, story), story.id("cs_test", "a"));
    });
  }
});

Deno.test("a session that was free is kept before one that was paid", async () => {
  await undone(database.sql, async (tx) => {
    const story = await settled(tx, (story) => {
      story.paid("a");
      story.free("b");
    });
    assert.equal(await kept(tx, story), story.id("cs_test", "b"));
  });
});

Deno.test("the session that was decided about stays, also when one comes that would have been kept", async () => {
  await undone(database.sql, async (tx) => {
    const story = await settled(tx, (story) => story.paid("b"));
    await tx`update public.orders set decided_payment_id = ${story.id("pi", "b")}`;
    story.events.length = 0;
    story.paid("a");
    await deliver(tx, story.moves);
    assert.equal(await kept(tx, story), story.id("cs_test", "b"));
  });
});
