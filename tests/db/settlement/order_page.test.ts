/** What a shopper sees of an order at every turn, and when an open page is told to look again. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { orderStatusAnswer } from "../../../supabase/functions/_shared/http/answers.ts";
import type { OrderStatus } from "../../../supabase/functions/_shared/database/orders.ts";
import { nonEmpty } from "../../support/non_empty.ts";
import { shows } from "../../support/words.ts";
import { arrange, askRefund, deliver, ship } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder, SKU } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Db = postgres.ReservedSql;

async function pageOf(tx: Db, orderId: string): Promise<OrderStatus> {
  const [row] = await tx`select public.get_order_status(p_order_id => ${orderId}) as page`;
  return row?.["page"];
}

/** A paid order of two coats. */
async function paidOrder(tx: Db): Promise<{ story: Story; payment: ReturnType<Story["paid"]> }> {
  const story = new Story(await beginOrder(tx), 60, "P");
  await attachSession(tx, story, "a");
  const payment = story.paid("a");
  await tell(tx, story);
  return { story, payment };
}

async function tell(tx: Db, story: Story): Promise<void> {
  await deliver(tx, story.moves);
  story.events.length = 0;
}

/** Every text that the database holds of an order's person, payment and ids. */
async function secretsOf(tx: Db, orderId: string): Promise<string[]> {
  const rows = await tx`
    select to_jsonb(o) - array['number', 'status', 'fulfillment_status', 'currency', 'locale', 'created_at',
      'updated_at', 'paid_at', 'fulfilled_at', 'cancelled_at', 'restocked_at', 'oversold_at', 'abandoned_at',
      'session_expires_at'] as data from public.orders o where o.id = ${orderId}
    union all
    select to_jsonb(c) - array['status', 'payment_status', 'currency', 'completed_at', 'created_at', 'expires_at']
    from public.checkout_sessions c where c.order_id = ${orderId}
    union all
    select jsonb_build_array(p.id, p.charge_id, p.card_last4, p.card_brand) from public.payments p
    where p.order_id = ${orderId}
    union all
    select jsonb_build_array(r.id, r.reason) from public.refunds r where r.order_id = ${orderId}`;
  const texts = (value: unknown): string[] =>
    typeof value === "string"
      ? [value]
      : typeof value === "object" && value !== null
      ? Object.values(value).flatMap(texts)
      : [];
  return rows.flatMap((row) => texts(row["data"])).filter((text) => text.length > 3);
}

for (const lifecycle of lifecycles) {
  Deno.test(`page of an order shows its amounts and nothing personal: ${lifecycle.name}`, async () => {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 60, "P");
      const { orderId } = story.frame;
      for (const move of [null, ...await arrange(tx, lifecycle, story)]) {
        if (move !== null) await deliver(tx, [move]);
        const { settled: _, session_id, order_id, ...page } = await pageOf(tx, orderId);
        assert.deepEqual(orderStatusAnswer.parse(page), page);
        const text = JSON.stringify(page);
        const shown = nonEmpty(await secretsOf(tx, orderId)).filter((secret) => shows(text, secret));
        assert.deepEqual(shown, []);
        const done = page.refunds.filter(({ status }) => status === "done");
        assert.ok(done.reduce((sum, { amount }) => sum + amount, 0) >= page.amount_refunded);
        const [bySession] = await tx`select public.get_order_status(${session_id}) as page`;
        assert.deepEqual({ ...bySession?.["page"], settled: 0 }, {
          ...page,
          session_id,
          order_id,
          settled: 0,
        });
      }
    });
  });
}

Deno.test("page of an order shows each parcel with its pieces, and each refund as it stands", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const { orderId, orderNumber } = story.frame;
    await ship(tx, story, 1);
    await tx`select public.mark_fulfilled(${orderNumber}, 'By hand', null)`;
    const made = story.refunded(payment, "1", 1_000, "pending");
    story.refunded(payment, "2", 2_000, "succeeded");
    story.refunded(payment, "3", 3_000, "succeeded").settled("failed");
    await tell(tx, story);
    const page = await pageOf(tx, orderId);
    const coat = [{ sku: SKU, name: "Coat – Grey, L", quantity: 1 }];
    assert.deepEqual(page.shipments.map(({ shipped_at: _, ...parcel }) => parcel), [
      {
        parcel: 1,
        carrier: "UPS",
        tracking_number: "1Z-1",
        tracking_url: "https://www.ups.com/track?tracknum=1Z-1",
        items: coat,
      },
      { parcel: 2, carrier: "By hand", tracking_number: null, tracking_url: null, items: coat },
    ]);
    const refunds = async () =>
      (await pageOf(tx, orderId)).refunds.map(({ amount, status }) => [amount, status]);
    assert.deepEqual(await refunds(), [[1_000, "on_its_way"], [2_000, "done"], [3_000, "failed"]]);
    assert.equal(page.amount_refunded, 2_000);
    made.settled("requires_action");
    await tell(tx, story);
    assert.deepEqual((await refunds())[0], [1_000, "details_needed"]);
    made.settled("succeeded");
    await tell(tx, story);
    assert.deepEqual((await refunds())[0], [1_000, "done"]);
  });
});

Deno.test("page of an order shows what comes back: awaited, received, and not at all what never came", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    const { orderId, orderNumber } = story.frame;
    await ship(tx, story, 2);
    const one = tx.json([{ sku: SKU, quantity: 1 }]);
    const returns = async () =>
      (await pageOf(tx, orderId)).returns.map(({ status, items }) => [status, items[0]?.quantity]);
    await tx`select public.announce_return(${orderNumber}, ${one})`;
    assert.deepEqual(await returns(), [["awaited", 1]]);
    await tx`select public.receive_return(${orderNumber}, ${one})`;
    assert.deepEqual(await returns(), [["received", 1]]);
    await tx`select public.announce_return(${orderNumber}, ${one})`;
    const [late] =
      await tx`select id from public.returns where order_id = ${orderId} and received_at is null`;
    await tx`select public.close_return(${late?.["id"]}, 'never came')`;
    assert.deepEqual(await returns(), [["received", 1]]);
  });
});

/** Realtime as a hosted project has it, which writes down what is sent; `body` is what its send() does beside. */
async function realtime(tx: Db, body = ""): Promise<() => Promise<unknown[][]>> {
  await tx.unsafe(`
    create schema realtime;
    create table realtime.sent (n serial, payload jsonb, event text, topic text, private boolean);
    create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
    returns void language plpgsql as $$
    begin
      ${body}
      insert into realtime.sent (payload, event, topic, private) values ($1, $2, $3, $4);
    end;
    $$;`).simple();
  let seen = 0;
  return async () => {
    const rows = await tx`select * from realtime.sent where n > ${seen} order by n`;
    seen += rows.length;
    return rows.map(({ payload, event, topic, private: only }) => [payload, event, topic, only]);
  };
}

Deno.test("an open page is told once that the order has changed, and nothing of what", async () => {
  await undone(sql, async (tx) => {
    const sent = await realtime(tx);
    const { story, payment } = await paidOrder(tx);
    const { orderId, orderNumber } = story.frame;
    const { live_topic: topic } = await pageOf(tx, orderId);
    assert.match(topic, /^order-page:[0-9a-f]{64}$/);
    assert.ok(!topic.includes(orderId));
    const told = [[{}, "changed", topic, false]];
    for (const message of nonEmpty(await sent())) assert.deepEqual(message, told[0]);

    await tx`select private.settle_order(${orderId}, 'staff')`;
    await tx`select public.resend_notification(${orderNumber}, 'order_confirmation')`;
    assert.deepEqual(await sent(), [], "what the page shows has not changed");

    await ship(tx, story, 1);
    assert.deepEqual(await sent(), told, "a parcel");
    await tx`select public.correct_shipment(${orderNumber}, 1, 'DHL', '00340434161094021501')`;
    assert.deepEqual(await sent(), told, "another tracking number");
    await askRefund(tx, story, "1", 1_000);
    assert.deepEqual(await sent(), [], "a refund that Stripe has not taken");
    const refund = story.refunded(payment, "1", 1_000, "pending", story.id("req", "1"));
    await tell(tx, story);
    assert.deepEqual(await sent(), told, "a refund on its way");
    refund.settled("succeeded");
    await tell(tx, story);
    assert.deepEqual(await sent(), told, "a refund that is done");
  });
});

Deno.test("an order settles although its page cannot be told", async () => {
  await undone(sql, async (tx) => {
    await realtime(tx, "raise exception 'no partition of messages';");
    const { story } = await paidOrder(tx);
    assert.equal((await pageOf(tx, story.frame.orderId)).status, "paid");
    assert.equal((await tx`select 1 from private.order_pages`).length, 0, "told when it can be");
  });
});

Deno.test("a database without Realtime keeps nothing of what pages showed", async () => {
  await undone(sql, async (tx) => {
    await paidOrder(tx);
    assert.equal((await tx`select 1 from private.order_pages`).length, 0);
  });
});
