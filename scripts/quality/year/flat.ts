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
  "check_settled_orders(100)": "select public.check_settled_orders(100)",
  "reporting.webhook_health": "select * from reporting.webhook_health",
  "list_open_objects()": "select public.list_open_objects(now() - interval '1 hour', 100)",
};

async function compare(old: Size, plans: boolean): Promise<number> {
  const before = await measure(young, false);
  const after = await measure(old, plans);
  console.log(`\n${"asked".padEnd(34)}${"young".padStart(12)}${"old".padStart(12)}${"ratio".padStart(9)}`);
  for (const [name, ms] of before) {
    const now = after.get(name) ?? NaN;
    console.log(`${name.padEnd(34)}${shown(ms)}${shown(now)}${(now / ms).toFixed(2).padStart(9)}`);
  }
  return 0;
}

/** Median milliseconds of each question in a shop of this size. */
async function measure(size: Size, plans: boolean): Promise<Map<string, number>> {
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
    const medians = new Map<string, number>();
    for (const [name, question] of Object.entries(questions)) {
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) times.push(await ask(sql, question));
      medians.set(name, times.sort((a, b) => a - b)[rounds >> 1] ?? NaN);
      if (plans) { for (const { "QUERY PLAN": line } of await explain(sql, question)) console.log(line); }
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
  await sql`vacuum analyze`;
}

/** By the clock of Postgres; whatever it changes is undone. */
async function ask(sql: postgres.Sql, question: string): Promise<number> {
  const lines = await explain(sql, question);
  const time = lines.find((line) => line["QUERY PLAN"].startsWith("Execution Time"));
  return Number(/[\d.]+/.exec(time?.["QUERY PLAN"] ?? "")?.[0]);
}

async function explain(sql: postgres.Sql, question: string): Promise<{ "QUERY PLAN": string }[]> {
  await sql`begin`.simple();
  try {
    return await sql.unsafe<{ "QUERY PLAN": string }[]>(`explain (analyze, timing off, summary) ${question}`);
  } finally {
    await sql`rollback`.simple();
  }
}

function shown(ms: number): string {
  return `${ms.toFixed(2)} ms`.padStart(12);
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
