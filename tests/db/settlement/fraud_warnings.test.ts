import assert from "node:assert/strict";
import type postgres from "postgres";
import { deliver, endingOf } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { type Payment, Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

async function paidOrder(tx: Tx): Promise<{ story: Story; payment: Payment }> {
  const story = new Story(await beginOrder(tx), 60, "T");
  await attachSession(tx, story, "a");
  const payment = story.paid("a");
  await tellAll(tx, story);
  return { story, payment };
}

async function tellAll(tx: Tx, story: Story): Promise<void> {
  await deliver(tx, story.moves);
  story.events.length = 0;
}

const refundJob = "refund_payment:fraudulent:a";

Deno.test("policy refund: an actionable warning on an unshipped order is refunded once and its goods go back", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const warning = story.warned(payment, "1");
    await tellAll(tx, story);
    const held = await endingOf(tx, story);
    assert.deepEqual([held.status, held.fulfillment], ["needs_review", "on_hold"]);
    assert.deepEqual(held.jobs, [refundJob]);
    assert.deepEqual(held.alerts, ["early_fraud_warning"]);

    story.refunded(payment, "1", 25_800, "succeeded", `fraudulent:${payment.id}`);
    warning.spent();
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.stock], ["refunded", "cancelled", [10, 0, 0]]);
    assert.deepEqual(end.jobs, [refundJob]);
  });
});

Deno.test("policy review: a person decides, nothing is refunded by itself", async () => {
  await undone(sql, async (tx) => {
    await tx`update private.settings set value = '"review"' where key = 'early_fraud_warning_policy'`;
    const { story, payment } = await paidOrder(tx);
    story.warned(payment, "1");
    await tellAll(tx, story);
    const held = await endingOf(tx, story);
    assert.deepEqual([held.status, held.fulfillment, held.jobs], ["needs_review", "on_hold", []]);
    await tx`select public.release_review(${story.frame.orderNumber})`;
    const released = await endingOf(tx, story);
    assert.deepEqual([released.status, released.fulfillment, released.jobs], ["paid", "unfulfilled", []]);
  });
});

Deno.test("a warning after the parcel has left is for a person, not for a refund", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z999')`;
    story.warned(payment, "1");
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.jobs], ["needs_review", "fulfilled", []]);
    assert.deepEqual(end.alerts, ["early_fraud_warning"]);
  });
});

Deno.test("a warning that is not actionable is kept and changes nothing", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.warned(payment, "1").spent();
    const [, spent] = story.moves;
    assert(spent !== undefined);
    await deliver(tx, [spent]);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.jobs, end.alerts], ["paid", "unfulfilled", [], []]);
    assert.equal((await tx`select 1 from public.fraud_signals`).length, 1);
  });
});

Deno.test("a warning about a second payment gives that one back, not the one that the order keeps", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    await attachSession(tx, story, "b", 2);
    story.paid("a");
    const second = story.paid("b");
    story.warned(second, "1");
    await tellAll(tx, story);
    const jobs = (await endingOf(tx, story)).jobs.filter((job) => job.startsWith("refund"));
    assert.deepEqual(jobs, ["refund_payment:duplicate:b", "refund_payment:fraudulent:b"]);
  });
});

Deno.test("a Radar review holds the order until it is closed", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const review = story.reviewed(payment, "1");
    await tellAll(tx, story);
    const held = await endingOf(tx, story);
    assert.deepEqual([held.status, held.fulfillment, held.alerts], ["needs_review", "on_hold", ["review"]]);
    review.approved();
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.jobs], ["paid", "unfulfilled", []]);
  });
});
