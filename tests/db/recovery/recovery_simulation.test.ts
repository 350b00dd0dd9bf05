/**
 * A thousand abandoned carts over a day and a half, looked at every twenty minutes: who is mailed when, held against a
 * model that knows each shopper's plan and nothing of SQL.
 */
import assert from "node:assert/strict";
import { abandonedCarts, type Cart, happen, plannedMails, tickMinutes } from "./recovery_model.ts";
import { queueAt, recoveryWorld, set, suppressReminders } from "./recovery_support.ts";

const database = await recoveryWorld();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const start = Date.UTC(2027, 5, 1);
const at = (minutes: number) => new Date(start + minutes * 60_000);
const endMinutes = 36 * 60;

/** Inserts the carts as orders that have expired, in one statement each table. */
async function arrange(carts: Cart[]): Promise<Map<number, string>> {
  const rows = await sql<{ id: string; cart: string }[]>`
    insert into public.orders (email, currency, amount_subtotal, amount_total, livemode, cart_hash, status,
      abandoned_at, session_expires_at, user_agent, created_at)
    select c.email, 'usd', 1000, 1000, false, 'x', 'expired', now(), c.expires_at, c.cart, c.expires_at - interval '1 hour'
    from jsonb_to_recordset(${
    JSON.stringify(carts.map(({ cart, email, expiresMinutes }) => ({
      cart: `${cart}`,
      email,
      expires_at: at(expiresMinutes).toISOString(),
    })))
  }::text::jsonb) as c (cart text, email text, expires_at timestamptz)
    returning id, user_agent as cart`;
  await sql`insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
    select o.id, v.id, v.sku, 'Shirt', 1, 1000 from public.orders o, public.product_variants v where v.sku = 'SHIRT'`;
  return new Map(rows.map(({ id, cart }) => [Number(cart), id]));
}

Deno.test("1 000 abandoned carts are reminded of in time, and none that was paid, cancelled, left or suspected", async () => {
  const carts = abandonedCarts(1_000, 20_261_127);
  const ids = await arrange(carts);
  const cartOf = new Map([...ids].map(([cart, id]) => [id, cart]));
  const mailed = new Map<number, string[]>(carts.map(({ cart }) => [cart, []]));
  await set(sql, "recovery_reminder_hours", [1, 24]);
  for (let minutes = 0; minutes <= endMinutes; minutes += tickMinutes) {
    for (
      const cart of carts.filter((cart) =>
        cart.actMinutes > minutes - tickMinutes && cart.actMinutes <= minutes
      )
    ) {
      await happen(sql, cart, ids.get(cart.cart) ?? "", at(cart.actMinutes), suppressReminders);
    }
    await queueAt(sql, at(minutes));
    const fresh = await sql<{ order_id: string; dedupe_key: string }[]>`
      with n as (update public.notifications set status = 'sent', sent_at = ${at(minutes)}
        where status = 'queued' returning order_id, template, dedupe_key)
      select order_id, dedupe_key from n where template = 'payment_reminder'`;
    for (const { order_id, dedupe_key } of fresh) {
      mailed.get(cartOf.get(order_id) ?? -1)?.push(`${dedupe_key} at ${minutes}`);
    }
  }
  const planned = new Map(carts.map((cart) => [cart.cart, plannedMails(cart, endMinutes)]));
  const wrong = carts.filter(({ cart }) => `${mailed.get(cart)}` !== `${planned.get(cart)}`);
  assert.deepEqual(
    wrong.map((cart) => ({ ...cart, mailed: mailed.get(cart.cart), planned: planned.get(cart.cart) })),
    [],
  );
  // The plans reach every kind of stop, before the first mail, between the two and after both.
  for (const act of new Set(carts.map(({ act }) => act))) {
    const counts = new Set(
      carts.filter((cart) => cart.act === act).map(({ cart }) => mailed.get(cart)?.length),
    );
    const plans = ["nothing", "no address", "suspected"].includes(act) ? 1 : 3;
    assert.equal(counts.size, plans, `${act}: ${[...counts]}`);
  }
});
