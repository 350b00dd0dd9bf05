/**
 * What is asked all the time, in a young shop and in one that has been open for years: the times should be the same.
 * `deno run -A scripts/quality/year/flat.ts [--orders 200000] [--events 1000000] [--jobs 1000000] [--plans]`
 */
import type postgres from "postgres";
import { connect } from "../../lib/connection.ts";
import { createTestDatabase } from "../../local/test_database.ts";
import { runTask, wholeNumber } from "../../lib/task.ts";
import { fillYear } from "./year.ts";

const usage = `scripts/quality/year/flat.ts [--orders 200000] [--events 1000000] [--jobs 1000000] [--plans]

  --orders   how many orders the old shop has
  --events   how many events of Stripe
  --jobs     how many finished jobs
  --plans    print what Postgres does for each question as well`;

const flags = {
  orders: { type: "string", default: "200000" },
  events: { type: "string", default: "1000000" },
  jobs: { type: "string", default: "1000000" },
  plans: { type: "boolean", default: false },
} as const;

interface Size {
  orders: number;
  events: number;
  jobs: number;
}

const young: Size = { orders: 1_000, events: 3_000, jobs: 3_000 };
const rounds = 15;

/** What each asks, in a transaction that is rolled back. */
const questions: Record<string, string> = {
  "checkout": `select public.begin_checkout(
    p_items => (select jsonb_build_array(jsonb_build_object('sku', v.sku, 'quantity', 1))
      from public.product_variants v where v.sku = 'USD-01'),
    p_idempotency_key => gen_random_uuid()::text, p_user_id => null, p_email => 'new@example.com',
    p_client_ip => '192.0.2.77', p_user_agent => null, p_locale => null, p_livemode => false,
    p_session_seconds => 1860, p_hold_seconds => 3660, p_velocity_mode => 'enforce')`,
  "event, the first of its kind": `select public.receive_stripe_event(
    p_event_id => 'evt_' || gen_random_uuid(), p_type => 'product.created', p_livemode => false,
    p_api_version => '2026-10-28.endive', p_stripe_created_at => now(), p_source_ip => '192.0.2.1',
    p_payload => '{"id": "evt", "data": {"object": {"id": "prod"}}}', p_facts => null,
    p_ignored_reason => 'not ours', p_error => null, p_alerts => '[]')`,
  "an order settled again": `select private.settle_order(o.id, 'flat') from public.orders o
    where o.id = (select id from public.orders where status = 'paid' order by created_at desc limit 1)`,
  "get_order_status()": `select public.get_order_status(p_order_id => (
    select id from public.orders where status = 'paid' order by created_at desc limit 1))`,
  "claim_jobs()": "select public.claim_jobs(p_worker => 'flat', p_limit => 10, p_lease_seconds => 60)",
  "get_health()": "select public.get_health()",
  "get_metrics()": "select public.get_metrics()",
  "enqueue_periodic_jobs()": "select public.enqueue_periodic_jobs()",
  "invariants of a hundred orders": "select public.check_settled_orders(100)",
  "reporting.webhook_health": "select * from reporting.webhook_health",
  "list_open_objects()": "select public.list_open_objects(now() - interval '1 hour', 100)",
};

/** What the account's page of somebody with three orders asks, through the policies. */
const customersQuestions: Record<string, string> = {
  "a customer's orders": "select * from public.orders order by created_at desc limit 20",
  "a customer's order lines": `select i.* from public.order_items i where i.order_id in (
    select o.id from public.orders o order by o.created_at desc limit 20)`,
};
const customer = "00000000-0000-4000-8000-000000000001";
const customersOrders = 3;

/** What a question takes: pages do not depend on what else the machine does, and tell how the time will grow. */
interface Cost {
  ms: number;
  pages: number;
}

async function compare(old: Size, plans: boolean): Promise<number> {
  const before = await measure(young, false);
  const after = await measure(old, plans);
  const heads = ["young", "old", "ratio", "pages young", "old", "ratio"].map((head) => head.padStart(12));
  console.log(`\n${"asked".padEnd(34)}${heads.join("")}`);
  for (const [name, was] of before) {
    const now = after.get(name) ?? { ms: NaN, pages: NaN };
    const cells = [
      `${was.ms.toFixed(2)} ms`,
      `${now.ms.toFixed(2)} ms`,
      (now.ms / was.ms).toFixed(2),
      `${was.pages}`,
      `${now.pages}`,
      (now.pages / was.pages).toFixed(2),
    ];
    console.log(`${name.padEnd(34)}${cells.map((cell) => cell.padStart(12)).join("")}`);
  }
  return 0;
}

/** The median cost of each question in a shop of this size. */
async function measure(size: Size, plans: boolean): Promise<Map<string, Cost>> {
  await using database = await createTestDatabase();
  const startedAt = performance.now();
  await fill(database.sql, size);
  console.log(
    `${size.orders} orders, ${size.events} events, ${size.jobs} jobs in ${
      ((performance.now() - startedAt) / 1_000).toFixed(0)
    } s`,
  );
  // The servers of tests plan once for all, projects do not.
  const sql = connect(database.url, { connection: { plan_cache_mode: "auto" } });
  try {
    const medians = new Map<string, Cost>();
    const asked = [
      ...Object.entries(questions).map(([name, question]) => ({ name, question, byCustomer: false })),
      ...Object.entries(customersQuestions).map(([name, question]) => ({ name, question, byCustomer: true })),
    ];
    for (const { name, question, byCustomer } of asked) {
      const costs: Cost[] = [];
      for (let round = 0; round < rounds; round++) costs.push(await ask(sql, question, byCustomer));
      const median = (of: keyof Cost) =>
        costs.map((cost) => cost[of]).sort((a, b) => a - b)[rounds >> 1] ?? NaN;
      medians.set(name, { ms: median("ms"), pages: median("pages") });
      if (!plans) continue;
      for (const { "QUERY PLAN": line } of await explain(sql, question, byCustomer)) console.log(line);
    }
    return medians;
  } finally {
    await sql.end();
  }
}

/** A year of orders with what surrounds them, and events and jobs of the years before. */
async function fill(sql: postgres.Sql, { orders, events, jobs }: Size): Promise<void> {
  await fillYear(sql, { orders, seed: 1, ends: new Date() });
  await sql`
    insert into public.webhook_events (
      id, type, status, attempts, delivery_count, delivered_at, livemode, stripe_created_at, received_at, processed_at,
      payload
    )
    select 'evt_old_' || n, 'charge.succeeded', 'processed', 1, 1, at, false, at, at, at,
      jsonb_build_object('id', 'evt_old_' || n, 'data', jsonb_build_object('object', jsonb_build_object('id', 'ch_' || n)))
    from generate_series(1, ${events} - (select count(*) from public.webhook_events)) n,
      lateral (select now() - interval '60 days' - n * interval '30 seconds' as at) a`;
  await sql`
    insert into private.jobs (kind, dedupe_key, status, attempts, finished_at, created_at)
    select 'send_mail', 'old:' || n, 'done', 1, at, at
    from generate_series(1, ${jobs}::integer) n, lateral (select now() - n * interval '1 second' as at) a`;
  // As the jobs of every day leave it: sealed, and but for a hundred orders checked.
  await sql`truncate private.audit_unsealed, private.unchecked_orders`;
  await sql`insert into private.heartbeats (name) values ('all_orders_noted') on conflict (name) do update set last_at = now()`;
  await sql`insert into private.unchecked_orders (order_id) select id from public.orders order by created_at desc limit 100`;
  await sql`update public.inventory_levels set on_hand = on_hand + 1000`;
  await openAccounts(sql, orders);
  await sql`vacuum analyze`;
}

/** Each account has three orders; one of them is the customer who asks. */
async function openAccounts(sql: postgres.Sql, orders: number): Promise<void> {
  const accounts = Math.ceil(orders / customersOrders);
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`
      insert into public.customers (id, user_id)
      select md5('customer' || n)::uuid, case n when 1 then ${customer}::uuid else gen_random_uuid() end
      from generate_series(0, ${accounts - 1}::integer) n`;
    await tx`
      update public.orders o set customer_id = md5('customer' || x.n % ${accounts}::integer)::uuid
      from (select id, row_number() over (order by id) as n from public.orders) x
      where x.id = o.id`;
  });
}

/** By the clock of Postgres; whatever it changes is undone. */
async function ask(sql: postgres.Sql, question: string, byCustomer: boolean): Promise<Cost> {
  const lines = (await explain(sql, question, byCustomer)).map((line) => line["QUERY PLAN"]);
  const time = lines.find((line) => line.startsWith("Execution Time"));
  // Of the topmost step, which has those of all others in it.
  const buffers = lines.find((line) => line.trimStart().startsWith("Buffers:")) ?? "";
  const pages = [...buffers.matchAll(/(?:hit|read)=(\d+)/g)].reduce((sum, [, some]) => sum + Number(some), 0);
  return { ms: Number(/[\d.]+/.exec(time ?? "")?.[0]), pages };
}

async function explain(
  sql: postgres.Sql,
  question: string,
  byCustomer: boolean,
): Promise<{ "QUERY PLAN": string }[]> {
  await sql`begin`.simple();
  try {
    if (byCustomer) {
      const claims = JSON.stringify({ sub: customer, role: "authenticated" });
      await sql`
        select set_config('request.jwt.claims', ${claims}, true), set_config('role', 'authenticated', true)`;
    }
    return await sql.unsafe<{ "QUERY PLAN": string }[]>(
      `explain (analyze, timing off, summary, buffers) ${question}`,
    );
  } finally {
    await sql`rollback`.simple();
  }
}

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: ({ values }) =>
        compare({
          orders: wholeNumber("--orders", values.orders, 1_000),
          events: wholeNumber("--events", values.events, 0),
          jobs: wholeNumber("--jobs", values.jobs, 0),
        }, values.plans),
    }, Deno.args),
  );
}
