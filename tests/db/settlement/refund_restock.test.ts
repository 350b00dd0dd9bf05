/** Refunds and goods: when they come back to the shelf, and what does not ship meanwhile. */
import assert from "node:assert/strict";
import { sqlstateOf } from "../../support/role.ts";
import { endingOf, endRefundJob } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { stockOf } from "./shop.ts";
import { ask, assertSound, paidOrder, redrive, tellAll, total } from "./refunded_order.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("a full refund with restock puts the goods back on the shelf once it has succeeded, and for good", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, null, true);
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
    const refund = story.refunded(payment, "1", total, "pending", request);
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [8, 0, 2], "not before the money has left");
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold", "and nothing ships meanwhile");
    refund.settled("succeeded");
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [10, 0, 0]);
    await assertSound(tx);

    await tx`update public.inventory_levels set on_hand = 0`;
    refund.settled("failed");
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.stock], ["paid", "cancelled", [0, 0, 0]]);
    assert.deepEqual(end.mails, ["order_confirmation", "refund_failed", "refund_issued", "refund_settled"]);
    assert.deepEqual(end.alerts, ["refund_failed"], "staff hear of it, and not of an oversold order");
    await assertSound(tx);
  });
});

Deno.test("restock belongs to the refund that asked for it: not to a part, not to a later refund", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const [row] =
      await tx`select public.request_refund(${story.frame.orderNumber}, 12900, 'returned', true) as answer`;
    assert.equal(row?.["answer"]["restock"], false);
    assert.match(row?.["answer"]["notice"], /^Nothing was put back on the shelf/);
    story.refunded(payment, "1", 12_900, "succeeded", row?.["answer"]["command_id"]);
    await tellAll(tx, story);
    const given = await ask(tx, story, null, true);
    await endRefundJob(tx, given, "discard", "critical");
    const goodwill = await ask(tx, story, null, false);
    story.refunded(payment, "2", 12_900, "succeeded", goodwill);
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.stock], ["refunded", [8, 0, 2]]);
    await tx`select public.receive_return(${story.frame.orderNumber})`;
    assert.deepEqual(await stockOf(tx), [10, 0, 0], "until staff say that the goods have come back");
    await tx`savepoint again`;
    assert.equal(
      await sqlstateOf(tx`select public.receive_return(${story.frame.orderNumber})`),
      "SHINV",
      "once",
    );
    await tx`rollback to savepoint again`;
    await assertSound(tx);
  });
});

Deno.test("cancel_order() of an order that was refunded in the dashboard puts its goods back, and promises nothing", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", total);
    await tellAll(tx, story);
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.stock], ["refunded", "cancelled", [10, 0, 0]]);
    assert.deepEqual(end.mails, ["order_confirmation", "refund_issued"]);
    await assertSound(tx);
  });
});

Deno.test("a full refund that turned out not to be needed restocks once the money has left, and not before", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, null, true);
    const byHand = story.refunded(payment, "1", total, "pending");
    await tellAll(tx, story);
    await endRefundJob(tx, request, "discard");
    assert.deepEqual(await stockOf(tx), [8, 0, 2], "pending money has not left");
    assert.equal(await redrive(tx, request), "SHREF", "nothing is left to give back");
    byHand.settled("failed");
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
    assert.equal(await redrive(tx, request), null, "what bounced can be given back by the same request");
    story.refunded(payment, "2", total, "succeeded", request);
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [10, 0, 0]);
    await endRefundJob(tx, request, "done");
    await assertSound(tx);
  });
});

Deno.test("a refund with restock that was given up moves no goods when another one has given the money back", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const first = await ask(tx, story, null, true);
    await endRefundJob(tx, first, "discard", "critical");
    const second = await ask(tx, story, null, false);
    story.refunded(payment, "1", total, "succeeded", second);
    await tellAll(tx, story);
    await endRefundJob(tx, second, "done");
    assert.equal(await redrive(tx, first), "SHREF");
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
    await assertSound(tx);
  });
});

Deno.test("nothing ships while all of the money is on its way back", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    const request = await ask(tx, story, null);
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold");
    await tx`savepoint attempt`;
    assert.equal(await sqlstateOf(tx`select public.mark_fulfilled(${story.frame.orderNumber})`), "SHINV");
    await tx`rollback to savepoint attempt`;
    await endRefundJob(tx, request, "discard");
    assert.equal(
      (await endingOf(tx, story)).fulfillment,
      "unfulfilled",
      "a refund that is not needed holds nothing",
    );
    await assertSound(tx);
  });
});
