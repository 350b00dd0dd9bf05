/** Unpaid orders that may be reminded of, and what is queued for them by the clock of a test. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { addVariants, beginCheckout, type Begun } from "../checkout/cart_support.ts";

/** A shop with plenty of shirts and three hats. */
export async function recoveryWorld() {
  const database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "SHIRT", onHand: 5_000 }, { sku: "HAT", onHand: 3 }]);
  return database;
}

/** What a test wants of its checkout. */
export interface Wish {
  email?: string | null;
  sku?: string;
  acceptsMarketing?: boolean | null;
}

let shoppers = 0;

/** A pending order. */
export function begun(sql: postgres.Sql, wish: Wish = {}): Promise<Begun> {
  const { email = `shopper${++shoppers}@example.com`, sku = "SHIRT", acceptsMarketing = null } = wish;
  return beginCheckout(sql, {
    items: [{ sku, quantity: 1 }],
    email,
    key: crypto.randomUUID(),
    acceptsMarketing,
  });
}

/** An order whose page has expired at `at`, unpaid. */
export async function expired(sql: postgres.Sql, at: Date, wish: Wish = {}): Promise<Begun> {
  const order = await begun(sql, wish);
  await sql`select public.abandon_checkout(${order.order_id}, 1)`;
  await sql`update public.orders set session_expires_at = ${at} where id = ${order.order_id}`;
  return order;
}

/** `hours` after `at`. */
export const later = (at: Date, hours: number) => new Date(at.getTime() + hours * 3_600_000);

/** Lets the clock show `at` and queues what is due. */
export async function queueAt(sql: postgres.Sql, at: Date): Promise<number> {
  const [row] = await sql<{ queued: number }[]>`select private.queue_recovery_mails(${at}) as queued`;
  assert(row !== undefined);
  return row.queued;
}

/** Mails of the sequence that were queued for an order: `template:step`. */
export async function mailsOf(sql: postgres.Sql, { order_id }: Begun): Promise<string[]> {
  const rows = await sql<{ mail: string }[]>`
    select template || ':' || dedupe_key as mail from public.notifications
    where order_id = ${order_id} and template in ('payment_declined', 'payment_reminder')
    order by created_at, dedupe_key`;
  return rows.map(({ mail }) => mail);
}

/** Changes a setting. */
export async function set(sql: postgres.Sql, key: string, value: postgres.JSONValue): Promise<void> {
  await sql`update private.settings set value = ${JSON.stringify(value)}::text::jsonb where key = ${key}`;
}

/** What a click on the link in a reminder leaves behind. */
export async function suppressReminders(sql: postgres.Sql, email: string): Promise<void> {
  await sql`insert into public.mail_suppressions (email_hmac, reason)
    values (private.email_hmac(${email}), 'unsubscribed')`;
}
