import assert from "node:assert/strict";
import type postgres from "postgres";
import { deliver, endRefundJob } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { type Payment, Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

/** Reasons of every order that needs attention, as the dashboard's reader sees them. */
async function attention(tx: Tx): Promise<string[][]> {
  await tx`set local role service_role`;
  const rows = await tx`select reasons from reporting.orders_needing_attention order by number`;
  await tx`reset role`;
  return rows.map(({ reasons }) => reasons);
}

async function paidOrder(tx: Tx): Promise<{ story: Story; payment: Payment }> {
  const story = new Story(await beginOrder(tx), 60, "T");
  await attachSession(tx, story, "a");
  const payment = story.paid("a");
  await tell(tx, story);
  return { story, payment };
}

async function tell(tx: Tx, story: Story): Promise<void> {
  await deliver(tx, story.moves);
  story.events.length = 0;
}

Deno.test("orders that are open, paid, shipped or refunded need no attention", async () => {
  await undone(sql, async (tx) => {
    await beginOrder(tx);
    const { story, payment } = await paidOrder(tx);
    assert.deepEqual(await attention(tx), []);
    story.refunded(payment, "1", 1_000);
    await tell(tx, story);
    await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z')`;
    assert.deepEqual(await attention(tx), []);
  });
});

Deno.test("an order stands there once, with all that it waits for, until each is settled", async () => {
  await undone(sql, async (tx) => {
    await tx`update private.settings set value = '"review"' where key = 'early_fraud_warning_policy'`;
    const { story, payment } = await paidOrder(tx);
    story.warned(payment, "1");
    const review = story.reviewed(payment, "1");
    const dispute = story.disputed(payment, "d", "needs_response");
    await tell(tx, story);
    assert.deepEqual(await attention(tx), [["dispute_open", "early_fraud_warning", "radar_review"]]);
    review.approved();
    await tell(tx, story);
    assert.deepEqual(await attention(tx), [["dispute_open", "early_fraud_warning"]]);
    await tx`select public.release_review(${story.frame.orderNumber})`;
    assert.deepEqual(await attention(tx), [["dispute_open"]]);
    dispute.closed("lost");
    await tell(tx, story);
    assert.deepEqual(await attention(tx), [["dispute_lost"]]);
    dispute.closed("won");
    await tell(tx, story);
    assert.deepEqual(await attention(tx), []);
  });
});

Deno.test("a dispute that is lost after the parcel has left leaves nothing to do", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z')`;
    const dispute = story.disputed(payment, "d", "needs_response");
    await tell(tx, story);
    assert.deepEqual(await attention(tx), [["dispute_open"]]);
    dispute.closed("lost");
    await tell(tx, story);
    assert.deepEqual(await attention(tx), []);
  });
});

Deno.test("a refund that bounced waits until it is made again, or staff have paid in another way", async () => {
  for (const settle of ["again", "otherwise"]) {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      story.refunded(payment, "1", 5_000).settled("failed");
      await tell(tx, story);
      assert.deepEqual(await attention(tx), [["refund_failed"]]);
      if (settle === "again") {
        story.refunded(payment, "2", 5_000);
        await tell(tx, story);
      } else {
        await tx`update public.alerts set status = 'resolved' where kind = 'refund_failed'`;
      }
      assert.deepEqual(await attention(tx), []);
    });
  }
});

Deno.test("a refund that Stripe refuses waits as delayed while it is tried, then as refused", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    const [row] = await tx`select public.request_refund(${story.frame.orderNumber}) ->> 'command_id' as id`;
    assert.deepEqual(await attention(tx), []);
    await endRefundJob(tx, row?.["id"], "retry", "warning");
    assert.deepEqual(await attention(tx), [["refund_delayed"]]);
    await endRefundJob(tx, row?.["id"], "discard", "warning");
    assert.deepEqual(await attention(tx), [["refund_refused"]]);
  });
});

Deno.test("a checkout that should have ended an hour ago and a payment under way for weeks stand there", async () => {
  await undone(sql, async (tx) => {
    const open = new Story(await beginOrder(tx), 60, "O");
    await attachSession(tx, open, "a");
    const slow = new Story(await beginOrder(tx), 60, "S");
    await attachSession(tx, slow, "b");
    slow.processing("b");
    await tell(tx, slow);
    const age = (time: string) => tx`update public.orders set session_expires_at = now() - ${time}::interval`;
    await age("50 minutes");
    assert.deepEqual(await attention(tx), []);
    await age("70 minutes");
    assert.deepEqual(await attention(tx), [["checkout_not_ended"]]);
    await age("22 days");
    assert.deepEqual(await attention(tx), [["checkout_not_ended"], ["payment_not_ended"]]);
    await tx`select public.cancel_order(${open.frame.orderNumber})`;
    assert.deepEqual(
      await attention(tx),
      [["checkout_not_ended"], ["payment_not_ended"]],
      "its stock is held",
    );
    open.expired("a");
    await tell(tx, open);
    assert.deepEqual(await attention(tx), [["payment_not_ended"]]);
  });
});
