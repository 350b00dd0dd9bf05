/**
 * How long a rehearsal of many orders takes: `deno run -A tests/db/rehearse/measure.ts 50000`. A few hundred orders are
 * made by the functions, their rows copied under other ids until there are as many as asked for; then they are
 * rehearsed.
 */
import { rehearse } from "../../../scripts/quality/rehearse/rehearsal.ts";
import { inTemporaryPlace } from "../../../scripts/quality/rehearse/shadow.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { lifecycles } from "../settlement/lifecycles.ts";
import { lifecycle, openShop, tellOrder } from "./log.ts";

const wanted = Number(Deno.args[0] ?? 5_000);
/** Out of a hundred orders, as in a shop: most are paid, some expire; and each life of the tests once. */
const everyday = [
  ...Array.from({ length: 150 }, () => lifecycle("pay")),
  ...Array.from({ length: 40 }, () => lifecycle("expired")),
];

const TABLES = [
  "private.stripe_customers",
  "public.customers",
  "public.orders",
  "public.order_risk",
  "public.order_items",
  "public.inventory_reservations",
  "public.checkout_sessions",
  "public.payments",
  "public.payment_attempts",
  "public.refund_requests",
  "public.refunds",
  "public.refund_reasons",
  "public.refund_lines",
  "public.disputes",
  "public.fraud_signals",
  "public.shipments",
  "public.shipment_lines",
  "public.returns",
  "public.return_lines",
  "private.released_mismatches",
  "public.notifications",
  "private.raised_alerts",
  "public.webhook_events",
];

await using live = await createTestDatabase();
const { sql } = live;
await openShop(sql);
for (const [at, life] of [...lifecycles, ...everyday].entries()) await tellOrder(sql, life, `L${at}`);
const [made] = await sql`select count(*)::int as orders from public.orders`;
const copies = Math.ceil(wanted / made?.["orders"]) - 1;
console.error(`${made?.["orders"]} orders, and ${copies} copies of each`);
await sql.begin(async (tx) => {
  await tx`set local session_replication_role = replica`;
  for (const table of TABLES) {
    // Names of the stories, version 4 of random ids, and numbers of orders tell the copies apart. Each place is marked
    // once, and filled in for each copy.
    await tx.unsafe(`insert into ${table} overriding system value
      with marked as materialized (
        select regexp_replace(
          regexp_replace(replace(t::text, n.number, n.number || '@K@'), '(_L\\d+)(?!\\d)', '\\1@K@', 'g'),
          '-4[0-9a-f]{3}-([89ab])', '-@H@-\\1', 'g'
        ) as text
        from ${table} t cross join lateral (
          select coalesce(${table === "public.orders" ? "t.number" : "null"}, 'no number') as number
        ) n
      )
      select (x.r).* from (
        select replace(replace(m.text, '@K@', 'x' || k), '@H@', lpad(to_hex(k), 4, '0'))::${table} as r
        from generate_series(1, ${copies}) k, marked m offset 0
      ) x`);
  }
});
const [stored] = await sql`select (select count(*)::int from public.orders) as orders,
  (select count(*)::int from public.webhook_events) as events, pg_size_pretty(pg_database_size(current_database())) as size`;
console.error(stored);
await sql`analyze`;
const report = await inTemporaryPlace((shadowUrl) =>
  rehearse({
    liveUrl: live.url,
    shadowUrl,
    since: null,
    limit: null,
    progress: (text) => console.error(`${(performance.now() / 1000).toFixed(0)} s  ${text}`),
  })
);
console.log({ ...report, differing: report.differing.slice(0, 5), differ: report.differing.length });
