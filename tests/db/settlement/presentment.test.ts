/** A customer who paid in a currency of their own: the order counts in its own, everybody is told both. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { arrange, deliver } from "./arrange.ts";
import { lifecycles } from "./lifecycles.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const paid = { amount: 20_100, currency: "gbp" };
const given = { amount: 10_050, currency: "gbp" };

/** The same events as of a customer who paid in pounds. */
function inPounds(story: Story, types = /./): void {
  for (const event of story.events.filter(({ type }) => types.test(type))) {
    const money = event.type.startsWith("refund.") ? given : paid;
    Object.assign(event.data.object as Stripe.Charge, {
      presentment_details: { presentment_amount: money.amount, presentment_currency: money.currency },
    });
  }
}

for (
  const [what, types] of [["by every object", /./], ["by the session alone", /^(checkout|refund)/]] as const
) {
  Deno.test(`an order paid in another currency, told ${what}, is verified in its own and shown in both`, async () => {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 60, "P");
      const { orderId, orderNumber } = story.frame;
      await attachSession(tx, story, "a");
      const payment = story.paid("a");
      story.refunded(payment, "1", 12_900);
      story.disputed(payment, "d", "needs_response");
      inPounds(story, types);
      await deliver(tx, story.moves);

      const [order] =
        await tx`select o.status, o.currency, o.amount_paid::int as paid, x.review_reasons as reasons,
          public.get_order_status(p_order_id => o.id) as page, v.charged_as
        from public.orders o join public.order_risk x on x.order_id = o.id
        cross join lateral (select private.money_text((m ->> 'amount')::bigint, m ->> 'currency') as charged_as
          from private.presentment(o) m) v
        where o.id = ${orderId}`;
      assert.deepEqual(
        [order?.["status"], order?.["currency"], order?.["paid"], order?.["reasons"]],
        ["partially_refunded", "usd", 25_800, []],
      );
      assert.deepEqual(order?.["page"].presentment, paid);
      assert.deepEqual(order?.["page"].refunds.map((one: { presentment: unknown }) => one.presentment), [
        given,
      ]);
      assert.match(order?.["charged_as"], /201\.00/);

      const mails = await tx`select template, public.get_notification(id) as mail from public.notifications
        where order_id = ${orderId} order by template`;
      assert.deepEqual(
        mails.map(({ template, mail }) => [
          template,
          mail.order.presentment,
          mail.data.presentment,
        ]),
        [["order_confirmation", paid, undefined], ["refund_issued", paid, given]],
      );

      const [evidence] = await tx`select public.get_dispute_evidence(${story.id("du", "d")}) as told`;
      assert.deepEqual(evidence?.["told"].order.presentment, paid);
      const [trace] = await tx`select to_jsonb(public.get_order_trace(${orderNumber}))::text as told`;
      assert.match(trace?.["told"], /"presentment_amount": ?10050/);
    });
  });
}

Deno.test("a customer who turns back to the shop's currency after a decline is told of no other", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "P");
    await attachSession(tx, story, "a");
    story.declined("a");
    inPounds(story);
    story.paid("a");
    await deliver(tx, story.moves.toReversed());
    const [order] = await tx`select private.presentment(o) as told from public.orders o
      where o.id = ${story.frame.orderId}`;
    assert.equal(order?.["told"], null);
  });
});

Deno.test("an order that nobody has paid yet says nothing of another currency", async () => {
  await undone(sql, async (tx) => {
    const lifecycle = lifecycles.find(({ name }) => name === "pay");
    assert(lifecycle !== undefined);
    const story = new Story(await beginOrder(tx), 60, "P");
    await arrange(tx, lifecycle, story);
    const [order] = await tx`select private.presentment(o) as told from public.orders o
      where o.id = ${story.frame.orderId}`;
    assert.equal(order?.["told"], null);
  });
});
