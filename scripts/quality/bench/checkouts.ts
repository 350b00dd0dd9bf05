/**
 * How many checkouts a second the database takes over up to 64 connections, everybody after one article or each after another,
 * with the velocity rules and without, against a bare conditional update of one stock row. By turns, on one server.
 */
import type postgres from "postgres";
import { connect } from "../../lib/connection.ts";
import { createTestDatabase } from "../../local/test_database.ts";

/** Checkouts a second, but for `lockMs`. */
export interface CheckoutsBench {
  updatePerSecond: number;
  onePerSecond: number;
  spreadPerSecond: number;
  unruledPerSecond: number;
  /** Milliseconds that a checkout keeps the row of an article from others, until its commit. */
  lockMs: number;
}

const ways = ["update", "one", "spread", "unruled"] as const;
type Way = typeof ways[number];

const connections = 64;
const turns = 4;
const warmUpTurns = 1;
const stock = 1_000_000;
/** The servers of tests plan once for all, projects do not. */
const asInProjects = { plan_cache_mode: "auto" };

/** Measures about `count` of each. */
export async function benchCheckouts(count: number): Promise<CheckoutsBench> {
  await using database = await createTestDatabase("seeded");
  const { sql } = database;
  await sql`update public.inventory_levels set on_hand = ${stock}`;
  const skus = (await sql<{ sku: string }[]>`
    select v.sku from public.product_variants v join public.products p on p.id = v.product_id
    where v.active and p.active and v.currency = 'usd' order by v.sku`).map((row) => row.sku);
  const pool = connect(database.url, { max: connections, connection: asInProjects });
  try {
    const shopper = shoppers(pool, skus);
    const perTurn = Math.ceil(count / turns);
    const seconds: Record<Way, number> = { update: 0, one: 0, spread: 0, unruled: 0 };
    for (let turn = 0; turn < turns + warmUpTurns; turn++) {
      for (const way of ways) {
        const startedAt = performance.now();
        await Promise.all(Array.from({ length: perTurn }, () => shopper[way]()));
        if (turn >= warmUpTurns) seconds[way] += (performance.now() - startedAt) / 1_000;
      }
    }
    await assertNothingLost(sql);
    const perSecond = (way: Way) => Math.round(turns * perTurn / seconds[way]);
    return {
      updatePerSecond: perSecond("update"),
      onePerSecond: perSecond("one"),
      spreadPerSecond: perSecond("spread"),
      unruledPerSecond: perSecond("unruled"),
      lockMs: await lockTime(database.url, skus, Math.min(100, count)),
    };
  } finally {
    await pool.end();
  }
}

function shoppers(pool: postgres.Sql, skus: string[]): Record<Way, () => Promise<unknown>> {
  let count = 0;
  const begin = (mode: "enforce" | "off", sku: string | undefined) => {
    const at = count++;
    return beginCheckout(pool, at, mode, sku ?? "");
  };
  return {
    update: () =>
      pool`
        update public.inventory_levels set reserved = reserved
        where variant_id = (select id from public.product_variants where sku = ${skus[0] ?? ""})
          and on_hand - reserved >= 1`,
    one: () => begin("enforce", skus[0]),
    spread: () => begin("enforce", skus[count % skus.length]),
    unruled: () => begin("off", skus[0]),
  };
}

/** A guest that nobody has seen before. */
function beginCheckout(sql: postgres.Sql, at: number, mode: "enforce" | "off", sku: string) {
  const ip = `10.${at >> 16 & 255}.${at >> 8 & 255}.${at & 255}`;
  return sql`
    select public.begin_checkout(
      p_items => ${sql.json([{ sku, quantity: 1 }])}, p_idempotency_key => ${crypto.randomUUID()},
      p_user_id => null, p_email => ${`shopper${at}@example.com`}, p_client_ip => ${ip}, p_user_agent => 'bench',
      p_locale => 'en', p_livemode => false, p_session_seconds => 1860, p_hold_seconds => 3660,
      p_velocity_mode => ${mode}, p_previous_session_id => null, p_supersede => true
    )`;
}

/** Each piece that an order is for is held, and none else. */
async function assertNothingLost(sql: postgres.Sql): Promise<void> {
  const [row] = await sql<{ reserved: string; ordered: string }[]>`
    select (select sum(reserved) from public.inventory_levels) as reserved,
      (select sum(quantity) from public.order_items) as ordered`;
  if (row?.reserved !== row?.ordered) throw new Error(`${row?.reserved} held for ${row?.ordered} ordered`);
}

/** From reserve_stock(), the last thing that a checkout does, to the end of its commit. */
async function lockTime(url: string, skus: string[], rounds: number): Promise<number> {
  const sql = connect(url, { max: 1, connection: asInProjects });
  try {
    await sql`set track_functions = 'pl'`;
    let commits = 0;
    for (let at = 0; at < rounds; at++) {
      await sql`begin`.simple();
      await beginCheckout(sql, 1_000_000 + at, "enforce", skus[0] ?? "");
      const startedAt = performance.now();
      await sql`commit`.simple();
      commits += performance.now() - startedAt;
    }
    await sql`select pg_stat_force_next_flush()`;
    const [row] = await sql<{ total: number }[]>`
      select total_time::float8 as total from pg_stat_user_functions where funcname = 'reserve_stock'`;
    return ((row?.total ?? NaN) + commits) / rounds;
  } finally {
    await sql.end();
  }
}
