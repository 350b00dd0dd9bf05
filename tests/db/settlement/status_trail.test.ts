/** The audit trail tells every status that an order has had, in order, and who changed it. */
import assert from "node:assert/strict";
import { deliver } from "./arrange.ts";
import { delivery } from "./moves.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
Deno.test.afterAll(() => database.drop());

Deno.test("each change of status is told with what it was, what it is, and the event that made it", async () => {
  await undone(database.sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    const payment = story.processing("a");
    story.arrived(payment);
    story.refunded(payment, "r", 25_800);
    for (const event of story.events) await deliver(tx, [delivery(event)]);
    const rows = await tx<{ source: string; data: { from: string; to: string } }[]>`
      select source, data from public.order_events
      where order_id = ${story.frame.orderId} and kind = 'status_changed' order by id`;
    assert.deepEqual(rows.map(({ data }) => [data.from, data.to]), [
      ["pending", "processing"],
      ["processing", "paid"],
      ["paid", "refunded"],
    ]);
    const ids = story.events.map(({ id }) => id);
    assert.deepEqual(rows.filter(({ source }) => !ids.includes(source)), []);
  });
});
