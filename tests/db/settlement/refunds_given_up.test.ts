/** Refunds that Stripe did not take: who is told, and what may run again. */
import assert from "node:assert/strict";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endingOf, endRefundJob } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import {
  ask,
  assertSound,
  type Db,
  openAlerts,
  paidOrder,
  redrive,
  tellAll,
  total,
} from "./refunded_order.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** A cancelled order whose refund Stripe refused because of the dispute that is returned. */
async function refusedByDispute(tx: Db) {
  const { story, payment } = await paidOrder(tx);
  await tx`select public.cancel_order(${story.frame.orderNumber})`;
  const dispute = story.disputed(payment, "d", "needs_response");
  await tellAll(tx, story);
  await endRefundJob(tx, `cancelled:${payment.id}`, "discard", "warning");
  const refused = async () => {
    const rows = await tx`select status from public.alerts where kind = 'refund_refused'`;
    const waiting =
      await tx`select 1 from reporting.orders_needing_attention where 'refund_refused' = any (reasons)`;
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
    return [rows[0]?.["status"], waiting.length];
  };
  return { story, payment, dispute, refused };
}

Deno.test("a refund that a lost dispute made needless is asked about again when the dispute is won on appeal", async () => {
  await undone(sql, async (tx) => {
    const { story, dispute, refused } = await refusedByDispute(tx);
    assert.deepEqual(await refused(), ["open", 1]);
    dispute.closed("lost");
    await tellAll(tx, story);
    assert.deepEqual(await refused(), ["resolved", 0]);
    dispute.closed("won");
    await tellAll(tx, story);
    assert.deepEqual(await refused(), ["open", 1]);
    const messages =
      await tx`select 1 from private.jobs where kind = 'send_alert' and dedupe_key like '%refund_refused%'`;
    assert.equal(messages.length, 2, "staff hear of it again");
  });
});

Deno.test("a lost dispute about a part leaves the rest owed", async () => {
  await undone(sql, async (tx) => {
    const { story, dispute, refused } = await refusedByDispute(tx);
    dispute.closed("lost");
    for (const event of story.events) Object.assign(event.data.object, { amount: 5_000 });
    await tellAll(tx, story);
    assert.deepEqual(await refused(), ["open", 1]);
  });
});

Deno.test("a refund that staff paid in another way, and whose alert they resolved, waits for nobody", async () => {
  await undone(sql, async (tx) => {
    const { story, refused } = await refusedByDispute(tx);
    await tx`update public.alerts set status = 'resolved' where kind = 'refund_refused'`;
    await tx`select private.settle_order(${story.frame.orderId}, 'reconcile')`;
    assert.deepEqual(await refused(), ["resolved", 0]);
  });
});

Deno.test("an order whose full refund Stripe refused does not ship until a person lets it", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const { orderNumber } = story.frame;
    const [row] =
      await tx`select public.request_refund(${orderNumber}, null, 'x', true) ->> 'command_id' as id`;
    await endRefundJob(tx, row?.["id"], "discard", "warning");
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold");
    await tx`savepoint shipping`;
    assert.equal(await sqlstateOf(tx`select public.mark_fulfilled(${orderNumber})`), "SHINV");
    await tx`rollback to savepoint shipping`;
    await tx`select public.release_review(${orderNumber}, 'the customer wants the coat')`;
    assert.equal((await endingOf(tx, story)).fulfillment, "unfulfilled");
    assert.deepEqual(await openAlerts(tx), [], "its money is not to go back any more");
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z')`;
    story.refunded(payment, "1", total);
    await tellAll(tx, story);
    assert.deepEqual((await endingOf(tx, story)).stock, [8, 0, 2], "the goods are with the customer");
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("a refund by hand that nobody had heard of when staff asked for the same is not made twice", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    // Made hours ago in the dashboard; its event is late, so the order does not show it.
    story.refunded(payment, "1", 5_000);
    const known = story.events.splice(0);
    const request = await ask(tx, story, 5_000);
    story.events.push(...known);
    await tellAll(tx, story);
    const judge = async (id: string) => {
      const [row] = await tx`select outcome from public.judge_refund(${id})`;
      return row?.["outcome"];
    };
    assert.equal(await judge(request), "overtaken");
    assert.equal(
      await judge(await ask(tx, story, 5_000)),
      "go",
      "who asks now knows of it and means another one",
    );
  });
});

Deno.test("a refund that was given up and asked for anew never comes back", async () => {
  for (const stands of ["another request", "a refund in the dashboard"]) {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      const first = await ask(tx, story, 3_000);
      await endRefundJob(tx, first, "discard", "critical");
      assert.deepEqual(await openAlerts(tx), ["refund_refused"]);
      await assertSound(tx);
      if (stands === "another request") {
        const second = await ask(tx, story, 3_000);
        story.refunded(payment, "1", 3_000, "succeeded", second);
        await tellAll(tx, story);
        await endRefundJob(tx, second, "done");
      } else {
        story.wait();
        story.refunded(payment, "1", 3_000);
        const [event] = story.moves;
        assert(event?.call === "event");
        for (const fact of event.facts) {
          if (fact.fact === "refund") fact.created = Math.ceil(Date.now() / 1000);
        }
        await deliver(tx, [event]);
        story.events.length = 0;
      }
      assert.deepEqual(await openAlerts(tx), [], "the alert closes itself");
      assert.equal(await redrive(tx, first), "SHREF", stands);
      await assertSound(tx);
    });
  }
});

Deno.test("a refund that was given up comes back while nothing stands in for it and enough is left", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, 3_000);
    await endRefundJob(tx, request, "discard", "critical");
    assert.equal(await redrive(tx, request), null);
    assert.deepEqual(await openAlerts(tx), []);
    const [left] = await tx`select private.refundable_amount(${payment.id})::int as left`;
    assert.equal(left?.["left"], total - 3_000, "it counts as given back again");
    await assertSound(tx);
  });
});

Deno.test("a full refund that was given up gives back the rest, whatever happened meanwhile", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, null);
    const [job] =
      await tx`select payload -> 'amount' as amount from private.jobs where kind = 'refund_payment'`;
    assert.equal(job?.["amount"], null, "all that is left then, not what is left now");
    await endRefundJob(tx, request, "discard", "critical");
    story.refunded(payment, "1", 5_000);
    await tellAll(tx, story);
    assert.equal(await redrive(tx, request), null);
    await assertSound(tx);
  });
});

Deno.test("a refund that Stripe refuses for now is told to staff, who hear when it is made", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, 3_000);
    await endRefundJob(tx, request, "retry", "warning");
    const [alert] = await tx`select kind, data from public.alerts`;
    assert.equal(alert?.["kind"], "refund_delayed");
    assert.equal(alert?.["data"]["order_number"], story.frame.orderNumber);
    assert.equal(alert?.["data"]["amount"], 3_000);
    assert.equal(alert?.["data"]["cause"], "stripe says no");
    const [asked] = await tx`select status, refusals from public.refund_requests`;
    assert.deepEqual({ ...asked }, { status: "queued", refusals: 1 });
    story.refunded(payment, "1", 3_000, "succeeded", request);
    await tellAll(tx, story);
    await endRefundJob(tx, request, "done");
    assert.deepEqual(await openAlerts(tx), []);
    await assertSound(tx);
  });
});
