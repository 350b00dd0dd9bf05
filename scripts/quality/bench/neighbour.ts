/**
 * `deno run -A scripts/quality/bench/neighbour.ts [orders] [jobs] [day]`: how long a shopper waits for the mail while a
 * hundred thousand jobs of low priority are due, and one kind of job fails each time; and how long for a payment page
 * while a day of so many orders is reconciled with Stripe. 0 orders, or a day of 0, leaves that half out.
 */
import postgres from "postgres";
import { type Stack, startStack } from "../../local/stack.ts";
import { benchReconciledDay } from "./reconciled_day.ts";
import { control } from "./stand_in.ts";

const orders = Number(Deno.args[0] ?? 60);
const jobs = Number(Deno.args[1] ?? 100_000);
const dayOrders = Number(Deno.args[2] ?? 333);
const goalSeconds = 5;
/** Of a checkout's time alone, its time while a day is reconciled. */
const goalSlower = 1.1;
const failing = 500;

const fine = [orders === 0 || await mailsBesideJobs(), dayOrders === 0 || await checkoutsBesideReconciling()];
Deno.exit(fine.every(Boolean) ? 0 : 1);

async function checkoutsBesideReconciling(): Promise<boolean> {
  const { aloneMs, besideMs, runs, reconcilingMs, repaired } = await benchReconciledDay(dayOrders);
  console.log(
    `a day of ${dayOrders} orders, reconciled ${runs} times in ${
      (reconcilingMs / 1_000 / runs).toFixed(1)
    } s each, ${repaired} repaired the first time`,
  );
  const shares = [0.5, 0.9, 0.99];
  for (const [name, times] of [["alone", aloneMs], ["beside it", besideMs]] as const) {
    const shown = shares.map((share) => `p${100 * share} ${quantile(times, share).toFixed(0)} ms`);
    console.log(`${`checkout, ${name}, ${times.length} times`.padEnd(34)}${shown.join("   ")}`);
  }
  const slower = quantile(besideMs, 0.5) / quantile(aloneMs, 0.5);
  console.log(`beside it in ${slower.toFixed(2)} of the time, of ${goalSlower} at most`);
  return slower <= goalSlower;
}

async function mailsBesideJobs(): Promise<boolean> {
  const dir = await Deno.makeTempDir({ prefix: "kct-bench-neighbour-" });
  const env = { CHECKOUT_RATE_LIMIT: "100000", VELOCITY_MODE: "enforce", MAIL_PER_SECOND: "100" };
  const stack = await startStack({ dir, env, quiet: true, jobs: true, web: true });
  const sql = postgres(stack.db_url, { max: 1, onnotice: () => {} });
  try {
    await sql`update public.inventory_levels set on_hand = 1000000`;
    // Until the functions are compiled and the plans are made.
    await buy(stack, 5);
    await mailed(sql);
    const alone = await measured(sql, () => buy(stack, orders));
    await control(stack, "faults", { api: [{ match: "GET /v1/customers", status: 500, times: 1_000_000 }] });
    await sql`
      insert into private.jobs (kind, dedupe_key, payload, priority)
      select 'check_orders', 'bench:' || n, '{}', 200 from generate_series(1, ${jobs}::integer) n
      union all
      select 'refresh_customer', 'bench failing:' || n, jsonb_build_object('customer_id', 'cus_bench' || n), 20
      from generate_series(1, ${failing}::integer) n`;
    const beside = await measured(sql, () => buy(stack, orders));
    const [left] = await sql`
      select count(*) filter (where kind = 'check_orders')::int as waiting,
        count(*) filter (where kind = 'refresh_customer')::int as failing
      from private.jobs where status in ('queued', 'running') and dedupe_key like 'bench%'`;
    console.log(
      `${left?.["waiting"]} of ${jobs} jobs still wait, ${left?.["failing"]} of ${failing} that fail`,
    );
    report("alone", alone);
    report("beside them", beside);
    if (left?.["waiting"] === 0) throw new Error("the jobs were done before the last order was: take more");
    return quantile(beside, 0.99) <= goalSeconds;
  } finally {
    await sql.end({ timeout: 1 });
    await stack.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Seconds from each payment to its confirmation. */
async function measured(sql: postgres.Sql, work: () => Promise<void>): Promise<number[]> {
  const [from] = await sql<{ at: Date }[]>`select clock_timestamp() as at`;
  await work();
  await mailed(sql);
  const rows = await sql<{ seconds: number }[]>`
    select extract(epoch from n.sent_at - o.paid_at)::float8 as seconds
    from public.orders o join public.notifications n on n.order_id = o.id and n.template = 'order_confirmation'
    where o.paid_at >= ${from?.at ?? null}`;
  return rows.map(({ seconds }) => seconds).sort((a, b) => a - b);
}

function quantile(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function report(name: string, seconds: number[]): void {
  const shown = [0.5, 0.9, 0.99].map((share) => `p${100 * share} ${quantile(seconds, share).toFixed(2)} s`);
  console.log(`${`paid to mailed, ${name}`.padEnd(30)}${shown.join("   ")}`);
}

/** Two orders a second, as far as the machine can. */
async function buy(stack: Stack, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await control(stack, "pay", { session: await checkOut(stack) });
    await new Promise((wake) => setTimeout(wake, 500));
  }
}

/** Waits until every paid order has its mail. */
async function mailed(sql: postgres.Sql): Promise<void> {
  const end = Date.now() + 120_000;
  for (;;) {
    const [row] = await sql`
      select count(*)::int as waiting from public.orders o
      where o.status = 'pending' or (o.status = 'paid' and not exists (
        select 1 from public.notifications n
        where n.order_id = o.id and n.template = 'order_confirmation' and n.sent_at is not null))`;
    if (row?.["waiting"] === 0) return;
    if (Date.now() > end) throw new Error(`${row?.["waiting"]} orders are not mailed`);
    await new Promise((wake) => setTimeout(wake, 250));
  }
}

async function checkOut(stack: Stack): Promise<string> {
  const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
    method: "POST",
    headers: {
      apikey: stack.secret_key,
      "x-shopper-ip": `10.0.${Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}`,
      "content-type": "application/json",
      "idempotency-key": crypto.randomUUID(),
    },
    body: JSON.stringify({ items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }] }),
  });
  const answer = await response.json();
  if (response.status !== 201) throw new Error(JSON.stringify(answer));
  return answer.session_id;
}
