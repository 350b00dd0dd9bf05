/** A shop to settle orders in: one product, orders that wait for their money, sessions attached. */
import type postgres from "postgres";
import { checkoutSessionFact } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import type Stripe from "stripe";
import { eventOf, type Move } from "./moves.ts";
import type { Frame, Story } from "./story.ts";

/** SKU of the shop's only variant. */
export const SKU = "COAT-GRY-L";
/** Price of one piece in cents. */
const PRICE = 12_900;

type Db = postgres.Sql | postgres.TransactionSql;

/** Adds the product with `onHand` pieces. */
export async function stockShop(sql: Db, onHand = 10): Promise<void> {
  await sql`with p as (
      insert into public.products (slug, name) values ('coat', 'Coat') returning id
    ), v as (
      insert into public.product_variants (product_id, sku, size, color, price_amount)
      select id, ${SKU}, 'L', 'Grey', ${PRICE} from p returning id
    )
    insert into public.inventory_levels (variant_id, on_hand) select id, ${onHand} from v`;
}

/** Pieces on the shelf, reserved and sold. */
export async function stockOf(sql: Db): Promise<[number, number, number]> {
  const [level] = await sql`select on_hand, reserved, committed from public.inventory_levels`;
  return [level?.on_hand, level?.reserved, level?.committed];
}

/** A pending order with reserved stock, as the checkout of a guest leaves it behind: nobody knows an address yet. */
export async function beginOrder(sql: Db, quantity = 2, livemode = false): Promise<Frame> {
  const amount = quantity * PRICE;
  const [row] = await sql`with o as (
      insert into public.orders (locale, currency, amount_subtotal, amount_total, livemode, cart_hash,
        session_expires_at, purchase_ip, user_agent)
      select 'en', 'usd', ${amount}, ${amount}, ${livemode}, private.hash_lines(jsonb_agg(jsonb_build_object(
          'variant_id', v.id, 'quantity', ${quantity}::integer, 'unit_amount', ${PRICE}::integer)), 'usd'),
        now() + interval '30 minutes', '203.0.113.24', 'Mozilla/5.0'
      from public.product_variants v
      returning id, number, cart_hash
    ), i as (
      insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
      select o.id, v.id, v.sku, 'Coat – Grey, L', ${quantity}, ${PRICE} from o, public.product_variants v
    ), l as (
      update public.inventory_levels set reserved = reserved + ${quantity}
    ), r as (
      insert into public.inventory_reservations (order_id, variant_id, quantity, expires_at)
      select o.id, v.id, ${quantity}, now() + interval '90 minutes' from o, public.product_variants v
    )
    select * from o`;
  return {
    orderId: row?.["id"],
    orderNumber: row?.["number"],
    cartHash: row?.["cart_hash"],
    amount,
    currency: "usd",
    attempt: 1,
  };
}

/** One line of a cart. */
export interface CartLine {
  sku: string;
  quantity: number;
  price: number;
}

/**
 * A pending order with several lines. Variants that the shop does not have yet come with ten pieces each.
 */
export async function beginCart(sql: Db, lines: CartLine[], currency = "usd"): Promise<Frame> {
  for (const { sku, price } of lines) {
    await sql`with v as (
        insert into public.product_variants (product_id, sku, price_amount, currency)
        select id, ${sku}, ${price}, ${currency} from public.products limit 1
        on conflict (sku) do nothing returning id
      )
      insert into public.inventory_levels (variant_id, on_hand) select id, 10 from v`;
  }
  const amount = lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
  const [row] = await sql`with c as (
      select v.id as variant_id, x.sku, x.quantity, x.price
      from jsonb_to_recordset(${
    JSON.stringify(lines)
  }::text::jsonb) as x (sku text, quantity integer, price bigint)
      join public.product_variants v on v.sku = x.sku
    ), o as (
      insert into public.orders (locale, currency, amount_subtotal, amount_total, livemode, cart_hash,
        session_expires_at, purchase_ip, user_agent)
      select 'en', ${currency}, ${amount}, ${amount}, false, private.hash_lines(jsonb_agg(jsonb_build_object(
          'variant_id', c.variant_id, 'quantity', c.quantity, 'unit_amount', c.price)), ${currency}),
        now() + interval '30 minutes', '203.0.113.24', 'Mozilla/5.0'
      from c
      returning id, number, cart_hash
    ), i as (
      insert into public.order_items (order_id, variant_id, sku, name, quantity, unit_amount)
      select o.id, c.variant_id, c.sku, c.sku, c.quantity, c.price from o, c
    ), l as (
      update public.inventory_levels l set reserved = l.reserved + c.quantity from c where c.variant_id = l.variant_id
    ), r as (
      insert into public.inventory_reservations (order_id, variant_id, quantity, expires_at)
      select o.id, c.variant_id, c.quantity, now() + interval '90 minutes' from o, c
    )
    select * from o`;
  return {
    orderId: row?.["id"],
    orderNumber: row?.["number"],
    cartHash: row?.["cart_hash"],
    amount,
    currency,
    attempt: 1,
  };
}

/** The move that attaches an open session, as the checkout does with Stripe's answer. */
export function attachment(story: Story, name: string, attempt = 1): Move {
  const open = {
    ...story.session(name, {}, attempt),
    status: "open",
    payment_status: "unpaid",
    payment_intent: null,
    customer: null,
    customer_details: null,
    collected_information: null,
    url: `https://checkout.stripe.com/c/pay/${name}`,
  };
  const event = eventOf("checkout.session.completed", `evt_attach_${name}`, 0, open);
  const fact = checkoutSessionFact(event.data.object as Stripe.Checkout.Session);
  return { call: "attach", order_id: story.frame.orderId, attempt, fact };
}

/** Attaches an open session; the first attempt is 1, the second 2. */
export async function attachSession(sql: Db, story: Story, name: string, attempt = 1): Promise<void> {
  if (attempt > 1) await sql`update public.orders set attempt = ${attempt} where id = ${story.frame.orderId}`;
  const move = attachment(story, name, attempt);
  if (move.call !== "attach") throw new Error("not an attachment");
  await sql`select public.attach_checkout_session(${move.order_id}, ${attempt}, ${
    sql.json(JSON.parse(JSON.stringify(move.fact)))
  })`;
}
