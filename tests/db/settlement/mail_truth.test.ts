import assert from "node:assert/strict";
import type postgres from "postgres";
import { arrange, deliver } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

/** What would be sent now, and what would be skipped for which reason. */
async function mailsOf(tx: Tx, story: Story): Promise<Record<string, string | null>> {
  const rows = await tx`select template, public.get_notification(id) ->> 'problem' as problem
    from public.notifications where order_id = ${story.frame.orderId}`;
  return Object.fromEntries(rows.map((row) => [row["template"], row["problem"]]));
}

async function ended(tx: Tx, name: string): Promise<Story> {
  const lifecycle = lifecycles.find((lifecycle) => lifecycle.name === name);
  assert(lifecycle !== undefined, name);
  const story = new Story(await beginOrder(tx), 1, "T");
  await deliver(tx, await arrange(tx, lifecycle, story));
  return story;
}

const expectations: [lifecycle: string, mails: Record<string, string | null>][] = [
  ["pay", { order_confirmation: null }],
  ["full refund", { order_confirmation: "the order will not be sent", refund_issued: null }],
  ["refund that fails after it had succeeded", {
    order_confirmation: null,
    refund_issued: "the refund did not go through",
    refund_failed: null,
  }],
  ["pending refund that is cancelled in the dashboard", {
    order_confirmation: null,
    refund_issued: "the refund did not go through",
    refund_failed: null,
  }],
  ["paid, then cancelled", {
    order_confirmation: "the order will not be sent",
    order_cancelled: null,
    refund_issued: null,
  }],
  ["refund that is pending, then succeeds", {
    order_confirmation: "the order will not be sent",
    refund_issued: "the refund is complete",
    refund_settled: null,
  }],
  ["slow payment arrives", { order_confirmation: null, payment_processing: "the order has been paid" }],
  ["slow payment bounces", { payment_failed: null, payment_processing: "the payment did not go through" }],
  ["slow payment bounces, then paid by a second session", {
    payment_failed: "the order has been paid",
    payment_processing: "the order has been paid",
    order_confirmation: null,
  }],
  ["cancelled, and the slow payment bounces", {
    payment_failed: "the order has been cancelled",
    payment_processing: "the order has been cancelled",
  }],
];

for (const [name, mails] of expectations) {
  Deno.test(`a mail is judged when it is sent: ${name}`, async () => {
    await undone(sql, async (tx) => {
      assert.deepEqual(await mailsOf(tx, await ended(tx, name)), mails);
    });
  });
}

Deno.test("while a slow payment or a refund is under way, that is what the mail says", async () => {
  await undone(sql, async (tx) => {
    const slow = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, slow, "a", 1);
    slow.processing("a");
    await deliver(tx, slow.moves);
    assert.deepEqual(await mailsOf(tx, slow), { payment_processing: null });
    const refunded = new Story(await beginOrder(tx), 1, "U");
    await attachSession(tx, refunded, "a", 1);
    refunded.refunded(refunded.paid("a"), "1", 100, "pending");
    await deliver(tx, refunded.moves);
    assert.deepEqual(await mailsOf(tx, refunded), { order_confirmation: null, refund_issued: null });
  });
});

Deno.test("a mail that died and was sent anew by staff closes its alert, and is not sent when its job comes back", async () => {
  await undone(sql, async (tx) => {
    const story = await ended(tx, "pay");
    const { orderId, orderNumber } = story.frame;
    const [job] = await tx`select id, dedupe_key from private.jobs where kind = 'send_mail'`;
    await tx`select private.bury_job(${job?.["id"]}, 'no answer')`;
    const status = async () => {
      const [alert] = await tx`select status from public.alerts where kind = 'job_dead'`;
      return alert?.["status"];
    };
    assert.equal(await status(), "open");
    await tx`select public.resend_notification(${orderNumber}, 'order_confirmation')`;
    const [resent] = await tx`select id from public.notifications
      where order_id = ${orderId} and dedupe_key like 'resend:%'`;
    await tx`update public.notifications set created_at = created_at + interval '1 minute' where id = ${
      resent?.["id"]
    }`;
    await tx`select public.record_notification_result(${
      resent?.["id"]
    }, 'sent', 'ada@example.com', 'm1', null)`;
    assert.equal(await status(), "resolved");
    await tx`select private.redrive_job(${job?.["id"]})`;
    const [first] =
      await tx`select public.get_notification(id) ->> 'problem' as problem from public.notifications
      where order_id = ${orderId} and dedupe_key = ''`;
    assert.equal(first?.["problem"], "it was sent again meanwhile");
  });
});
