/** Shoppers who leave without paying: what each does when, and which mails that means. */
import type postgres from "postgres";
import { randomFrom } from "../settlement/runs.ts";

export const tickMinutes = 20;

const acts = [
  "nothing",
  "pays",
  "cancels",
  "unsubscribes",
  "erased",
  "orders again",
  "suspected",
  "no address",
] as const;

export interface Cart {
  cart: number;
  email: string | null;
  expiresMinutes: number;
  act: (typeof acts)[number];
  actMinutes: number;
}

/** Carts with a plan each; the same seed makes the same. */
export function abandonedCarts(count: number, seed: number): Cart[] {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  return Array.from({ length: count }, (_, cart) => {
    const act = acts[below(acts.length)] ?? "nothing";
    const expiresMinutes = below(6 * 60);
    // Before the first mail, between the two, or after both.
    const actMinutes = act === "suspected" || act === "no address" || act === "nothing" ? 0 : [
      expiresMinutes + below(55),
      expiresMinutes + 75 + below(1_300),
      expiresMinutes + 1_455 + below(60),
    ][below(3)] ?? 0;
    return {
      cart,
      email: act === "no address" ? null : `cart${cart}@example.com`,
      expiresMinutes,
      act,
      actMinutes,
    };
  });
}

/** The mails of a cart as `step at minute of the tick`. */
export function plannedMails({ expiresMinutes, act, actMinutes }: Cart, endMinutes: number): string[] {
  if (act === "no address" || act === "suspected") return [];
  return [60, 24 * 60].flatMap((delay, index) => {
    const tick = Math.ceil((expiresMinutes + delay) / tickMinutes) * tickMinutes;
    const stopped = act !== "nothing" && actMinutes <= tick;
    return stopped || tick > endMinutes ? [] : [`${index + 1} at ${tick}`];
  });
}

/** Lets a shopper do what the plan says, at `at`. */
export async function happen(
  sql: postgres.Sql,
  { cart, act, email }: Cart,
  orderId: string,
  at: Date,
  suppressReminders: (sql: postgres.Sql, email: string) => Promise<void>,
): Promise<void> {
  switch (act) {
    case "nothing":
    case "no address":
      return;
    case "pays":
      await sql`update public.orders set session_id = ${`cs_${cart}`}, status = 'paid', paid_at = ${at} where id = ${orderId}`;
      return;
    case "cancels":
      await sql`update public.orders set cancelled_at = ${at}, status = 'cancelled' where id = ${orderId}`;
      return;
    case "unsubscribes":
      return await suppressReminders(sql, email ?? "");
    case "erased":
      await sql`select public.erase_customer(${email})`;
      return;
    case "orders again":
      await sql`insert into public.orders (email, currency, amount_subtotal, amount_total, livemode, cart_hash,
          session_expires_at, created_at)
        values (upper(${email}), 'usd', 1, 1, false, 'y', ${at}::timestamptz + interval '1 day', ${at})`;
      return;
    case "suspected":
      await sql`insert into public.fraud_signals (order_id, kind, severity, data)
        values (${orderId}, 'velocity', 'warning', '{}')`;
  }
}
