/** What it costs to name pieces in a refund, against the same command with an amount alone. */
import { createTestDatabase } from "../../local/test_database.ts";
import { fillYear } from "../year/year.ts";

export interface RefundsBench {
  /** Median milliseconds of one command. */
  plainMs: number;
  linesMs: number;
}

const warmUpRounds = 10;

/** Refunds pieces of `orders` orders, and an amount of as many others, by turns. */
export async function benchRefunds(orders: number): Promise<RefundsBench> {
  await using database = await createTestDatabase();
  const { sql } = database;
  const pairs = orders + warmUpRounds;
  await fillYear(sql, { orders: Math.max(500, 8 * pairs), seed: 1, ends: new Date() });
  const found = await sql<{ number: string; sku: string }[]>`
    select o.number, min(i.sku) as sku from public.orders o join public.order_items i on i.order_id = o.id
    where o.status = 'paid' and o.fulfillment_status = 'fulfilled' and o.payment_id is not null
      and not exists (select 1 from public.refunds r where r.order_id = o.id)
      and not exists (select 1 from public.disputes d where d.order_id = o.id)
    group by o.number order by o.number limit ${2 * pairs}`;
  if (found.length < 2 * pairs) throw new Error(`only ${found.length} orders can be refunded`);
  const plain: number[] = [], lines: number[] = [];
  for (const [n, { number, sku }] of found.entries()) {
    const started = performance.now();
    if (n % 2 === 0) await sql`select public.request_refund(${number}, 1000)`;
    else await sql`select public.request_refund(${number}, p_lines => ${sql.json([{ sku, quantity: 1 }])})`;
    if (n >= 2 * warmUpRounds) (n % 2 === 0 ? plain : lines).push(performance.now() - started);
  }
  return { plainMs: median(plain), linesMs: median(lines) };
}

function median(times: number[]): number {
  const middle = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}
