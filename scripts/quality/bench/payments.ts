/**
 * The two paths that a shopper waits for, each against what it cannot do without: a checkout against its SQL calls
 * and its one call to Stripe, a webhook delivery against the SQL call that stores and settles its event. Our side
 * goes over HTTP through the gateway, as a storefront and Stripe do; the limit speaks to Postgres directly.
 */
import postgres from "postgres";
import type Stripe from "stripe";
import { checkoutSessionFact } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import { translate } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { control, signatureOf, stripeOf } from "./stand_in.ts";

export interface PathBench {
  /** Median milliseconds of a request to the function. */
  oursMs: number;
  /** Median milliseconds of the same work without the function. */
  limitMs: number;
}

const sku = "SHIRT-OXF-WHT-M";
const shopperAddress = "203.0.113.10";
/** Until the functions are compiled and their connections open. */
const warmUpRounds = 20;

/** Measures `orders` checkouts and the deliveries of as many payments, on a stack of its own in a temporary folder. */
export async function benchPayments(orders: number): Promise<{ checkout: PathBench; webhook: PathBench }> {
  const dir = await Deno.makeTempDir({ prefix: "kct-bench-payments-" });
  const env = { CHECKOUT_RATE_LIMIT: "100000", VELOCITY_MODE: "off" };
  const stack = await startStack({ dir, env, quiet: true, jobs: false, web: false });
  const sql = postgres(stack.db_url, { max: 1, onnotice: () => {} });
  try {
    await sql`
      update public.inventory_levels set on_hand = 1000000
      where variant_id = (select id from public.product_variants where sku = ${sku})`;
    await control(stack, "faults", { deliver: { drop: 1 } });
    return {
      checkout: await benchCheckout(stack, sql, orders),
      webhook: await benchWebhook(stack, sql, orders),
    };
  } finally {
    await sql.end({ timeout: 1 });
    await stack.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

async function benchCheckout(stack: Stack, sql: postgres.Sql, orders: number): Promise<PathBench> {
  const stripe = stripeOf(stack);
  return await alternate(orders, () => checkOut(stack), () => checkOutDirectly(sql, stripe));
}

/** Answers the session's id. */
async function checkOut(stack: Stack): Promise<string> {
  const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
    method: "POST",
    headers: {
      apikey: stack.publishable_key,
      "content-type": "application/json",
      "idempotency-key": crypto.randomUUID(),
    },
    body: JSON.stringify({ items: [{ sku, quantity: 1 }] }),
  });
  const answer = await response.json();
  if (response.status !== 201) throw new Error(`checkout: ${JSON.stringify(answer)}`);
  return answer.session_id;
}

/** What a checkout cannot do without: the limit, the order with its stock, the session, the note of it. */
async function checkOutDirectly(sql: postgres.Sql, stripe: Stripe): Promise<void> {
  await sql`select public.take_rate_limits(${
    sql.json([{ key: `bench:${shopperAddress}`, limit: 100_000, window_seconds: 60 }])
  })`;
  const [begun] = await sql`
    select public.begin_checkout(
      p_items => ${
    sql.json([{ sku, quantity: 1 }])
  }, p_idempotency_key => ${crypto.randomUUID()}, p_user_id => null,
      p_email => null, p_client_ip => ${shopperAddress}, p_user_agent => null, p_locale => null, p_livemode => false,
      p_session_seconds => 1860, p_hold_seconds => 3660, p_velocity_mode => 'off', p_previous_session_id => null,
      p_supersede => true
    ) as checkout`;
  const { order_id, amount_subtotal, currency } = begun?.["checkout"] ?? {};
  const metadata = { order_id, attempt: "1" };
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    success_url: "https://shop.example/success",
    line_items: [{
      quantity: 1,
      price_data: { currency, unit_amount: amount_subtotal, product_data: { name: sku } },
    }],
    metadata,
    payment_intent_data: { metadata },
  });
  await sql`select public.attach_checkout_session(${order_id}, 1, ${
    sql.json(JSON.parse(JSON.stringify(checkoutSessionFact(session))))
  })`;
}

async function benchWebhook(stack: Stack, sql: postgres.Sql, orders: number): Promise<PathBench> {
  const events = await paidOrders(stack, 2 * (orders + warmUpRounds));
  const next = () => {
    const event = events.shift();
    if (event === undefined) throw new Error("the stand-in has fewer events than orders");
    return event;
  };
  const result = await alternate(orders, () => deliver(stack, next()), () => receive(sql, next()));
  const [row] = await sql`select count(*)::int as paid from public.orders where status = 'paid'`;
  if (row?.["paid"] !== 2 * (orders + warmUpRounds)) throw new Error(`${row?.["paid"]} orders are paid`);
  return result;
}

/** Orders that the stand-in knows as paid and we do not; answers the events that would tell us. */
async function paidOrders(stack: Stack, count: number): Promise<Stripe.Event[]> {
  for (let n = 0; n < count; n++) await control(stack, "pay", { session: await checkOut(stack) });
  const type = "checkout.session.completed";
  return await stripeOf(stack).events.list({ type, limit: 100 }).autoPagingToArray({ limit: count });
}

async function deliver(stack: Stack, event: Stripe.Event): Promise<void> {
  const payload = JSON.stringify(event);
  const header = await signatureOf(stack, payload);
  const response = await fetch(`${stack.functions_url}/stripe-webhook`, {
    method: "POST",
    headers: { "stripe-signature": header },
    body: payload,
  });
  const answer = await response.json();
  if (answer.outcome !== "applied") throw new Error(`delivery: ${JSON.stringify(answer)}`);
}

async function receive(sql: postgres.Sql, event: Stripe.Event): Promise<void> {
  const translation = translate(event);
  if (translation.kind !== "facts") throw new Error(`${event.id} has no facts`);
  const json = (value: object) => sql.json(JSON.parse(JSON.stringify(value)));
  await sql`
    select public.receive_stripe_event(
      p_event_id => ${event.id}, p_type => ${event.type}, p_livemode => false, p_api_version => ${event.api_version},
      p_stripe_created_at => ${new Date(event.created * 1000)}, p_source_ip => '127.0.0.1',
      p_payload => ${json(event)}, p_alerts => '[]', p_facts => ${json(translation.facts)},
      p_ignored_reason => null, p_error => null
    )`;
}

/** Takes turns, so that whatever else the machine does slows both alike. */
async function alternate(
  rounds: number,
  ours: () => Promise<unknown>,
  limit: () => Promise<unknown>,
): Promise<PathBench> {
  const times = { ours: [] as number[], limit: [] as number[] };
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const [name, work] of [["ours", ours], ["limit", limit]] as const) {
      const startedAt = performance.now();
      await work();
      if (round >= 0) times[name].push(performance.now() - startedAt);
    }
  }
  return { oursMs: median(times.ours), limitMs: median(times.limit) };
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
}
