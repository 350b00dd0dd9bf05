/** What mark_fulfilled() and cancel_order() do, and what the customer is told of it. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { deliver, endingOf } from "./arrange.ts";
import { paidOrder, refusal } from "./goods.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

Deno.test("mark_fulfilled() notes the parcel and mails once; a shipped order is neither cancelled nor shipped again", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber, orderId } } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z999')`;
    const [order] = await tx`select fulfillment_status, carrier, tracking_number from public.orders o
        join public.shipments s on s.order_id = o.id where o.id = ${orderId}`;
    assert.deepEqual({ ...order }, {
      fulfillment_status: "fulfilled",
      carrier: "UPS",
      tracking_number: "1Z999",
    });
    assert.equal((await tx`select 1 from public.notifications where template = 'order_shipped'`).length, 1);
    assert.equal(await refusal(tx, tx`select public.mark_fulfilled(${orderNumber})`), "SHINV");
    assert.equal(await refusal(tx, tx`select public.cancel_order(${orderNumber})`), "SHINV");
  });
});

/** The mails about an order's parcel: what each says, and why it would not be sent. */
async function parcelMails(tx: Tx, orderId: string) {
  const rows = await tx`select n.data, private.notification_problem(n, o) as problem
    from public.notifications n join public.orders o on o.id = n.order_id
    where n.order_id = ${orderId} and n.template = 'order_shipped' order by n.dedupe_key, n.data ->> 'tracking_number'`;
  return rows.map(({ data, problem }) => [data.tracking_number, data.corrected ?? null, problem]);
}

Deno.test("mark_fulfilled() corrects carrier and tracking number of a shipped order, and mails each correction once", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber, orderId } } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z-WRONG')`;
    assert.deepEqual(await parcelMails(tx, orderId), [["1Z-WRONG", null, null]]);
    const [before] = await tx`select fulfilled_at from public.orders where id = ${orderId}`;

    // Not sent yet: the mail that waits would be wrong, so the other one goes in its stead.
    await tx`select public.mark_fulfilled(${orderNumber}, null, '1Z-BETTER')`;
    const wrong = "the tracking number has been corrected since";
    assert.deepEqual(await parcelMails(tx, orderId), [["1Z-WRONG", null, wrong], ["1Z-BETTER", false, null]]);

    await tx`update public.notifications set status = 'sent' where data ->> 'tracking_number' = '1Z-BETTER'`;
    await tx`select public.mark_fulfilled(${orderNumber}, 'DHL', '1Z-RIGHT')`;
    assert.deepEqual((await parcelMails(tx, orderId)).filter(([, , problem]) => problem === null), [
      ["1Z-RIGHT", true, null],
    ]);
    const [order] =
      await tx`select fulfillment_status, carrier, tracking_number, fulfilled_at from public.orders o
      join public.shipments s on s.order_id = o.id where o.id = ${orderId}`;
    assert.deepEqual({ ...order }, {
      fulfillment_status: "fulfilled",
      carrier: "DHL",
      tracking_number: "1Z-RIGHT",
      fulfilled_at: before?.["fulfilled_at"],
    });

    const again = tx`select public.mark_fulfilled(${orderNumber}, 'DHL', '1Z-RIGHT')`;
    assert.equal(await refusal(tx, again), "SHINV", "nothing to correct");
    assert.equal((await parcelMails(tx, orderId)).length, 3);
    await tx`select public.resend_notification(${orderNumber}, 'order_shipped')`;
    assert.deepEqual((await parcelMails(tx, orderId)).at(-1), ["1Z-RIGHT", null, null]);
  });
});

Deno.test("nothing promises goods of an order that will not be sent: neither a mail that waits nor one that staff send again", async () => {
  const ends: Record<string, (tx: Tx, story: Story) => Promise<unknown>> = {
    "cancelled": (tx, story) => tx`select public.cancel_order(${story.frame.orderNumber})`.execute(),
    "refunded": (tx, story) => {
      story.events.length = 0;
      story.refunded(story.payment("a"), "1", story.frame.amount);
      return deliver(tx, story.moves);
    },
    "shipped and returned": async (tx, story) => {
      await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z')`;
      story.events.length = 0;
      story.refunded(story.payment("a"), "1", story.frame.amount);
      await deliver(tx, story.moves);
      await tx`select public.receive_return(${story.frame.orderNumber})`;
    },
  };
  for (const [name, end] of Object.entries(ends)) {
    await undone(sql, async (tx) => {
      const story = await paidOrder(tx);
      await end(tx, story);
      const promises = await tx`select n.template, public.get_notification(n.id) ->> 'problem' as problem
        from public.notifications n where n.template in ('order_confirmation', 'order_shipped')`;
      assert(promises.length > 0);
      for (const { template, problem } of promises) {
        assert.notEqual(problem, null, `${name}: ${template}`);
        const again = tx`select public.resend_notification(${story.frame.orderNumber}, ${template})`;
        assert.equal(await refusal(tx, again), "SHINV", `${name}: ${template}`);
      }
    });
  }
});

Deno.test("cancel_order() on a pending order frees its stock only when Stripe says that the session is over", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const open = await endingOf(tx, story);
    assert.deepEqual([open.status, open.stock, open.jobs], ["cancelled", [8 + 2, 2, 0], [
      "expire_checkout_session:a",
    ]]);
    story.expired("a");
    await deliver(tx, story.moves);
    assert.deepEqual((await endingOf(tx, story)).stock, [10, 0, 0]);
  });
});
