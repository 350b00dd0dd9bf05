/** What must be true of a sale when all is done, however full the shop was. */
import Stripe from "stripe";
import type { Article } from "./plan.ts";
import type { Visit } from "./shopping.ts";
import type { World } from "./world.ts";

/** Every session of nobody has ended by then. */
const sessionsEndAfterSeconds = 3 * 3_600;

export interface Stock {
  sku: string;
  stock: number;
  paid: number;
  /** Held by orders that nobody has paid. */
  held: number;
  /** Of these, held by checkouts that were cut off before they had a session: `find_lost_sessions` frees them. */
  cut: number;
  free: number;
}

export async function stockOf({ sql }: World, articles: Article[]): Promise<Stock[]> {
  const rows = await sql<Stock[]>`
    select v.sku, l.on_hand + l.committed as stock, l.reserved as held, l.available as free,
      (select coalesce(sum(r.quantity), 0)::int from public.inventory_reservations r
        where r.variant_id = v.id and r.status = 'active' and not exists (
          select from public.checkout_sessions s where s.order_id = r.order_id)) as cut,
      (select coalesce(sum(i.quantity), 0)::int from public.order_items i join public.orders o on o.id = i.order_id
        where i.variant_id = v.id and o.status = 'paid') as paid
    from public.inventory_levels l join public.product_variants v on v.id = l.variant_id
    where v.sku in ${sql(articles.map(({ sku }) => sku))}`;
  return articles.map(({ sku }) => {
    const row = rows.find((found) => found.sku === sku);
    if (row === undefined) throw new Error(`no stock of ${sku}`);
    return row;
  });
}

/** Ends what nobody has paid, as half an hour does. */
export async function endSessions({ stripeUrl }: World): Promise<void> {
  const response = await fetch(`${stripeUrl}/_control/advance`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ seconds: sessionsEndAfterSeconds }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`advance: ${response.status} ${text}`);
}

/** Sentences about what is wrong; none: sold exactly. To be called when all has drained and sessions have ended. */
export async function judge(world: World, articles: Article[], visits: Visit[]): Promise<string[]> {
  const wrong: string[] = [];
  const stock = await stockOf(world, articles);
  for (const { sku, stock: before } of articles) {
    const now = stock.find((row) => row.sku === sku);
    if (
      now === undefined || now.stock !== before || now.paid + now.free + now.cut !== before ||
      now.held !== now.cut
    ) {
      wrong.push(`${sku}: of ${before} pieces ${JSON.stringify(now)}`);
    }
  }
  const { hostname, port } = new URL(world.stripeUrl);
  const stripe = new Stripe(world.keys.stripe_secret_key, { host: hostname, port, protocol: "http" });
  let charged = 0;
  for await (const charge of stripe.charges.list({ limit: 100 })) {
    if (charge.paid) charged += charge.amount - charge.amount_refunded;
  }
  const skus = articles.map(({ sku }) => sku);
  const [sold] = await world.sql<{ total: number; orders: number; refunds: number }[]>`
    select coalesce(sum(o.amount_total), 0)::float8 as total,
      count(*) filter (where exists (
        select from public.order_items i where i.order_id = o.id and i.sku in ${
    world.sql(skus)
  }))::int as orders,
      (select count(*)::int from public.refunds) as refunds
    from public.orders o where o.status = 'paid'`;
  if (sold?.total !== charged) wrong.push(`charged ${charged}, of paid orders ${sold?.total}`);
  if (sold?.refunds !== 0) wrong.push(`${sold?.refunds} payments had to go back`);
  const seen = visits.filter(({ paid }) => paid).length;
  if (seen !== sold?.orders) wrong.push(`${seen} shoppers have paid, ${sold?.orders} orders are paid`);
  const broken = await world.sql<{ invariant: string }[]>`select invariant from public.check_invariants()`;
  for (const { invariant } of broken) wrong.push(`invariant ${invariant}`);
  const dead = await world.sql<{ kind: string }[]>`select kind from private.jobs where status = 'dead'`;
  for (const { kind } of dead) wrong.push(`a job ${kind} is dead`);
  return [...wrong, ...unhelpful(visits)];
}

/**
 * What a full shop may say: sold out, or come back in so many seconds. Whoever heard nothing in time is in the report, not
 * here: that depends on the machine.
 */
function unhelpful(visits: Visit[]): string[] {
  const found = new Map<string, number>();
  for (const { what, code, status, retryAfter } of visits.flatMap(({ answers }) => answers)) {
    const fine = code === "ok" || code === "timeout" || code === "insufficient_stock" ||
      (status === 429 || status === 503) && retryAfter !== null;
    if (!fine) found.set(`${what} ${status} ${code}`, (found.get(`${what} ${status} ${code}`) ?? 0) + 1);
  }
  return [...found].map(([answer, times]) => `${times} times ${answer}, and no time to come back`);
}
