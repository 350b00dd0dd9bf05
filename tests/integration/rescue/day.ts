/** A day of a shop with every kind of order, and what the database says of it. */
import assert from "node:assert/strict";
import { withDatabaseName } from "../../../scripts/lib/connection.ts";
import { connect } from "../../../scripts/lib/connection.ts";
import { inLanes } from "../../../supabase/functions/_shared/jobs/lanes.ts";
import type { TestStack } from "../../support/stack.ts";
import { checkout, signUp } from "../checkout/shop.ts";
import { type Checkout, control, drain, flush, jobContext, pay } from "../jobs/shop.ts";

/** Of these each order of a day is one, in turn. */
const LIVES = [
  "paid",
  "declined, then paid",
  "expired",
  "a piece refunded by staff, back on the shelf",
  "refunded in the dashboard",
  "disputed",
  "warned of, and refunded",
  "a debit that arrives",
  "declined, and left at that",
  "a debit that bounces",
  "refunded by staff, all goods back",
  "cancelled by staff after it was paid",
  "reviewed",
  "with a discount",
  "still open",
  "refunded in parts",
  "expired, opened again and paid",
  "paid late",
] as const;

/** Of the orders that a backup knows, those that go on after it. */
const GOING_ON: readonly (typeof LIVES[number])[] = [
  "a piece refunded by staff, back on the shelf",
  "refunded by staff, all goods back",
  "cancelled by staff after it was paid",
  "expired, opened again and paid",
  "paid late",
  "still open",
];

/** A day: the lives of the orders that its backup knows, and of those that come after it. */
export interface Day {
  morning: (typeof LIVES[number])[];
  afternoon: (typeof LIVES[number])[];
}

/** The smallest day, each kind of order once; `orders`: as many as that in all, half of them before the backup. */
export function dayOf(orders: number | null): Day {
  const some = (lives: readonly (typeof LIVES[number])[], count: number) =>
    Array.from({ length: count }, (_, at) => lives[at % lives.length] ?? "paid");
  return orders === null
    ? { morning: [...GOING_ON], afternoon: [...LIVES] }
    : { morning: some(LIVES, orders / 2), afternoon: some(LIVES, orders / 2) };
}

/** A code that is worth ten percent. */
const CODE = "SPRING";

/** Deliveries, a discount, and stock for everybody. */
export async function openShop(stack: TestStack): Promise<void> {
  const { stripe } = jobContext(stack);
  const coupon = await stripe.coupons.create({ percent_off: 10, duration: "once" });
  await stripe.promotionCodes.create({ promotion: { type: "coupon", coupon: coupon.id }, code: CODE });
  await stack.sql`update public.inventory_levels set on_hand = on_hand + 20000`;
  await stack.sql`insert into public.shipping_rates (name, amount, currency, countries, delivery_days_min)
    values ('Post', 500, 'usd', null, 2), ('Express', 1500, 'usd', null, 1)`;
}

/** The terms that shoppers accept from now on. */
export async function setTerms(stack: TestStack, version: string): Promise<void> {
  await stack.sql`update private.settings set value = to_jsonb(${version}::text) where key = 'terms_version'`;
}

/** An order of another installation at the same account of Stripe. */
export async function tradeElsewhere(stack: TestStack): Promise<void> {
  await jobContext(stack).stripe.checkout.sessions.create({
    mode: "payment",
    success_url: "https://elsewhere.example/success",
    line_items: [{
      quantity: 1,
      price_data: { currency: "usd", unit_amount: 4900, product_data: { name: "Shirt" } },
    }],
    metadata: {
      order_id: crypto.randomUUID(),
      order_number: "ELSEWHERE-1",
      attempt: "1",
      shop_id: "0123456789abcdef",
      lines_1: "SHIRT-OXF-WHT-M*1@4900",
    },
  });
}

/** Goods that come into the catalogue in the course of the day. */
export const NEW_GOODS = "NEW-TODAY";

export async function addGoods(stack: TestStack): Promise<void> {
  await stack.sql`with product as (
      insert into public.products (slug, name) values ('new-today', 'Scarf') returning id
    ), variant as (
      insert into public.product_variants (product_id, sku, price_amount) select id, ${NEW_GOODS}, 4900 from product
      returning id
    )
    insert into public.inventory_levels (variant_id, on_hand) select id, 9000 from variant
    on conflict (variant_id) do update set on_hand = excluded.on_hand`;
}

/** What the shopper of order `n` asks for; asked for again, it is the same order. */
async function ask(
  stack: TestStack,
  n: number,
  token: string | undefined,
  extra?: string,
): Promise<Checkout> {
  const { status, body } = await checkout(stack, {
    items: [
      { sku: "SHIRT-OXF-BLU-M", quantity: 1 + n % 2 },
      { sku: "SHIRT-OXF-WHT-M", quantity: 2 },
      ...(extra === undefined ? [] : [{ sku: extra, quantity: 1 }]),
    ],
    ...(token === undefined ? { customer_email: `guest-${n}@example.com` } : {}),
    ...(n % 2 === 0 ? { locale: "de-DE" } : {}),
  }, { key: `order-${n}-of-a-day-like-any-other`, ...(token === undefined ? {} : { token }) });
  assert.ok(status === 201 || status === 200, JSON.stringify(body));
  return body;
}

/**
 * Orders of the day, from number `from` on, each with its life as far as it goes without staff; the first of them is
 * about `extra` as well. Returns their numbers.
 */
export async function trade(
  stack: TestStack,
  lives: Day["morning"],
  from: number,
  accounts: string[],
  extra?: string,
): Promise<string[]> {
  const numbers: string[] = [];
  await inLanes(lives.entries(), 4, async ([at, life]) => {
    const n = from + at;
    const order = await ask(stack, n, accountOf(n, accounts), at === 0 ? extra : undefined);
    numbers[at] = order.order_number;
    await live(stack, order, life);
  });
  return numbers;
}

function accountOf(n: number, accounts: string[]): string | undefined {
  return n % BUYERS_WITH_ACCOUNT === 0 ? accounts[n / BUYERS_WITH_ACCOUNT] : undefined;
}

/** Every so many orders one is of an account. */
const BUYERS_WITH_ACCOUNT = 5;

/** The accounts that buy on a day of so many orders, by their tokens: each buys once. */
export async function signUps(stack: TestStack, orders: number): Promise<string[]> {
  const tokens: string[] = [];
  for (let n = 0; n < orders; n += BUYERS_WITH_ACCOUNT) tokens.push(await signUp(stack));
  return tokens;
}

async function live(stack: TestStack, order: Checkout, life: typeof LIVES[number]): Promise<void> {
  const { stripe } = jobContext(stack);
  const session = order.session_id;
  const payment = async () => String((await stripe.checkout.sessions.retrieve(session)).payment_intent);
  const buy = async (card?: string) => void await pay(stack, session, card);
  switch (life) {
    case "declined, then paid":
      await buy("4000000000000002");
      await buy("4000000000009995");
      return await buy();
    case "expired":
    case "expired, opened again and paid":
      return void await stripe.checkout.sessions.expire(session);
    case "refunded in the dashboard":
      await buy();
      return void await stripe.refunds.create({ payment_intent: await payment() });
    case "refunded in parts":
      await buy();
      await stripe.refunds.create({ payment_intent: await payment(), amount: 300 });
      return void await stripe.refunds.create({ payment_intent: await payment(), amount: 700 });
    case "disputed":
      return await buy("4000000000000259");
    case "warned of, and refunded":
      return await buy("4000000000005423");
    case "a debit that arrives":
      await control(stack, "pay", { session, account_number: "000123456789" });
      return await control(stack, "settle", { payment_intent: await payment(), outcome: "succeeded" });
    case "a debit that bounces":
      await control(stack, "pay", { session, account_number: "000123456789" });
      return await control(stack, "settle", { payment_intent: await payment(), outcome: "failed" });
    case "declined, and left at that":
      return await buy("4000000000000002");
    case "reviewed":
      await buy();
      return await control(stack, "review", { payment_intent: await payment() });
    case "with a discount": {
      const { url } = await stripe.checkout.sessions.retrieve(session);
      const response = await fetch(`${url?.replace(/#.*$/, "")}/update`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ promotion_code: CODE }),
      });
      assert.ok(response.ok, await response.text());
      return await buy();
    }
    case "still open":
    case "paid late":
      return;
    case "a piece refunded by staff, back on the shelf":
    case "refunded by staff, all goods back":
    case "cancelled by staff after it was paid":
    case "paid":
      return await buy();
  }
}

/** What staff and shoppers do about the orders of a day, from its first on, once all that has come before is known. */
export async function goOn(
  stack: TestStack,
  { morning, afternoon }: Day,
  numbers: string[],
  accounts: string[],
): Promise<void> {
  await flush(stack);
  const lives = [...morning, ...afternoon];
  for (const [at, number] of numbers.entries()) {
    switch (lives[at]) {
      case "a piece refunded by staff, back on the shelf":
        await stack.sql`select public.request_refund(${number},
          p_lines => '[{"sku": "SHIRT-OXF-WHT-M", "quantity": 1, "restock": true}]')`;
        break;
      case "refunded by staff, all goods back":
        await stack.sql`select public.request_refund(${number}, p_restock => true)`;
        break;
      case "cancelled by staff after it was paid":
        await stack.sql`select public.cancel_order(${number}, 'changed their mind')`;
        break;
      case "expired, opened again and paid":
        await pay(stack, (await ask(stack, at, accountOf(at, accounts))).session_id);
        break;
      case "paid late":
        await pay(stack, (await ask(stack, at, accountOf(at, accounts))).session_id);
        break;
    }
  }
}

/** Pages that are still open have been looked at: Stripe then tells more of them than any event does. */
export async function readOpenPages(stack: TestStack): Promise<void> {
  await stack.sql`select private.enqueue_job('refresh_checkout_session', 'read:' || s.id,
    jsonb_build_object('checkout_session_id', s.id)) from public.checkout_sessions s where s.status = 'open'`;
}

/** Everything has been delivered and done. */
export async function settleDown(stack: TestStack): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await flush(stack);
    await drain(stack);
  }
}

/** The database of a stack as a template, under a name of its own; nobody may be connected meanwhile. */
export async function copyDatabase(stack: TestStack, from: string, to: string): Promise<void> {
  const admin = connect(withDatabaseName(stack.db_url, "postgres"));
  try {
    await admin.unsafe(`drop database if exists ${to} with (force)`);
    await admin.unsafe(`alter database ${from} with allow_connections false`);
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${from}`;
    await admin.unsafe(`create database ${to} template ${from} strategy file_copy`);
    await admin.unsafe(`alter database ${from} with allow_connections true`);
    await admin.unsafe(`alter database ${to} with allow_connections true`);
  } finally {
    await admin.end();
  }
}

export async function dropDatabase(stack: TestStack, name: string): Promise<void> {
  const admin = connect(withDatabaseName(stack.db_url, "postgres"));
  await admin.unsafe(`drop database if exists ${name} with (force)`);
  await admin.end();
}

/** What of a row is not Stripe's to know, by table. Times of ours differ by what a round trip takes. */
const NOT_AT_STRIPE: Record<string, string[]> = {
  orders: [
    "customer_id",
    "accepts_marketing",
    "idempotency_key",
    "purchase_ip",
    "user_agent",
    "asked_currency",
    "asked_country",
    "locale",
    "shipping_rates",
    "oversold_at",
    "restocked_at",
    "cancelled_at",
    "abandoned_at",
    "created_at",
    "updated_at",
  ],
  sessions: ["version", "contact_version", "created_at", "closing_at"],
  payments: ["version", "created_at"],
  attempts: ["version"],
  refunds: ["version", "seen_at", "released_at"],
  disputes: ["version"],
  signals: ["id", "version"],
  requests: ["created_at"],
};

/** What only events tell, and no object: how something came to be, and the second in which it did. */
const ONLY_IN_EVENTS: Record<string, string[]> = {
  orders: ["paid_at"],
  sessions: ["completed_at", "awaited_payment"],
  payments: ["succeeded_at"],
  refunds: ["succeeded_at", "failed_at", "was_pending"],
  disputes: ["statuses_seen", "first_due_by", "funds_withdrawn", "funds_reinstated", "funds_reinstated_at"],
  signals: ["was_actionable", "answer"],
};

/** All that Stripe can know of each order, by number; `objects`: by its objects alone. */
export async function digests(stack: TestStack, objects = false): Promise<Map<string, unknown>> {
  const hidden = Object.fromEntries(
    Object.entries(NOT_AT_STRIPE).map((
      [table, columns],
    ) => [table, objects ? [...columns, ...ONLY_IN_EVENTS[table] ?? []] : columns]),
  );
  const h = (table: string) => hidden[table] ?? [];
  const rows = await stack.sql<{ number: string; digest: unknown }[]>`
    select o.number, jsonb_build_object(
      'order', to_jsonb(o) - ${h("orders")}::text[] || jsonb_build_object(
        'session_expires_at', date_trunc('second', o.session_expires_at), 'language', split_part(o.locale, '-', 1), 'oversold', o.oversold_at is not null,
        'restocked', o.restocked_at is not null, 'cancelled', o.cancelled_at is not null,
        'rates', (select jsonb_agg(jsonb_build_array(r -> 'id', r -> 'name', r -> 'amount') order by r ->> 'id')
          from jsonb_array_elements(o.shipping_rates) r)),
      'terms', (select jsonb_agg(jsonb_build_array(t.attempt, t.version) order by t.attempt)
        from public.order_terms t where t.order_id = o.id),
      'customer', (select jsonb_build_array(c.user_id, c.email, c.name, c.stripe_customer_id, c.livemode)
        from public.customers c where c.id = o.customer_id),
      'reasons', (select k.review_reasons from public.order_risk k where k.order_id = o.id),
      'items', (select jsonb_agg(to_jsonb(i) - '{id}'::text[] order by i.sku) from public.order_items i
        where i.order_id = o.id),
      'sessions', (select jsonb_agg(to_jsonb(s) - ${
    h("sessions")
  }::text[] || case s.status when 'open' then '{}' else '{"url": null}' end::jsonb order by s.id)
        from public.checkout_sessions s where s.order_id = o.id),
      'payments', (select jsonb_agg(to_jsonb(p) - ${h("payments")}::text[] order by p.id)
        from public.payments p where p.order_id = o.id),
      'attempts', (select jsonb_agg(to_jsonb(a) - ${h("attempts")}::text[] order by a.id)
        from public.payment_attempts a where a.order_id = o.id),
      'refunds', (select jsonb_agg((to_jsonb(r) || jsonb_build_object(
          -- Read by the job that made it, a moment before it was made.
          'succeeded_at', greatest(r.succeeded_at, case when r.succeeded_at is not null then r.created_at end)
        )) - ${h("refunds")}::text[] order by r.id)
        from public.refunds r where r.order_id = o.id),
      'reasons of refunds', (select jsonb_agg(to_jsonb(x) order by x.refund_id) from public.refund_reasons x
        join public.refunds r on r.id = x.refund_id where r.order_id = o.id),
      'requests', (select jsonb_agg(to_jsonb(q) - ${h("requests")}::text[] || jsonb_build_object('lines', (
          select jsonb_agg(jsonb_build_array(i.sku, l.quantity) order by i.sku) from public.refund_lines l
          join public.order_items i on i.id = l.order_item_id where l.request_id = q.id)) order by q.id)
        from public.refund_requests q where q.order_id = o.id),
      'returns', (select jsonb_agg(jsonb_build_array(b.status, b.refund_request_id, l.quantity, l.restock)
          order by b.refund_request_id) from public.returns b
        join public.return_lines l on l.return_id = b.id where b.order_id = o.id),
      'disputes', (select jsonb_agg(to_jsonb(d) - ${h("disputes")}::text[] order by d.id)
        from public.disputes d where d.order_id = o.id),
      'signals', (select jsonb_agg(to_jsonb(f) - ${h("signals")}::text[] order by f.source_id)
        from public.fraud_signals f where f.order_id = o.id and f.source_id is not null),
      'stock', (select jsonb_agg(jsonb_build_array(r.variant_id, r.quantity, r.returned, r.status)
        order by r.variant_id) from public.inventory_reservations r where r.order_id = o.id),
      'moves', (select jsonb_agg(jsonb_build_array(j.variant_id, j.sum) order by j.variant_id) from (
        select x.variant_id, sum(x.change) from public.inventory_journal x where x.order_id = o.id group by 1 having sum(x.change) <> 0) j)
    ) as digest
    from public.orders o order by o.number`;
  return new Map(rows.map(({ number, digest }) => [number, digest]));
}

/** Goods in pieces of each kind that the backup knew. */
export async function stockOf(stack: TestStack): Promise<unknown> {
  return [
    ...await stack.sql`select l.variant_id, l.on_hand, l.reserved, l.committed
      from public.inventory_levels l join public.product_variants v on v.id = l.variant_id
      where v.sku <> ${NEW_GOODS} order by l.variant_id`,
  ];
}
