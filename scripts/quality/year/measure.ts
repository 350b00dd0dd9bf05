/**
 * How long the views of schema reporting take over a generated year, by Postgres's own clock, without a network: as
 * the dashboard reads them (past the policies), and as staff do over the API, at most 1000 rows a page.
 * `deno run -A scripts/quality/year/measure.ts [--orders 50000] [--plans]`
 */
import type postgres from "postgres";
import { createTestDatabase } from "../../local/test_database.ts";
import { runTask, wholeNumber } from "../../lib/task.ts";
import { fillYear } from "./year.ts";

const usage = `scripts/quality/year/measure.ts [--orders 50000] [--plans]

  --orders   how many orders the year has
  --plans    print what Postgres does for each view as well`;

const flags = {
  orders: { type: "string", default: "50000" },
  plans: { type: "boolean", default: false },
} as const;

/** Shown a page at a time, the newest first: nobody reads all orders at once. */
const paged = ["order_overview", "customer_history"];
const page = "order by 1 desc limit 1000";

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: ({ values }) => measure(wholeNumber("--orders", values.orders, 100), values.plans),
    }, Deno.args),
  );
}

async function measure(orders: number, plans: boolean): Promise<number> {
  await using database = await createTestDatabase();
  const { sql } = database;
  const started = performance.now();
  await fillYear(sql, { orders, seed: 1, ends: new Date() });
  console.log(`${orders} orders in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  console.log(`${"asked".padEnd(66)}${"rows".padStart(8)}${"dashboard".padStart(12)}${"API".padStart(12)}`);
  for (const asked of await questions(sql)) {
    const dashboard = await time(sql, asked, false);
    const api = await time(sql, /limit \d+$/.test(asked) ? asked : `${asked} limit 1000`, true);
    console.log(
      `${asked.slice(0, 64).padEnd(66)}${String(dashboard.rows).padStart(8)}${shown(dashboard.ms)}${
        shown(api.ms)
      }`,
    );
    if (plans) console.log(dashboard.plan);
  }
  return 0;
}

function shown(ms: number): string {
  return `${ms.toFixed(0)} ms`.padStart(12);
}

/** Every view, and what is asked of one order or customer. */
async function questions(sql: postgres.Sql): Promise<string[]> {
  const views = await sql<{ name: string }[]>`select relname as name from pg_class
    where relnamespace = 'reporting'::regnamespace and relkind = 'v' order by 1`;
  const [some] = await sql`select number, email, payment_id from public.orders
    where paid_at is not null order by created_at desc offset 10 limit 1`;
  const texts = [
    some?.["number"],
    String(some?.["email"]).toUpperCase(),
    "Lovelace 7",
    "0042",
    "212 555 0007",
  ];
  return [
    ...views.map(({ name }) => `select * from reporting.${name}${paged.includes(name) ? ` ${page}` : ""}`),
    `select * from reporting.order_overview where number = '${some?.["number"]}'`,
    `select * from reporting.customer_history where email = '${String(some?.["email"]).toLowerCase()}'`,
    `select * from reporting.accounting_export where day >= current_date - 30`,
    ...texts.map((text) => `select * from reporting.find_order('${text}')`),
  ];
}

/** The better of two runs: the first one fills the caches. */
async function time(sql: postgres.Sql, asked: string, asStaff: boolean) {
  const runs = [await explained(sql, asked, asStaff), await explained(sql, asked, asStaff)];
  const best = runs.sort((a, b) => a.ms - b.ms)[0];
  if (best === undefined) throw new Error("nothing was measured");
  return best;
}

async function explained(sql: postgres.Sql, asked: string, asStaff: boolean) {
  const lines = await sql.begin(async (tx) => {
    if (asStaff) {
      await tx`select set_config('role', 'authenticated', true),
        set_config('request.jwt.claims', '{"app_metadata": {"role": "admin"}}', true)`;
    }
    return await tx.unsafe(`explain (analyze, timing off, summary) ${asked}`);
  });
  const plan = lines.map((line) => line["QUERY PLAN"]).join("\n");
  return {
    plan,
    ms: Number(/Execution Time: ([\d.]+)/.exec(plan)?.[1]),
    rows: Number(/rows=(\d+) loops/.exec(plan)?.[1]),
  };
}
