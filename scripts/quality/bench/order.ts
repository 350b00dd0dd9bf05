/**
 * `deno run -A scripts/quality/bench/order.ts 1000`: what an order takes: of the database's disk, by table with its
 * indexes, of processors (Linux only), in rows, calls to the database and calls to Stripe. Orders are bought and paid
 * through the functions, their mails are sent, they are shipped. Processor time does not depend on what else the machine
 * does, as time on the clock would.
 */
import postgres from "postgres";
import { type Stack, startStack } from "../../local/stack.ts";
import { post } from "./post.ts";
import { processorSeconds } from "./processor.ts";
import { control } from "./stand_in.ts";

const orders = Number(Deno.args[0] ?? 1_000);
const sku = "SHIRT-OXF-WHT-M";
/** The stand-in remembers its last thousand calls. */
const countedOrders = 100;

const dir = await Deno.makeTempDir({ prefix: "kct-bench-sizes-" });
const env = { CHECKOUT_RATE_LIMIT: "100000", VELOCITY_MODE: "off", MAIL_PER_SECOND: "100" };
const stack = await startStack({ dir, env, quiet: true, jobs: true, web: true });
/** The number of the database's first process; the others are its children. */
const database = Number(Deno.readTextFileSync(`${dir}/postgres/data/postmaster.pid`).split("\n", 1)[0]);
const sql = postgres(stack.db_url, { max: 1, onnotice: () => {} });
try {
  await sql`update public.inventory_levels set on_hand = 1000000`;
  // Until the functions are compiled and the plans are made.
  await liveThrough(20);
  await countCalls();
  await sql`vacuum`;
  const before = await sizes();
  const rowsBefore = await rowsWritten();
  const workedBefore = worked();
  await liveThrough(orders);
  for (const [part, seconds] of worked()) {
    const spent = (seconds - (workedBefore.get(part) ?? 0)) / orders;
    console.log(`${`${part}, processor`.padEnd(36)}${(1_000 * spent).toFixed(1).padStart(8)} ms an order`);
  }
  const written = (await rowsWritten() - rowsBefore) / orders;
  console.log(`${"rows written, changed or deleted".padEnd(36)}${written.toFixed(1).padStart(8)} an order`);
  await sql`vacuum`;
  const after = await sizes();
  const [told] = await sql`
    select (select count(*)::int from public.orders) as orders, count(*)::int as events,
      round(avg(pg_column_size(payload)))::int as bytes,
      (select count(*)::int from private.jobs) as jobs, (select count(*)::int from public.notifications) as mails
    from public.webhook_events`;
  for (const what of ["events", "jobs", "mails"]) {
    console.log(`${what.padEnd(36)}${(told?.[what] / told?.["orders"]).toFixed(1).padStart(8)} an order`);
  }
  console.log(`${"payload of an event".padEnd(36)}${String(told?.["bytes"]).padStart(8)} bytes`);
  let sum = 0;
  const rows = [...after].map(([table, bytes]) => ({
    table,
    bytes: (bytes - (before.get(table) ?? 0)) / orders,
  }))
    .sort((a, b) => b.bytes - a.bytes);
  for (const { table, bytes } of rows) {
    sum += bytes;
    if (bytes >= 20) console.log(`${table.padEnd(36)}${bytes.toFixed(0).padStart(8)} bytes an order`);
  }
  console.log(`${"all".padEnd(36)}${sum.toFixed(0).padStart(8)} bytes an order`);
} finally {
  await sql.end({ timeout: 1 });
  await stack.stop();
  await Deno.remove(dir, { recursive: true });
}

/** From the cart to the parcel. */
async function liveThrough(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await control(stack, "pay", { session: await checkOut(stack) });
  }
  await drained();
  const numbers =
    await sql`select number from public.orders where status = 'paid' order by created_at desc limit ${count}`;
  for (const { number } of numbers) {
    await sql`select public.mark_fulfilled(${number}, 'UPS', ${`1Z-${number}`})`;
  }
  await drained();
}

/** Calls of the API's role to functions, and calls to Stripe; those that are made by the minute, orders or none, too. */
async function countCalls(): Promise<void> {
  await sql`alter role authenticator set track_functions = 'pl'`;
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'`;
  await sql`select pg_stat_reset()`;
  const from = Date.now();
  await liveThrough(countedOrders);
  await sql`alter role authenticator reset track_functions`;
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'`;
  await sql`select pg_stat_clear_snapshot()`;
  const calls = await sql<{ name: string; calls: number }[]>`
    select funcname as name, calls::int from pg_stat_user_functions where schemaname = 'public' order by 2 desc`;
  const response = await fetch(`${stack.stripe_url}/_control/requests`);
  const { requests } = await response.json() as { requests: { method: string; path: string; at: string }[] };
  const asked = Map.groupBy(
    requests.filter(({ at }) => Date.parse(at) >= from),
    ({ method, path }) => `${method} ${path.replace(/\/[a-z]+_[A-Za-z0-9_]+/, "/…")}`,
  );
  const all = [
    ...calls.map(({ name, calls }) => [`call of ${name}()`, calls] as const),
    ...[...asked].map(([what, some]) => [`Stripe: ${what}`, some.length] as const),
  ];
  for (const [what, times] of all) {
    const each = times / countedOrders;
    if (each >= 0.1) console.log(`${what.padEnd(44)}${each.toFixed(1).padStart(8)} an order`);
  }
}

async function rowsWritten(): Promise<number> {
  await sql`select pg_stat_clear_snapshot()`;
  const [row] = await sql<{ rows: number }[]>`
    select sum(n_tup_ins + n_tup_upd + n_tup_del)::float8 as rows from pg_stat_user_tables
    where schemaname in ('public', 'private')`;
  return row?.rows ?? NaN;
}

/** Of the database and of the functions. */
function worked(): Map<string, number> {
  return processorSeconds(({ pid, parent, command }) => {
    if (pid === database || parent === database) return "database";
    return parent === Deno.pid && command.includes("gateway/main.ts") ? "functions and API" : null;
  });
}

/** Bytes of each table with its indexes and what is stored beside it. */
async function sizes(): Promise<Map<string, number>> {
  const rows = await sql<{ name: string; bytes: number }[]>`
    select n.nspname || '.' || c.relname as name, pg_total_relation_size(c.oid)::float8 as bytes
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('public', 'private')`;
  return new Map(rows.map(({ name, bytes }) => [name, bytes]));
}

/** Waits until no job is due any more. */
async function drained(): Promise<void> {
  const end = Date.now() + 600_000;
  for (;;) {
    const [row] = await sql`select count(*)::int as due from private.jobs
      where status in ('queued', 'running') and run_at < now() + interval '10 minutes' and kind = 'send_mail'`;
    if (row?.["due"] === 0) return;
    if (Date.now() > end) throw new Error(`${row?.["due"]} mails are still due`);
    await new Promise((wake) => setTimeout(wake, 500));
  }
}

async function checkOut(stack: Stack): Promise<string> {
  const answer = await post(`${stack.functions_url}/create-checkout-session`, {
    items: [{ sku, quantity: 1 }],
  }, {
    apikey: stack.publishable_key,
    "idempotency-key": crypto.randomUUID(),
  });
  return String(answer["session_id"]);
}
