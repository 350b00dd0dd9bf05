/**
 * How many deliveries a second the webhook function takes, against what any receiver cannot do without: the same
 * function, and instead of the call that stores and settles, the plain insert of a row over the same REST layer. Both
 * run in this process, by turns.
 */
import postgres from "postgres";
import type Stripe from "stripe";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { eventCalls } from "../../../supabase/functions/_shared/database/events.ts";
import type { EventOutcome, ReceivedEvent } from "../../../supabase/functions/_shared/database/events.ts";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import { type Deps, handle } from "../../../supabase/functions/stripe-webhook/handler.ts";
import { createReceiver } from "../../../supabase/functions/stripe-webhook/receiver.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { control, signatureOf, stripeOf } from "./stand_in.ts";

/** Deliveries a second. */
export interface EventsBench {
  connections: number;
  insertPerSecond: number;
  /** Each event in a call of its own, and its whole effect. */
  alonePerSecond: number;
  /** As in production: deliveries that arrive together share a call. */
  togetherPerSecond: number;
}

type Way = "insert" | "alone" | "together";
type Receive = (event: ReceivedEvent) => Promise<EventOutcome>;

/** What Stripe sends of an order that is paid by card. */
const types = ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"];
/** Orders whose events are delivered before the other way has its turn, at most. */
const turnMax = 10;
const warmUpTurns = 2;

/** Delivers the events of `orders` paid orders in each way, over so many connections. */
export async function benchEvents(orders: number, connections: number[]): Promise<EventsBench[]> {
  const dir = await Deno.makeTempDir({ prefix: "kct-bench-events-" });
  const env = { CHECKOUT_RATE_LIMIT: "100000", VELOCITY_MODE: "off" };
  const stack = await startStack({ dir, env, quiet: true, jobs: false, web: false });
  const sql = postgres(stack.db_url, { max: 1, onnotice: () => {} });
  try {
    await sql`
      update public.inventory_levels set on_hand = 1000000;
      create table public.bench_events (id text primary key, type text, payload jsonb);
      grant select, insert on public.bench_events to service_role;
      notify pgrst, 'reload schema'`.simple();
    const turn = Math.min(turnMax, orders);
    const turns = Math.ceil(orders / turn) + warmUpTurns;
    const paid = await paidOrders(stack, connections.length * 3 * turns * turn);
    const results: EventsBench[] = [];
    for (const count of connections) results.push(await measure(stack, paid, turns, turn, count));
    return results;
  } finally {
    await sql.end({ timeout: 1 });
    await stack.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

async function measure(
  stack: Stack,
  paid: Stripe.Event[][],
  turns: number,
  turn: number,
  connections: number,
): Promise<EventsBench> {
  const ways: Record<Way, Receive> = receivers(stack);
  const seconds: Record<Way, number> = { insert: 0, alone: 0, together: 0 };
  let delivered = 0;
  for (let n = 0; n < turns; n++) {
    for (const way of ["insert", "alone", "together"] as const) {
      const events = paid.splice(0, turn).flat();
      const requests = await Promise.all(events.map((event) => signed(stack, event)));
      const deps = depsOf(stack, ways[way]);
      const startedAt = performance.now();
      await inParallel(requests, connections, async (request) => {
        const response = await handle(request, deps);
        const { outcome } = await response.json();
        if (outcome !== "applied") throw new Error(`${way}: ${response.status} ${outcome}`);
      });
      if (n < warmUpTurns) continue;
      seconds[way] += (performance.now() - startedAt) / 1000;
      if (way === "insert") delivered += events.length;
    }
  }
  const perSecond = (way: Way) => Math.round(delivered / seconds[way]);
  return {
    connections,
    insertPerSecond: perSecond("insert"),
    alonePerSecond: perSecond("alone"),
    togetherPerSecond: perSecond("together"),
  };
}

function receivers(stack: Stack): Record<Way, Receive> {
  const secretKeys = { default: stack.secret_key };
  const rpc = eventCalls(createCall({ supabaseUrl: stack.api_url, secretKeys }));
  return {
    async insert(event) {
      const row = { id: event.p_event_id, type: event.p_type, payload: event.p_payload };
      const response = await fetch(`${stack.api_url}/rest/v1/bench_events`, {
        method: "POST",
        headers: {
          apikey: stack.secret_key,
          "content-type": "application/json",
          prefer: "return=minimal",
        },
        body: JSON.stringify(row),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`insert: ${response.status} ${text}`);
      return { outcome: "applied", reason: null, delivery_count: 1, order_ids: [], closing_sessions: [] };
    },
    alone: rpc.receiveStripeEvent,
    together: createReceiver(rpc).receive,
  };
}

function depsOf(stack: Stack, receive: Receive): Deps {
  return {
    env: {
      livemode: false,
      stripeAccountId: null,
      stripeWebhookSecrets: [stack.stripe_webhook_secret],
      stripeWebhookIpMode: "off",
    },
    receiver: { receive },
    allowlist: { check: () => Promise.resolve("listed") },
    rejections: {
      blockedFor: () => null,
      countBlocked: () => {},
      count: () => Promise.resolve(null),
    },
    endSessions: () => {},
    log: createLogger({}, () => {}),
    now: Date.now,
  };
}

async function signed(stack: Stack, event: Stripe.Event): Promise<Request> {
  const payload = JSON.stringify(event);
  const signature = await signatureOf(stack, payload);
  return new Request("http://functions.example/stripe-webhook", {
    method: "POST",
    headers: {
      "stripe-signature": signature,
      "content-type": "application/json",
      "cf-connecting-ip": "3.18.12.63",
    },
    body: payload,
  });
}

/** Orders that the stand-in knows as paid and we do not, each as the events that would tell us. */
async function paidOrders(stack: Stack, count: number): Promise<Stripe.Event[][]> {
  await control(stack, "faults", { deliver: { drop: 1 } });
  await inParallel(Array.from({ length: count }), 8, async () => {
    const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
      method: "POST",
      headers: { apikey: stack.publishable_key, "content-type": "application/json" },
      body: JSON.stringify({ items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }] }),
    });
    const { session_id } = await response.json();
    await control(stack, "pay", { session: session_id });
  });
  const stripe = stripeOf(stack);
  const byOrder = new Map<string, Stripe.Event[]>();
  for await (const event of stripe.events.list({ types, limit: 100 })) {
    const { order_id } = (event.data.object as { metadata: Record<string, string> }).metadata;
    if (order_id !== undefined) byOrder.set(order_id, [event, ...byOrder.get(order_id) ?? []]);
  }
  return [...byOrder.values()].filter((events) => events.length === types.length);
}

async function inParallel<T>(items: T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(Array.from({ length: width }, async () => {
    for (const item of queue) await work(item);
  }));
}
