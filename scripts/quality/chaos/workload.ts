/** What shoppers, Stripe's customers and staff do while things die: each keeps trying, or walks away, as people do. */
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** What happens to one order. */
export interface Story {
  sku: string;
  quantity: number;
  /** Attempts at the checkout before the shopper gives up. */
  patience: number;
  cards: string[];
  then:
    | "nothing"
    | "refund part"
    | "refund all"
    | "refund in the dashboard"
    | "cancel"
    | "cancel before paying";
}

const skus = ["SHIRT-OXF-BLU-M", "SHIRT-OXF-WHT-M", "KNIT-CRW-OAT-M", "COAT-CML-M"];
const good = "4242424242424242";
const declined = "4000000000000002";
const queryTimeoutMs = 3_000;

/** Stories of one run. */
export function planStories(random: Random, count: number): Story[] {
  return Array.from({ length: count }, () => ({
    sku: random.pick(skus),
    quantity: random.whole(1, 2),
    patience: random.chance(0.2) ? 1 : 12,
    cards: random.pick([[good], [good], [good], [declined, good], [declined], [], ["4000000000000259"], [
      "4000000000005423",
    ]]),
    then: random.pick([
      "nothing",
      "nothing",
      "refund part",
      "refund all",
      "refund in the dashboard",
      "cancel",
      "cancel before paying",
    ]),
  }));
}

/** Lives one story; failures on the way are what this is about, so none is thrown. */
export async function liveStory(world: World, story: Story): Promise<void> {
  const order = await buy(world, story);
  if (order === null) return;
  if (story.then === "cancel before paying") await command(world, "cancel_order", order.order_number);
  for (const card of story.cards) await pay(world, order.session_id, card);
  if (story.then === "refund in the dashboard") return await refundInDashboard(world, order.session_id);
  if (story.then === "nothing" || story.then === "cancel before paying") return;
  await untilPaid(world, order.order_id);
  if (story.then === "cancel") await command(world, "cancel_order", order.order_number);
  else await command(world, "request_refund", order.order_number, story.then === "refund part" ? 100 : null);
}

interface Order {
  order_id: string;
  order_number: string;
  session_id: string;
}

async function buy(world: World, { sku, quantity, patience }: Story): Promise<Order | null> {
  const key = crypto.randomUUID();
  for (let attempt = 0; attempt < patience; attempt++) {
    const order = await ask<Order>(`${world.functionsUrl}/create-checkout-session`, {
      items: [{ sku, quantity }],
      customer_email: `shopper-${key}@example.com`,
    }, { "apikey": world.keys.publishable_key, "idempotency-key": key });
    if (order !== null) return order;
    await pause(60 + attempt * 40);
  }
  return null;
}

/** Stripe's page is not ours and does not die; only a session that is over refuses. */
async function pay(world: World, session: string, card: string): Promise<void> {
  await ask(`${world.stripeUrl}/_control/pay`, { session, card });
}

async function refundInDashboard(world: World, sessionId: string): Promise<void> {
  const headers = { authorization: `Bearer ${world.keys.stripe_secret_key}` };
  const response = await fetch(`${world.stripeUrl}/v1/checkout/sessions/${sessionId}`, { headers });
  const { payment_intent } = await response.json();
  if (typeof payment_intent !== "string") return;
  const refund = await fetch(`${world.stripeUrl}/v1/refunds`, {
    method: "POST",
    headers,
    body: new URLSearchParams({ payment_intent, amount: "200" }),
  });
  await refund.body?.cancel();
}

async function untilPaid(world: World, orderId: string): Promise<void> {
  for (let look = 0; look < 12; look++) {
    try {
      const [row] = await inTime(world.sql`select paid_at from public.orders where id = ${orderId}`);
      if (row?.paid_at) return;
    } catch {
      // The server is down; it comes back.
    }
    await pause(60);
  }
}

/** Asked once: whether a command whose answer was lost took effect is for the database to know. */
async function command(
  world: World,
  name: "cancel_order" | "request_refund",
  order: string,
  amount: number | null = null,
) {
  try {
    await inTime(
      name === "cancel_order"
        ? world.sql`select public.cancel_order(${order}, 'chaos')`
        : world.sql`select public.request_refund(${order}, ${amount}, 'requested_by_customer')`,
    );
  } catch {
    // Refused (not paid, nothing left), or the connection died.
  }
}

/** Calls retry-jobs again and again, as the scheduler does. */
export async function tickJobs(world: World, stopped: AbortSignal): Promise<void> {
  while (!stopped.aborted) {
    await runJobs(world);
    await pause(80);
  }
}

/** One call; null when the worker is dead or died on the way. */
export async function runJobs(world: World): Promise<{ claimed: number; remaining: number } | null> {
  return await ask(`${world.workerUrl}/retry-jobs`, { limit: 200 }, { apikey: world.keys.secret_key });
}

async function ask<T>(url: string, body: unknown, headers: Record<string, string> = {}): Promise<T | null> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    return response.ok ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** A query that was written to a dying connection may never be answered. */
async function inTime<T>(query: PromiseLike<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("no answer")), queryTimeoutMs);
  try {
    return await Promise.race([query, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}
