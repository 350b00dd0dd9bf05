/**
 * What events cost in SQL alone, each against what it cannot do without: the first of an order, the one that pays it,
 * one that says what is known, and two hundred of one order at once. By turns, on one server.
 */
import type postgres from "postgres";
import type Stripe from "stripe";
import { checkoutSessionFact } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import { translate } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { connect } from "../../lib/connection.ts";
import { createTestDatabase } from "../../local/test_database.ts";

/** Milliseconds, medians unless said otherwise; events a second. */
export interface EventCallsBench {
  /** A bare insert of an event with an update of its order. */
  bareMs: number;
  firstMs: number;
  /** The event that pays an order of which nothing was heard before. */
  payingMs: number;
  duplicateMs: number;
  /** An event that says what is known. */
  noNewsMs: number;
  payingP99Ms: number;
  /** Of all that Stripe sends of a paid order. */
  p99Ms: number;
  p50Ms: number;
  /** How many events of one order came at once. */
  crowd: number;
  /** Events a second: of one order one after the other, of one order at once, of as many orders at once. */
  inTurnPerSecond: number;
  oneOrderPerSecond: number;
  manyOrdersPerSecond: number;
}

const warmUpOrders = 20;
const connections = 16;
/** Events that are delivered at once, at most, in each of so many turns. */
const crowdMax = 200;
const turns = 3;
/** The servers of tests plan once for all, projects do not. */
const asInProjects = { plan_cache_mode: "auto" };

/** What Stripe sends of an order that is paid by card. The last one, a little later, says what is known. */
const types = [
  "charge.succeeded",
  "payment_intent.succeeded",
  "checkout.session.completed",
  "charge.updated",
] as const;
const folder = new URL("../../../tests/fixtures/events/", import.meta.url);
/** What stands in these events, and differs from order to order. */
const written = {
  order: "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42",
  cart: "9b1f6f8c0c5a4a67b8a1d2e3f4a5b6c7",
  amount: "25800",
  email: "ada@example.com",
  objects: /\b(ch|pi|cs|cus)_(test_)?\w+/g,
};

interface Order {
  id: string;
  /** `of` tells events of one type apart. */
  event(type: typeof types[number], of?: string): Stripe.Event;
}

/** Takes a shopper to the payment page. */
type Begin = (sql: postgres.Sql) => Promise<Order>;

/** Measures `count` orders, and five times as many events at once, at most 200. */
export async function benchEventCalls(count: number): Promise<EventCallsBench> {
  await using database = await createTestDatabase("seeded");
  await database.sql`
    update public.inventory_levels set on_hand = 1000000;
    create table public.bench_events (id text primary key, type text, received_at timestamptz, payload jsonb)`
    .simple();
  const begin = await beginner();
  const one = connect(database.url, { connection: asInProjects });
  const pool = connect(database.url, { max: connections, connection: asInProjects });
  try {
    return {
      ...await measureAlone(one, begin, count),
      ...await measureCrowd(one, pool, begin, Math.min(crowdMax, 5 * count)),
    };
  } finally {
    await Promise.all([one.end(), pool.end()]);
  }
}

async function measureAlone(sql: postgres.Sql, begin: Begin, count: number) {
  const times = new Map<string, number[]>();
  const timed = async (name: string, work: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await work();
    times.set(name, [...times.get(name) ?? [], performance.now() - startedAt]);
  };
  for (let n = -warmUpOrders; n < count; n++) {
    if (n === 0) times.clear();
    const [atOnce, usual] = [await begin(sql), await begin(sql)];
    const paying = atOnce.event("checkout.session.completed");
    await timed("bare", () => insertAndUpdate(sql, atOnce.id, paying));
    await timed("paying", () => receive(sql, paying));
    for (const type of types) await timed(type, () => receive(sql, usual.event(type)));
    await timed("no news", () => receive(sql, usual.event("charge.updated", "again")));
    await timed("duplicate", () => receive(sql, usual.event("charge.succeeded"), "duplicate"));
  }
  const of = (...names: string[]) =>
    names.flatMap((name) => times.get(name) ?? []).sort((first, second) => first - second);
  const all = of(...types);
  return {
    bareMs: quantile(of("bare"), 0.5),
    firstMs: quantile(of(types[0]), 0.5),
    payingMs: quantile(of("paying"), 0.5),
    duplicateMs: quantile(of("duplicate"), 0.5),
    noNewsMs: quantile(of("no news"), 0.5),
    payingP99Ms: quantile(of("paying"), 0.99),
    p99Ms: quantile(all, 0.99),
    p50Ms: quantile(all, 0.5),
  };
}

/** Each way in each turn; throws when an event was not applied, or when two waited for each other. */
async function measureCrowd(one: postgres.Sql, pool: postgres.Sql, begin: Begin, crowd: number) {
  const orders = await Promise.all(Array.from({ length: crowd }, async () => {
    const order = await begin(pool);
    for (const type of types) await receive(pool, order.event(type));
    return order;
  }));
  const lone = orders[0] ?? await begin(one);
  const seconds = { inTurn: 0, oneOrder: 0, manyOrders: 0 };
  const timed = async (way: keyof typeof seconds, turn: number, work: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await work();
    if (turn > 0) seconds[way] += (performance.now() - startedAt) / 1_000;
  };
  for (let turn = 0; turn <= turns; turn++) {
    const event = (order: Order, way: string, at: number) =>
      order.event("charge.updated", `${way}${turn}x${at}`);
    await timed("inTurn", turn, async () => {
      for (let at = 0; at < crowd; at++) await receive(one, event(lone, "turn", at));
    });
    await timed(
      "oneOrder",
      turn,
      () => Promise.all(orders.map((_, at) => receive(pool, event(lone, "one", at)))),
    );
    await timed(
      "manyOrders",
      turn,
      () => Promise.all(orders.map((order, at) => receive(pool, event(order, "many", at)))),
    );
  }
  const [row] = await one<{ deadlocks: number; processed: number }[]>`
    select (select deadlocks::int from pg_stat_database where datname = current_database()) as deadlocks,
      (select count(*)::int from public.webhook_events where id ~ '_(turn|one|many)\\d' and status = 'processed')
        as processed`;
  const expected = 3 * crowd * (turns + 1);
  if (row?.deadlocks !== 0 || row.processed !== expected) {
    throw new Error(`of ${expected} events ${row?.processed} were applied, with ${row?.deadlocks} deadlocks`);
  }
  const perSecond = (way: keyof typeof seconds) => Math.round(turns * crowd / seconds[way]);
  return {
    crowd,
    inTurnPerSecond: perSecond("inTurn"),
    oneOrderPerSecond: perSecond("oneOrder"),
    manyOrdersPerSecond: perSecond("manyOrders"),
  };
}

async function beginner(): Promise<Begin> {
  const texts = new Map(
    await Promise.all(
      types.map(async (type) => [type, await Deno.readTextFile(new URL(`${type}.json`, folder))] as const),
    ),
  );
  let begun = 0;
  return async (sql) => {
    const n = begun++;
    const email = `shopper${n}@example.com`;
    const [begin] = await sql`
      select public.begin_checkout(
        p_items => ${sql.json([{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }])},
        p_idempotency_key => ${crypto.randomUUID()}, p_user_id => null, p_email => ${email},
        p_client_ip => ${`10.0.${n >> 8 & 255}.${n & 255}`}, p_user_agent => 'bench', p_locale => 'en',
        p_livemode => false, p_session_seconds => 1860, p_hold_seconds => 3660, p_velocity_mode => 'enforce',
        p_previous_session_id => null, p_supersede => true
      ) ->> 'order_id' as order`;
    const [row] = await sql<{ id: string; cart: string; amount: number }[]>`
      select id, cart_hash as cart, amount_total::int as amount from public.orders where id = ${
      begin?.["order"]
    }`;
    if (row === undefined) throw new Error("a checkout did not begin");
    const event: Order["event"] = (type, of = "") => {
      const text = (texts.get(type) ?? "").replaceAll(written.order, row.id)
        .replaceAll(written.cart, row.cart).replaceAll(written.amount, String(row.amount))
        .replaceAll(written.email, email)
        .replaceAll(written.objects, (_, kind) => `${kind}_bench${n}`);
      return {
        ...JSON.parse(text),
        id: `evt_${type.replaceAll(".", "_")}_${n}_${of}`,
        created: Math.floor(Date.now() / 1_000),
      };
    };
    const page = event("checkout.session.completed").data.object as Stripe.Checkout.Session;
    const open = checkoutSessionFact({
      ...page,
      status: "open",
      payment_status: "unpaid",
      payment_intent: null,
      customer_details: null,
    });
    await sql`select public.attach_checkout_session(${row.id}, 1, ${json(sql, open)})`;
    return { id: row.id, event };
  };
}

async function receive(sql: postgres.Sql, event: Stripe.Event, expected = "applied"): Promise<void> {
  const translation = translate(event);
  if (translation.kind !== "facts") throw new Error(`${event.id} has no facts`);
  const [row] = await sql`
    select r.outcome, r.reason
    from public.receive_stripe_event(
      p_event_id => ${event.id}, p_type => ${event.type}, p_livemode => false,
      p_api_version => ${event.api_version}, p_stripe_created_at => ${new Date(event.created * 1_000)},
      p_source_ip => '3.18.12.63', p_payload => ${json(sql, event)}, p_facts => ${
    json(sql, translation.facts)
  },
      p_ignored_reason => null, p_error => null, p_alerts => '[]'
    ) r`;
  if (row?.["outcome"] !== expected) throw new Error(`${event.id}: ${JSON.stringify(row)}`);
}

async function insertAndUpdate(sql: postgres.Sql, orderId: string, event: Stripe.Event): Promise<void> {
  await sql`
    with stored as (
      insert into public.bench_events values (${event.id}, ${event.type}, now(), ${json(sql, event)})
    )
    update public.orders set updated_at = now() where id = ${orderId}`;
}

function json(sql: postgres.Sql, value: object) {
  return sql.json(JSON.parse(JSON.stringify(value)));
}

function quantile(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
