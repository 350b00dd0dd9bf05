import assert from "node:assert/strict";
import { deliver, endingOf, endRefundJob } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";
import { openAlerts, paidOrder, tellAll, total } from "./refunded_order.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("refunds in part, then in full, made in Stripe's dashboard, are booked and mailed one by one", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", 5_000);
    await tellAll(tx, story);
    let end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.refunded, end.fulfillment], [
      "partially_refunded",
      5_000,
      "unfulfilled",
    ]);

    story.refunded(payment, "2", total - 5_000);
    await tellAll(tx, story);
    end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.refunded, end.fulfillment], ["refunded", total, "cancelled"]);
    assert.deepEqual(end.mails, ["order_confirmation", "refund_issued", "refund_issued"]);
    assert.deepEqual(end.stock, [8, 0, 2], "nobody asked to restock");
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("a pending refund gives nothing back yet, and a failed one nothing at all, with an alert", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const refund = story.refunded(payment, "1", total, "pending");
    await tellAll(tx, story);
    assert.deepEqual([(await endingOf(tx, story)).status, (await endingOf(tx, story)).refunded], ["paid", 0]);
    refund.settled("succeeded");
    await tellAll(tx, story);
    assert.equal((await endingOf(tx, story)).status, "refunded");
    refund.settled("failed");
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.refunded, end.alerts], ["paid", 0, ["refund_failed"]]);
    const [row] = await tx`select public.request_refund(${story.frame.orderNumber})`;
    assert.equal(row?.["request_refund"]["ok"], true, "and can be tried again");
  });
});

Deno.test("an order whose full refund bounced waits for a person, who may let it ship after all", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", total).settled("failed");
    await tellAll(tx, story);
    const fulfillment = async () => (await endingOf(tx, story)).fulfillment;
    assert.equal(await fulfillment(), "on_hold");
    await tx`select public.release_review(${story.frame.orderNumber}, 'the customer wants the coat')`;
    assert.equal(await fulfillment(), "unfulfilled");
    story.refunded(payment, "2", total).settled("failed");
    await tellAll(tx, story);
    assert.equal(await fulfillment(), "on_hold", "what bounces later was not released");
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("the alert of a refund that failed closes once as much has been refunded anew", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", 5_000).settled("failed");
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), ["refund_failed"]);
    story.refunded(payment, "2", 500);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), ["refund_failed"], "a small sum is another matter");
    story.refunded(payment, "3", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
  });
});

Deno.test("a refund that was made before another one failed is not taken for its second try", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const first = story.refunded(payment, "1", 5_000);
    story.refunded(payment, "2", total - 5_000);
    first.settled("failed");
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), ["refund_failed"]);
    const [waiting] = await tx`select reasons from reporting.orders_needing_attention`;
    assert.deepEqual(waiting?.["reasons"], ["refund_failed"]);
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold", "all of its money was to go back");
    story.refunded(payment, "3", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
  });
});

Deno.test("one refund makes good one that failed, not two", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const refunds = ["1", "2", "3"].map((name) => story.refunded(payment, name, 5_000));
    refunds[0]?.settled("failed");
    story.refunded(payment, "4", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
    refunds[1]?.settled("failed");
    refunds[2]?.settled("failed");
    story.refunded(payment, "5", 5_000);
    await tellAll(tx, story);
    const open = await tx`select dedupe_key from public.alerts where status = 'open'`;
    assert.deepEqual(open.map((row) => row["dedupe_key"]), [`refund_failed:${story.id("re", "3")}`]);
    story.refunded(payment, "6", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
  });
});

for (
  const act of ["refunds a part", "refunds all and takes the goods back", "takes back what was refunded"]
) {
  Deno.test(`a second payment with a lower id does not undo what staff decided: the shop ${act}`, async () => {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 60, "T");
      await attachSession(tx, story, "a");
      await attachSession(tx, story, "b", 2);
      const kept = story.paid("b");
      await tellAll(tx, story);
      const { orderNumber } = story.frame;
      const amount = act === "refunds a part" ? 5_000 : total;
      if (act === "takes back what was refunded") {
        story.refunded(kept, "1", amount);
        await tellAll(tx, story);
        await tx`select public.cancel_order(${orderNumber})`;
      } else {
        const [row] = await tx`select public.request_refund(${orderNumber}, ${amount}, 'x', ${
          amount === total
        })
          ->> 'command_id' as id`;
        story.refunded(kept, "1", amount, "succeeded", row?.["id"]);
        await tellAll(tx, story);
        await endRefundJob(tx, row?.["id"], "done");
      }
      const second = story.paid("a");
      await tellAll(tx, story);

      const end = await endingOf(tx, story);
      assert.deepEqual([end.paid, end.refunded], [total, amount]);
      assert.deepEqual(end.jobs.filter((job) => job.includes("duplicate")), ["refund_payment:duplicate:a"]);
      assert.equal(end.status, amount === total ? "refunded" : "partially_refunded");
      story.refunded(second, "2", total, "succeeded", `duplicate:${second.id}`);
      await tellAll(tx, story);
      const [customer] =
        await tx`select sum(amount)::int as back from public.refunds where status = 'succeeded'`;
      assert.equal(customer?.["back"], amount + total, "what was promised, and the second payment");
      assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
    });
  });
}

Deno.test("a refund that comes before its payment is known waits for it", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    const paid = story.moves;
    story.events.length = 0;
    story.refunded(payment, "1", total);
    const [refund, charge] = story.moves;
    assert(refund !== undefined && charge !== undefined);
    await deliver(tx, [refund]);
    const [orphan] = await tx`select order_id from public.refunds`;
    assert.equal(orphan?.["order_id"], null);
    await deliver(tx, [...paid, charge]);
    assert.equal((await endingOf(tx, story)).status, "refunded");
  });
});
