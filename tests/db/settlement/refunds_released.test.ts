/** What release_review() means for refunds that wait or were refused, and what an appeal that is won brings back. */
import assert from "node:assert/strict";
import { endRefundJob } from "./arrange.ts";
import { assertSound, type Db, paidOrder, tellAll } from "./refunded_order.ts";
import { searchDatabase, undone } from "./search.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

async function judge(tx: Db, request: string): Promise<string> {
  const [row] = await tx`select outcome from public.judge_refund(${request})`;
  return row?.["outcome"];
}

/** How a request and its job are. */
async function stateOf(tx: Db, request: string): Promise<string[]> {
  const [row] = await tx`select q.status, j.status as job from public.refund_requests q
    join private.jobs j on j.dedupe_key = 'refund_payment:' || q.id where q.id = ${request}`;
  return [row?.["status"], row?.["job"]];
}

for (const held of ["a review of Radar's", "a fraud warning"]) {
  Deno.test(`release_review() of ${held} leaves the waiting refund of a cancelled order: it is made when the dispute is won`, async () => {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      if (held === "a review of Radar's") story.reviewed(payment, "1");
      const dispute = story.disputed(payment, "d", "needs_response");
      await tellAll(tx, story);
      if (held === "a fraud warning") {
        await tx`update private.settings set value = '"review"' where key = 'early_fraud_warning_policy'`;
        story.warned(payment, "1");
        await tellAll(tx, story);
      }
      await tx`select public.cancel_order(${story.frame.orderNumber})`;
      const request = `cancelled:${payment.id}`;
      assert.equal(await judge(tx, request), "disputed");
      await endRefundJob(tx, request, "discard");
      await tx`select public.release_review(${story.frame.orderNumber}, 'looked at it')`;
      dispute.closed("won");
      await tellAll(tx, story);
      assert.deepEqual(await stateOf(tx, request), ["queued", "queued"]);
      await assertSound(tx);
    });
  });
}

Deno.test("check_invariants() names a cancelled order whose refund is not needed though the shop has the money", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    await endRefundJob(tx, `cancelled:${payment.id}`, "discard");
    const broken = await tx`select invariant from public.check_invariants()`;
    assert.deepEqual(broken.map(({ invariant }) => invariant), [
      "money of an order that is not to ship is on its way back",
    ]);
  });
});

Deno.test("release_review() leaves the alert about a refused refund of a cancelled order", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.reviewed(payment, "1");
    await tellAll(tx, story);
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const request = `cancelled:${payment.id}`;
    await endRefundJob(tx, request, "discard", "critical");
    await tx`select public.release_review(${story.frame.orderNumber}, 'looked at it')`;
    const [alert] = await tx`select status from public.alerts where kind = 'refund_refused'`;
    assert.equal(alert?.["status"], "open");
    assert.deepEqual(await stateOf(tx, request), ["given_up", "discarded"]);
  });
});

Deno.test("a refund that staff have released while its worker was dying is not made after the goods have left", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.warned(payment, "1");
    const dispute = story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const request = `shop:${payment.id}`;
    await tx`update private.jobs set status = 'running', lease_id = gen_random_uuid(), attempts = 1,
      leased_until = now() + interval '1 minute' where payload ->> 'refund_request_id' = ${request}`;
    assert.equal(await judge(tx, request), "disputed");
    await tx`select public.release_review(${story.frame.orderNumber}, 'known customer')`;
    dispute.closed("won");
    await tellAll(tx, story);
    await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z')`;
    await tx`update private.jobs set leased_until = now() - interval '1 second' where status = 'running'`;
    await tx`select private.recover_jobs()`;
    assert.deepEqual(await stateOf(tx, request), ["not_needed", "discarded"]);
    await assertSound(tx);
  });
});

Deno.test("a refund that failed is told of again when the dispute that stood in for it is won on appeal", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const request = `cancelled:${payment.id}`;
    const refund = story.refunded(payment, "1", 25_800, "succeeded", request);
    await tellAll(tx, story);
    await endRefundJob(tx, request, "done");
    refund.settled("failed");
    const dispute = story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const told = async () => {
      const [alert] = await tx`select status from public.alerts where kind = 'refund_failed'`;
      const waiting = await tx`select from reporting.orders_needing_attention
        where 'refund_failed' = any (reasons)`;
      return [alert?.["status"], waiting.length];
    };
    assert.deepEqual(await told(), ["open", 1]);
    dispute.closed("lost");
    await tellAll(tx, story);
    assert.deepEqual(await told(), ["resolved", 0]);
    dispute.closed("won");
    await tellAll(tx, story);
    assert.deepEqual(await told(), ["open", 1]);
    await tx`update public.alerts set status = 'resolved', data = data - 'not_owed' where kind = 'refund_failed'`;
    await tx`select private.settle_order(${story.frame.orderId}, 'reconcile')`;
    assert.deepEqual((await told())[0], "resolved", "what staff have closed stays closed");
  });
});
