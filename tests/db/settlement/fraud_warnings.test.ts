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

const refundJob = "refund_payment:shop:a";

Deno.test("policy refund: an actionable warning on an unshipped order is refunded once and its goods go back", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const warning = story.warned(payment, "1");
    await tellAll(tx, story);
    const held = await endingOf(tx, story);
    assert.deepEqual([held.status, held.fulfillment], ["needs_review", "on_hold"]);
    assert.deepEqual(held.jobs, [refundJob]);
    assert.deepEqual(held.alerts, ["early_fraud_warning"]);

    story.refunded(payment, "1", 25_800, "succeeded", `shop:${payment.id}`);
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
    assert.deepEqual(jobs, ["refund_payment:duplicate:b", "refund_payment:shop:b"]);
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

async function kept(tx: Tx, story: Story): Promise<[status: string, fulfillment: string, reasons: string[]]> {
  const [row] =
    await tx`select status, fulfillment_status, review_reasons from public.orders join public.order_risk k on k.order_id = id
    where id = ${story.frame.orderId}`;
  return [row?.["status"], row?.["fulfillment_status"], row?.["review_reasons"]];
}

Deno.test("release_review() releases what was known: a warning, a review or a velocity hit that turns up later holds the order again", async () => {
  const news: Record<string, (tx: Tx, story: Story, payment: Payment) => Promise<unknown>> = {
    early_fraud_warning: async (tx, story, payment) => {
      await tx`update private.settings set value = '"review"' where key = 'early_fraud_warning_policy'`;
      story.warned(payment, "2");
    },
    radar_review: (_, story, payment) => Promise.resolve(story.reviewed(payment, "2")),
    velocity_review: (tx, story) =>
      tx`insert into public.fraud_signals (order_id, kind, severity, data)
        values (${story.frame.orderId}, 'velocity', 'warning', '{"action":"review","rule":"x"}')`,
  };
  for (const [reason, arrive] of Object.entries(news)) {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      story.reviewed(payment, "1");
      await tellAll(tx, story);
      await tx`select public.release_review(${story.frame.orderNumber})`;
      assert.deepEqual(await kept(tx, story), ["paid", "unfulfilled", []]);
      await arrive(tx, story, payment);
      await tellAll(tx, story);
      await tx`select private.settle_order(${story.frame.orderId}, 'test')`;
      assert.deepEqual(await kept(tx, story), ["needs_review", "on_hold", [reason]]);
      assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
      await tx`select public.release_review(${story.frame.orderNumber})`;
      assert.deepEqual(await kept(tx, story), ["paid", "unfulfilled", []]);
    });
  }
});

Deno.test("a warning that Stripe made before the release and told of after it holds the order: staff could not know", async () => {
  for (const order of [[0, 1], [1, 0]]) {
    await undone(sql, async (tx) => {
      await tx`update private.settings set value = '"review"' where key = 'early_fraud_warning_policy'`;
      const { story, payment } = await paidOrder(tx);
      story.warned(payment, "late").spent();
      const late = story.moves;
      story.events.length = 0;
      story.reviewed(payment, "1");
      await tellAll(tx, story);
      await tx`select public.release_review(${story.frame.orderNumber})`;
      for (const index of order) await deliver(tx, late.slice(index, index + 1));
      assert.deepEqual(await kept(tx, story), ["needs_review", "on_hold", ["early_fraud_warning"]]);
    });
  }
});

Deno.test("policy refund: a warning after a release is answered by the policy as any other", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.reviewed(payment, "1");
    await tellAll(tx, story);
    await tx`select public.release_review(${story.frame.orderNumber})`;
    story.warned(payment, "2");
    await tellAll(tx, story);
    assert.deepEqual((await endingOf(tx, story)).jobs, [refundJob]);
    await tx`savepoint refused`;
    await assert.rejects(
      tx`select public.release_review(${story.frame.orderNumber})`.execute(),
      /on its way back/,
    );
    await tx`rollback to savepoint refused`;
  });
});

Deno.test("the policy is asked when a warning is first seen actionable; a later change refunds nothing and stops nothing", async () => {
  for (const [then, now, jobs] of [["review", "refund", []], ["refund", "review", [refundJob]]] as const) {
    await undone(sql, async (tx) => {
      const set = (policy: string) =>
        tx`update private.settings set value = ${tx.json(policy)} where key = 'early_fraud_warning_policy'`;
      const { story, payment } = await paidOrder(tx);
      await set(then);
      story.warned(payment, "1");
      await tellAll(tx, story);
      await set(now);
      await tx`select private.settle_order(${story.frame.orderId}, 'test')`;
      assert.deepEqual((await endingOf(tx, story)).jobs, jobs);
      if (then === "review") {
        await tx`select public.release_review(${story.frame.orderNumber})`;
        assert.deepEqual((await endingOf(tx, story)).jobs, []);
      }
    });
  }
});
