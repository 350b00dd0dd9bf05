/** The rules at work: checkouts with velocity on, cards that are used on their pages, and what comes of it. */
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import {
  addVariants,
  applyFacts,
  attachSession,
  beginCheckout,
  type Begun,
  sessionFact,
} from "./cart_support.ts";

export const items = [{ sku: "TIE", quantity: 1 }];

/** A database with plenty of a cheap and a dear article. */
export async function world() {
  const database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "TIE", onHand: 5_000, price: 500 }, {
    sku: "SUIT",
    onHand: 500,
    price: 60_000,
  }]);
  return database;
}

/** Who comes, with what. */
export interface Try {
  ip?: string;
  email?: string | null;
  userId?: string;
  card?: string;
  mode?: "enforce" | "report" | "off";
  cart?: { sku: string; quantity: number }[];
}

/** A checkout as the function begins it, with the rules on. */
export async function checkout(
  sql: postgres.Sql,
  { ip = "203.0.113.7", email = null, userId, mode = "enforce", cart = items }: Try,
) {
  return await beginCheckout(sql, {
    items: cart,
    ip,
    email,
    userId: userId ?? null,
    key: crypto.randomUUID(),
    velocityMode: mode,
    supersede: false,
  });
}

/** The order's payment page is used with a card. */
export async function pay(
  sql: postgres.Sql,
  begun: Begun,
  card: string,
  outcome: "succeeded" | "failed",
): Promise<void> {
  await payOn(sql, begun, await attachSession(sql, begun), card, outcome);
}

/** A payment page that is open is used with a card. */
export async function payOn(
  sql: postgres.Sql,
  begun: Begun,
  session: { id: string },
  card: string,
  outcome: "succeeded" | "failed",
): Promise<void> {
  const paymentId = `pi_${crypto.randomUUID()}`;
  const payment = {
    fact: "payment",
    id: paymentId,
    order_id: begun.order_id,
    livemode: false,
    status: outcome === "succeeded" ? "succeeded" : "requires_payment_method",
    amount: begun.amount_subtotal,
    amount_received: outcome === "succeeded" ? begun.amount_subtotal : 0,
    currency: "usd",
    customer_id: null,
    charge_id: null,
    failure_code: null,
    decline_code: null,
  };
  const attempt = {
    fact: "payment_attempt",
    id: `ch_${crypto.randomUUID()}`,
    payment_id: paymentId,
    order_id: begun.order_id,
    livemode: false,
    outcome,
    amount: begun.amount_subtotal,
    currency: "usd",
    card_fingerprint: card,
    created: Math.floor(Date.now() / 1000),
  };
  const paid = outcome === "succeeded"
    ? [
      sessionFact(begun, {
        id: session.id,
        status: "complete",
        payment_status: "paid",
        payment_id: paymentId,
      }),
    ]
    : [];
  await applyFacts(sql, [payment, attempt, ...paid]);
}

/** A card is refused on an open payment page. */
export async function decline(
  sql: postgres.Sql,
  begun: Begun,
  card: string,
  code = "generic_decline",
  method = "card",
): Promise<void> {
  await applyFacts(sql, [{
    fact: "payment_attempt",
    id: `ch_${crypto.randomUUID()}`,
    payment_id: `pi_${begun.order_id}`,
    order_id: begun.order_id,
    livemode: false,
    outcome: "failed",
    amount: begun.amount_subtotal,
    currency: "usd",
    decline_code: code,
    payment_method_type: method,
    card_fingerprint: card,
    created: Math.floor(Date.now() / 1000),
  }]);
}

/** Sessions that are to be ended. */
export async function closing(sql: postgres.Sql): Promise<string[]> {
  const jobs = await sql<{ id: string }[]>`
    select payload ->> 'session_id' as id from private.jobs where kind = 'expire_checkout_session' order by 1`;
  return jobs.map(({ id }) => id);
}

/** Whether card testers are stopped here: turned away, or asked for what they do not have. */
export function isStopped(begun: Begun): boolean {
  return begun.outcome === "velocity_exceeded" || begun.three_d_secure === "challenge";
}

/** Goes on until it is stopped or has had `most` tries; returns how many got through, and the answer that stopped it. */
export async function attack(
  sql: postgres.Sql,
  most: number,
  one: (at: number) => Try,
  outcome: (at: number) => "succeeded" | "failed",
) {
  for (let at = 0; at < most; at++) {
    const begun = await checkout(sql, one(at));
    if (isStopped(begun)) return { passed: at, stop: begun };
    await pay(sql, begun, one(at).card ?? `card-${at}`, outcome(at));
  }
  return { passed: most, stop: null };
}

/** What the rules have recorded, oldest first. */
export async function signals(sql: postgres.Sql) {
  return await sql<
    { order_id: string | null; severity: string; open: boolean; data: Record<string, unknown> }[]
  >`
    select order_id, severity, open, data from public.fraud_signals where kind = 'velocity' order by created_at`;
}

/** Alerts of the rules. */
export async function alerts(sql: postgres.Sql) {
  return await sql<
    { severity: string; count: number }[]
  >`select severity, count from public.alerts where kind = 'velocity'`;
}
