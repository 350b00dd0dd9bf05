import assert from "node:assert/strict";
import { deliver } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase(2);
Deno.test.afterAll(() => database.drop());

Deno.test("a slow payment shows what was confirmed while it is under way, and the cart again once it has bounced", async () => {
  await undone(database.sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    const extras = { discount: 800, shipping: 900, tax: 2_000 };
    const totals = async () => {
      await deliver(tx, story.moves);
      story.events.length = 0;
      const [order] = await tx`
        select status, amount_discount::int, amount_shipping::int, amount_tax::int, amount_total::int
        from public.orders where id = ${story.frame.orderId}`;
      return order === undefined ? null : Object.values(order);
    };
    assert.deepEqual(await totals(), ["pending", 0, 0, 0, 25_800]);
    const slow = story.processing("a", extras);
    assert.deepEqual(await totals(), ["processing", 800, 900, 2_000, 27_900]);
    story.bounced(slow, extras);
    assert.deepEqual(await totals(), ["payment_failed", 0, 0, 0, 25_800]);
  });
});
