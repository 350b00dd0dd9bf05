import assert from "node:assert/strict";
import postgres from "postgres";
import { assertInvariants } from "../../support/invariants.ts";
import { deliver, deliverEach, endingOf } from "./arrange.ts";
import { searchDatabase } from "./search.ts";
import { attachSession, beginOrder, stockOf } from "./shop.ts";
import { Story } from "./story.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const database = await searchDatabase(6);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("late money for more than there is, all at once: who gets the goods is paid, the others are refunded once each", async () => {
  const buyers = 12;
  const stories: Story[] = [];
  for (let index = 0; index < buyers; index++) {
    const story = new Story(await beginOrder(sql), 60, `B${index}x`);
    await attachSession(sql, story, "a");
    story.expired("a");
    await deliver(sql, story.moves);
    story.events.length = 0;
    story.paid("b", {}, "a");
    stories.push(story);
  }
  assert.deepEqual(await stockOf(sql), [6, 0, 0]);

  const clients = stories.map(() => postgres(database.url, { max: 1, onnotice: () => {} }));
  try {
    const outcomes = await Promise.all(clients.map((client, index) => {
      const moves = stories[index]?.moves ?? [];
      return deliverEach(client, [...moves, ...moves.toReversed()]);
    }));
    assert(!outcomes.flat().includes("queued"), "no event failed");
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }

  const ends = await Promise.all(stories.map((story) => endingOf(sql, story)));
  assert.equal(ends.filter((end) => end.status === "paid").length, 3, "six pieces, two each");
  for (const end of nonEmpty(ends.filter((end) => end.status !== "paid"))) {
    assert.deepEqual([end.status, end.fulfillment], ["needs_review", "cancelled"]);
    assert.deepEqual(end.jobs, ["expire_checkout_session:a", "refund_payment:oversold:b"]);
    assert.deepEqual([end.mails, end.alerts], [["order_unfulfillable"], ["oversold"]]);
  }
  assert.deepEqual(await stockOf(sql), [0, 0, 6]);
  await assertInvariants(sql);
});
