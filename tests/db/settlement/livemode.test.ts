import assert from "node:assert/strict";
import { deliver } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import type { Move } from "./moves.ts";
import { Story } from "./story.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** The same object in the other mode, in an event of the other mode. */
function inTheOtherMode(move: Move): Move {
  if (move.call !== "event") return move;
  const facts = move.facts.map((fact) => "livemode" in fact ? { ...fact, livemode: true } : fact);
  return { ...move, id: `${move.id}_live`, livemode: true, facts };
}

Deno.test("events of the other mode about the same ids touch nothing, at any moment of an order's life", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    story.refunded(payment, "1", 5_000);
    story.disputed(payment, "d", "needs_response").closed("lost");
    story.warned(payment, "1");
    const state = async () => {
      const [row] = await tx`select search.state(${[story.frame.orderId]}::uuid[]) - 'events' as state`;
      return row?.["state"];
    };
    const foreign = story.moves.map(inTheOtherMode);
    for (const move of story.moves) {
      const before = await state();
      // Those about refunds, disputes and warnings only once their payment is known: before, nobody can tell.
      const about = foreign.filter((other) =>
        other.call === "event" && other.facts.some((fact) => "order_id" in fact)
      );
      assert(about.length > 0);
      const outcomes = await deliver(tx, about);
      assert(
        nonEmpty(outcomes).every((outcome) => ["ignored", "duplicate"].includes(outcome)),
        `${outcomes}`,
      );
      assert.deepEqual(await state(), before);
      await deliver(tx, [move]);
    }
    const before = await state();
    const outcomes = await deliver(tx, foreign);
    assert(nonEmpty(outcomes).every((outcome) => ["ignored", "duplicate"].includes(outcome)), `${outcomes}`);
    assert.deepEqual(await state(), before);
  });
});

Deno.test("a live order is paid by live events, and by no test event", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx, 2, true), 1, "T");
    story.paid("a");
    assert.deepEqual(await deliver(tx, story.moves), ["ignored", "ignored", "ignored"]);
    assert.deepEqual(await deliver(tx, story.moves.map(inTheOtherMode)), ["applied", "applied", "applied"]);
    const [order] =
      await tx`select status, review_reasons from public.orders join public.order_risk k on k.order_id = id where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...order }, { status: "paid", review_reasons: [] });
  });
});

Deno.test("customers of the other mode are left alone", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    story.paid("a");
    await deliver(tx, story.moves);
    const before = [...await tx`select * from public.customers`];
    assert.equal(before.length, 1);
    story.events.length = 0;
    story.customerChanged("live@example.com").deleted();
    await deliver(tx, story.moves.map(inTheOtherMode));
    assert.deepEqual([...await tx`select * from public.customers`], before);
  });
});
