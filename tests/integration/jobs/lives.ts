/** What can happen to an order at Stripe, and what the database says of it in the end. */
import assert from "node:assert/strict";
import { reconcileEvents } from "../../../supabase/functions/_shared/jobs/reconcile_events.ts";
import type { TestStack } from "../../support/stack.ts";
import { type Checkout, drain, flush, jobContext, pay } from "./shop.ts";

/** How many different lives there are. */
export const lives = 9;

/** What happens to order number n, at Stripe and by staff: each of these once in `lives` orders. */
export async function live(stack: TestStack, order: Checkout, n: number): Promise<void> {
  const { stripe } = jobContext(stack);
  const paymentOf = async () => {
    const session = await stripe.checkout.sessions.retrieve(order.session_id);
    assert.equal(typeof session.payment_intent, "string");
    return String(session.payment_intent);
  };
  const buy = (card?: string) => pay(stack, order.session_id, card);
  switch (n % 9) {
    case 0:
    case 1:
      await buy();
      return;
    case 2:
      await buy("4000000000000002");
      await buy("4000000000009995");
      await buy();
      return;
    case 3:
      await buy();
      await stripe.refunds.create({ payment_intent: await paymentOf(), amount: 500 });
      return;
    case 4:
      await buy();
      await stripe.refunds.create({ payment_intent: await paymentOf(), amount: 300 });
      await stripe.refunds.create({ payment_intent: await paymentOf() });
      return;
    case 5:
      await buy("4000000000000259");
      return;
    case 6:
      await stripe.checkout.sessions.expire(order.session_id);
      return;
    case 7:
      await buy("4000000000000002");
      return;
    case 8:
      await buy("4000000000005423");
      return;
  }
}

/** All that the database says of an order, without ids and times. */
export async function portrait(stack: TestStack, { order_id }: Checkout): Promise<Record<string, unknown>> {
  const [row] = await stack.sql`
    select jsonb_build_object(
      'order', (select jsonb_build_object('status', o.status, 'fulfillment', o.fulfillment_status, 'paid', o.amount_paid,
        'refunded', o.amount_refunded, 'total', o.amount_total, 'reasons',
        (select k.review_reasons from public.order_risk k where k.order_id = o.id), 'name', o.customer_name,
        'address', o.shipping_address, 'has_session', o.session_id is not null, 'has_payment', o.payment_id is not null,
        'oversold', o.oversold_at is not null) from public.orders o where o.id = ${order_id}),
      'sessions', (select jsonb_agg(jsonb_build_array(s.status, s.payment_status, s.amount_total)) from public.checkout_sessions s where s.order_id = ${order_id}),
      'payments', (select jsonb_agg(jsonb_build_array(p.status, p.amount, p.amount_received, p.card_brand, p.card_last4, p.risk_level)) from public.payments p where p.order_id = ${order_id}),
      'attempts', (select jsonb_agg(jsonb_build_array(a.outcome, a.decline_code, a.card_last4) order by a.outcome, a.decline_code) from public.payment_attempts a where a.order_id = ${order_id}),
      'refunds', (select jsonb_agg(jsonb_build_array(r.amount, r.status, r.reason) order by r.amount) from public.refunds r where r.order_id = ${order_id}),
      'disputes', (select jsonb_agg(jsonb_build_array(d.amount, d.status, d.reason, d.funds_withdrawn, d.funds_reinstated)) from public.disputes d where d.order_id = ${order_id}),
      'signals', (select jsonb_agg(jsonb_build_array(f.kind, f.severity, f.open, f.was_actionable) order by f.kind) from public.fraud_signals f where f.order_id = ${order_id}),
      'stock', (select jsonb_agg(jsonb_build_array(r.quantity, r.status)) from public.inventory_reservations r where r.order_id = ${order_id}),
      -- Who hears of everything at once is not told first that the goods are on their way.
      'mails', (
        select jsonb_agg(jsonb_build_array(n.template, case when n.template = 'order_confirmation' and o.fulfillment_status = 'cancelled'
          and n.status = 'skipped' then 'sent' else n.status end) order by n.template)
        from public.notifications n join public.orders o on o.id = n.order_id where n.order_id = ${order_id}
      ),
      'jobs', (select jsonb_agg(distinct jsonb_build_array(j.kind, j.status)) from private.jobs j where j.payload ->> 'order_id' = ${order_id}
        -- Looks that the clock asks for while the end of a page has not been heard of: how many, the machine decides.
        and j.dedupe_key !~ '^expire_checkout_session:cs_[^:]+:[0-9]+$'),
      'trail', (select jsonb_agg(distinct e.kind) from public.order_events e where e.order_id = ${order_id})
    ) as portrait`;
  assert.ok(row !== undefined);
  return row["portrait"];
}

/** All that is done by itself, once. */
export async function reconcileByItself(stack: TestStack): Promise<void> {
  // The job leaves the last seconds to the next one: what is written at this moment may not be listed yet.
  const options = { runId: crypto.randomUUID(), graceMs: 0, budgetMs: 60_000, dryRun: false };
  const { problems } = await reconcileEvents(jobContext(stack), options);
  assert.deepEqual(problems, []);
  await stack.sql`update private.periodic_jobs set next_at = now()`;
  await stack.sql`select public.enqueue_periodic_jobs()`;
  await drain(stack);
  await flush(stack);
}
