/** `deno task demo`: starts a stack of its own, buys one order through the public API, prints what happened when. */
import { formatMoney } from "../../supabase/functions/_shared/stripe/money.ts";
import { type Stack, startStack } from "./stack.ts";
import { runTask } from "../lib/task.ts";
import { StackError } from "../lib/errors.ts";
import { connect } from "../lib/connection.ts";

const usage = `deno task demo

  Starts an offline stack of its own, buys one order, prints the timeline, and leaves nothing behind.`;

const SETTLED_DEADLINE_MS = 30_000;

/** One line of the timeline. */
interface Moment {
  at: Date;
  what: string;
  detail: string;
}

if (import.meta.main) Deno.exit(await runTask({ usage, flags: {}, offline: true, run: demo }, Deno.args));

async function demo(): Promise<number> {
  const dir = await Deno.makeTempDir({ prefix: "kct-demo-" });
  const { promise: interrupted, resolve } = Promise.withResolvers<number>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => resolve(130));
  }
  try {
    console.log("Starting the offline stack …");
    const starting = startStack({ dir, quiet: true });
    const bought = starting.then(buy).then(() => 0);
    // Interrupted, it fails on the stack that has gone, or waits for it for ever: neither is news, nor waited for.
    bought.catch(() => {});
    try {
      return await Promise.race([bought, interrupted]);
    } finally {
      await starting.then((stack) => stack.stop(), () => {});
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function buy(stack: Stack): Promise<void> {
  const sql = connect(stack.db_url);
  try {
    const [variant] = await sql<{ sku: string }[]>`
      select v.sku from public.product_variants v join public.inventory_levels l on l.variant_id = v.id
      where v.active and l.on_hand - l.reserved > 1 order by v.sku limit 1`;
    if (variant === undefined) {
      throw new StackError("The demo catalogue has nothing in stock: see supabase/seed.sql");
    }
    const requested = new Date();
    const order = await checkOut(stack, variant.sku);
    const paying = new Date();
    const payment = await call(`${stack.stripe_url}/_control/pay`, {
      session: order.session_id,
      card: "4242424242424242",
      email: "shopper@example.com",
    });
    const paid = new Date();
    // The success page could settle the order before the webhook does; the demo lets the webhook go first.
    await call(`${stack.stripe_url}/_control/flush`, {});
    const status = await untilSettled(stack, order.session_id);
    const settled = new Date();
    const moments: Moment[] = [
      { at: requested, what: "request", detail: `POST create-checkout-session, 2 × ${variant.sku}` },
      ...await recorded(sql, order.order_id, order.session_id),
      { at: paying, what: "shopper pays", detail: "4242 4242 4242 4242 on the hosted page" },
      { at: paid, what: "payment", detail: `${payment.payment_intent} ${payment.payment_status}` },
      { at: settled, what: "order status", detail: `${status.order_number} is ${status.status}` },
    ];
    print(moments, requested);
    const total = formatMoney(status.amount_total, status.currency);
    console.log(`\nOrder ${status.order_number}: ${status.status}, ${total}`);
  } finally {
    await sql.end();
  }
}

async function checkOut(stack: Stack, sku: string) {
  return await call(
    `${stack.functions_url}/create-checkout-session`,
    { items: [{ sku, quantity: 2 }], customer_email: "shopper@example.com" },
    { apikey: stack.publishable_key, "idempotency-key": crypto.randomUUID() },
  );
}

/** The webhook may still be on its way: ask until the order is no longer open. */
async function untilSettled(stack: Stack, session: string) {
  const deadline = Date.now() + SETTLED_DEADLINE_MS;
  for (;;) {
    const status = await call(`${stack.functions_url}/order-status?session_id=${session}`, null, {
      apikey: stack.publishable_key,
    });
    if (status.status === "paid") return status;
    if (Date.now() > deadline) {
      throw new StackError(`The order is still ${status.status} after ${SETTLED_DEADLINE_MS / 1000} s`);
    }
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

/** What the database wrote down: the audit trail, the hold on the stock, and the events that came from Stripe. */
async function recorded(
  sql: ReturnType<typeof connect>,
  orderId: string,
  sessionId: string,
): Promise<Moment[]> {
  const trail = await sql<{ at: Date; kind: string; source: string }[]>`
    select created_at as at, kind, source from public.order_events where order_id = ${orderId} order by id`;
  const [hold] = await sql<{ until: string }[]>`
    select to_char(max(expires_at), 'HH24:MI') as until from public.inventory_reservations where order_id = ${orderId}`;
  const events = await sql<{ at: Date; type: string; status: string }[]>`
    select received_at as at, type, status from public.webhook_events
    where payload::text like ${`%${sessionId}%`} or payload::text like ${`%${orderId}%`}`;
  return [
    ...trail.map(({ at, kind, source }) => {
      const what = stageOf(kind);
      const until = what === "reservation" ? `, held until ${hold?.until} UTC` : "";
      return { at, what, detail: `${kind.replaceAll("_", " ")} (by ${source})${until}` };
    }),
    ...events.map(({ at, type, status }) => ({ at, what: "event", detail: `${type}, ${status}` })),
  ];
}

/** The stage of a purchase that an entry of the audit trail belongs to. */
function stageOf(kind: string): string {
  if (kind === "order_created") return "order";
  if (kind === "stock_reserved") return "reservation";
  return kind.startsWith("checkout_session") ? "session" : "settlement";
}

function print(moments: Moment[], start: Date): void {
  console.log("\n   time  what          detail");
  for (const { at, what, detail } of moments.toSorted((a, b) => a.at.getTime() - b.at.getTime())) {
    console.log(`${`${at.getTime() - start.getTime()} ms`.padStart(8)}  ${what.padEnd(13)} ${detail}`);
  }
}

async function call(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: body === null ? "GET" : "POST",
    headers: { "content-type": "application/json", ...headers },
    body: body === null ? null : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) {
    throw new StackError(
      `${new URL(url).pathname} answered ${response.status}: ${answer?.error?.message ?? ""}`,
    );
  }
  return answer;
}
