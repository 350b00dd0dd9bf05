import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { fillYear } from "../../../scripts/quality/year/year.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** A busy shop: so many rows in each large table that reading one from end to end is never the better plan. */
await fillYear(sql, { orders: 2_000, seed: 7, ends: new Date() });
await sql.unsafe(`
  insert into public.webhook_events (
    id, type, status, delivery_count, delivered_at, livemode, stripe_created_at, received_at, payload
  )
  select 'evt_busy_' || n, 'charge.updated', case n % 1000 when 0 then 'dead' else 'processed' end, 1,
    now() - n * interval '1 minute', true, now() - n * interval '1 minute' - interval '3 seconds',
    now() - n * interval '1 minute', '{}'
  from generate_series(1, 20000) n;
  insert into private.jobs (kind, dedupe_key, status, run_at, finished_at)
  select 'send_mail', 'busy:' || n, case n % 1000 when 0 then 'dead' when 1 then 'queued' else 'done' end,
    now() - n * interval '1 minute', case n % 1000 when 1 then null else now() end
  from generate_series(1, 20000) n;
  analyze;
`).simple();

const large = [
  "audit_unsealed",
  "inventory_reservations",
  "jobs",
  "notifications",
  "order_events",
  "order_items",
  "orders",
  "webhook_events",
];

Deno.test("get_health() reads no table that grows from end to end, and its counts stop at 1000", async () => {
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    await connection`update public.webhook_events set status = 'dead' where id like 'evt_busy_%9'`;
    const scans = async () => {
      const rows = await connection`
        select relname, seq_scan::integer, idx_scan::integer from pg_stat_xact_user_tables
        where relname in ${connection(large)} order by relname`;
      assert.deepEqual(rows.map(({ relname }) => relname), large);
      return new Map(rows.map(({ relname, ...counts }) => [relname, counts]));
    };
    const before = await scans();
    const [row] = await connection`select public.get_health() -> 'checks' as checks`;
    const after = await scans();
    assert.deepEqual(
      large.filter((name) => after.get(name)?.["seq_scan"] !== before.get(name)?.["seq_scan"]),
      [],
      "read from end to end",
    );
    assert.notEqual(after.get("jobs")?.["idx_scan"], before.get("jobs")?.["idx_scan"]);
    const { webhooks, jobs } = row?.["checks"];
    assert.equal(webhooks.dead, 1_000);
    assert.deepEqual([jobs.due, jobs.dead], [20, 20]);
  } finally {
    await connection`rollback`;
    connection.release();
  }
});

Deno.test("evaluate_alert_rules() has an index for whatever it asks of a table that grows", async () => {
  const growing = [
    ...large,
    "checkout_sessions",
    "disputes",
    "fraud_signals",
    "payment_attempts",
    "payments",
  ];
  growing.push("refunds", "staff_commands");
  const connection = await sql.reserve();
  try {
    // Small tables are read whole even so: what counts is that there is another way.
    await connection`begin; set local enable_seqscan = off`.simple();
    const scans = async () =>
      new Map(
        (await connection`select relname, seq_scan::integer as scans from pg_stat_xact_user_tables
          where relname in ${connection(growing)}`).map(({ relname, scans }) => [relname, scans]),
      );
    const before = await scans();
    assert.equal(before.size, growing.length);
    const [row] = await connection`select public.evaluate_alert_rules(false) as failed`;
    assert.equal(row?.["failed"], 0);
    const after = await scans();
    assert.deepEqual(
      growing.filter((name) => after.get(name) !== before.get(name)),
      [],
      "read from end to end",
    );
  } finally {
    await connection`rollback`;
    connection.release();
  }
});

Deno.test("get_health() says how late deliveries are, and when something was last fetched", async () => {
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    const webhooks = async () =>
      (await connection`select public.get_health() #> '{checks,webhooks}' as webhooks`)[0]?.["webhooks"];
    await connection`update public.webhook_events set stripe_created_at = received_at - interval '3 seconds'`;
    assert.deepEqual([(await webhooks()).lag_p50_seconds, (await webhooks()).lag_p95_seconds], [3, 3]);
    await connection`update public.webhook_events set stripe_created_at = received_at - interval '80 seconds'
      where id in (select id from public.webhook_events where delivery_count > 0 order by received_at desc limit 6)`;
    assert.deepEqual([(await webhooks()).lag_p50_seconds, (await webhooks()).lag_p95_seconds], [3, 80]);
    // Stripe's clock ahead of ours is no lag below zero; and what was fetched was never delivered, late or not.
    await connection`update public.webhook_events set stripe_created_at = received_at + interval '1 minute'`;
    assert.equal((await webhooks()).lag_p95_seconds, 0);
    await connection`update public.webhook_events set received_at = now() - interval '2 hours'`;
    assert.equal((await webhooks()).lag_p50_seconds, null);
    await connection`update public.webhook_events set delivery_count = 0, delivered_at = null`;
    const [fetched] = await connection`select now() - interval '2 hours' as at`;
    assert.equal(Date.parse((await webhooks()).last_fetched_at), fetched?.["at"].getTime());
  } finally {
    await connection`rollback`;
    connection.release();
  }
});

Deno.test("get_health() names stock that nobody can pay for any more, and mails that wait", async () => {
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    const check = async (name: string) =>
      (await connection`select public.get_health() #> ${["checks", name]} as found`)[0]?.["found"];
    await connection`update public.inventory_reservations set status = 'released' where status = 'active'`;
    assert.deepEqual(await check("stock"), { status: "ok", leaks: 0 });
    const held = (status: string, age: string) =>
      connection`update public.inventory_reservations set status = 'active', expires_at = now() - ${age}::interval
        where order_id = (select id from public.orders where status = ${status} limit 1)`;
    await held("processing", "3 days");
    await held("expired", "30 minutes");
    assert.equal((await check("stock")).leaks, 0, "a debit holds its goods, and the sweep has an hour");
    await held("expired", "2 hours");
    assert.equal((await check("stock")).status, "degraded");

    await connection`update public.notifications set status = 'sent'`;
    assert.deepEqual(await check("mail"), {
      status: "ok",
      queued: 0,
      oldest_queued_seconds: 0,
      failed_last_day: 0,
    });
    await connection`update public.notifications set status = 'queued', created_at = now() - interval '2 hours'
      where id = (select id from public.notifications limit 1)`;
    assert.deepEqual(await check("mail"), {
      status: "degraded",
      queued: 1,
      oldest_queued_seconds: 7_200,
      failed_last_day: 0,
    });
  } finally {
    await connection`rollback`;
    connection.release();
  }
});
