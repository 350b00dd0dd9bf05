import assert from "node:assert/strict";
import postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { claim, clearQueue, emptyTables, finish } from "./queue.ts";

const database = await createTestDatabase("seeded");
const { sql } = database;
// It comes by the hour of the day, and no test may.
await sql`update private.settings set value = 'null' where key = 'digest_hour'`;

function test(name: string, work: () => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await clearQueue(sql);
      await sql`update private.periodic_jobs set next_at = null`;
      await emptyTables(sql, "public.orders");
      await work();
    },
  });
}
Deno.test.afterAll(() => database.drop());

async function queued(kind: string): Promise<number> {
  const [row] =
    await sql`select count(*)::integer as count from private.jobs where kind = ${kind} and status = 'queued'`;
  return row?.count ?? 0;
}

test("enqueue_periodic_jobs() queues each kind once per period under ten heartbeats at a time", async () => {
  await sql`select public.enqueue_periodic_jobs()`;
  assert.equal(await queued("reconcile_events"), 0, "nothing in the first minute of a shop's life");
  await sql`update private.periodic_jobs set next_at = now() - interval '1 hour'`;
  const beats = Array.from({ length: 10 }, () => postgres(database.url, { max: 1, onnotice: () => {} }));
  await Promise.all(beats.map((beat) => beat`select public.enqueue_periodic_jobs()`));
  await Promise.all(beats.map((beat) => beat.end()));
  for (const kind of ["reconcile_events", "reconcile_objects", "refresh_webhook_addresses", "purge"]) {
    assert.equal(await queued(kind), 1, kind);
  }
});

test("enqueue_periodic_jobs() turns admin_require_mfa on and never off, and touches no other setting", async () => {
  const read = () =>
    sql`select key, value from private.settings where key in ('admin_require_mfa', 'prices_include_tax') order by key`;
  assert.deepEqual((await read()).map(({ value }) => value), [false, false]);
  for (const given of [{}, { admin_require_mfa: false }, { admin_require_mfa: "true" }]) {
    await sql`select public.enqueue_periodic_jobs(${sql.json(given)})`;
    assert.deepEqual((await read()).map(({ value }) => value), [false, false]);
  }
  const given = { admin_require_mfa: true, prices_include_tax: true, invented: 1 };
  await sql`select public.enqueue_periodic_jobs(${sql.json(given)})`;
  assert.deepEqual((await read()).map(({ value }) => value), [true, false]);
  for (const lower of [{ admin_require_mfa: false }, { admin_require_mfa: null }, {}]) {
    await sql`select public.enqueue_periodic_jobs(${sql.json(lower)})`;
    assert.deepEqual((await read()).map(({ value }) => value), [true, false]);
  }
  const [health] = await sql`select public.get_health() #> '{checks,staff}' as staff`;
  assert.deepEqual(health?.staff, { status: "ok", second_factor: true });
  await sql`update private.settings set value = 'false' where key = 'admin_require_mfa'`;
});

test("enqueue_periodic_jobs() queues no second of a kind while one waits", async () => {
  for (let round = 0; round < 3; round++) {
    await sql`update private.periodic_jobs set next_at = now() - make_interval(mins => 30, secs => ${
      10 - round
    })`;
    await sql`select public.enqueue_periodic_jobs()`;
  }
  assert.equal(await queued("reconcile_events"), 1);
});

test("enqueue_periodic_jobs() notes that somebody works, and health says so when nobody does", async () => {
  await sql`select public.enqueue_periodic_jobs()`;
  const status = async () =>
    (await sql`select public.get_health() #>> '{checks,jobs,status}' as status`)[0]?.status;
  assert.equal(await status(), "ok");
  const silences = () =>
    sql`select silent_from is not null as told, extract(epoch from resumed_at - silent_from)::integer / 60 as minutes
      from private.heartbeats where name = 'retry_jobs'`;
  await sql`update private.heartbeats set silent_from = null, resumed_at = null, last_at = now() - interval '4 minutes'`;
  assert.equal(await status(), "ok");
  await sql`select public.enqueue_periodic_jobs()`;
  assert.deepEqual([...await silences()], [{ told: false, minutes: null }]);
  await sql`update private.heartbeats set last_at = now() - interval '6 minutes'`;
  assert.equal(await status(), "down");
  await sql`select public.enqueue_periodic_jobs()`;
  assert.equal(await status(), "ok");
  await sql`select public.enqueue_periodic_jobs()`;
  assert.deepEqual([...await silences()], [{ told: true, minutes: 6 }], "what was is kept");
});

/** An order with its hold, as checkout leaves it before Stripe has answered. */
async function pendingOrder(sessionEndsInMinutes: number): Promise<string> {
  const [begun] = await sql<{ id: string }[]>`
    select public.begin_checkout(
      jsonb_build_array(jsonb_build_object('sku', (select v.sku from public.product_variants v join public.inventory_levels l on l.variant_id = v.id where v.active and l.on_hand - l.reserved > 2 limit 1), 'quantity', 1)),
      null, null, null, null, null, null, false, 1860, 3660
    ) ->> 'order_id' as id`;
  const id = begun?.id ?? "";
  await sql`update public.orders set session_expires_at = now() + make_interval(mins => ${sessionEndsInMinutes}) where id = ${id}`;
  return id;
}

async function attach(orderId: string, session: string, expiresInMinutes: number): Promise<void> {
  const fact = {
    fact: "checkout_session",
    id: session,
    order_id: orderId,
    attempt: 1,
    livemode: false,
    status: "open",
    payment_status: "unpaid",
    async_payment_failed: false,
    currency: "usd",
    expires_at: Math.floor(Date.now() / 1000) + expiresInMinutes * 60,
  };
  await sql`select public.attach_checkout_session(${orderId}, 1, ${sql.json(fact)})`;
}

test("sweep: sessions that Stripe does not end keep no later one from being looked up", async () => {
  const stuck = await pendingOrder(-90);
  await attach(stuck, "cs_test_stuck_0", -90);
  await sql`insert into public.checkout_sessions select (jsonb_populate_record(s, jsonb_build_object(
      'id', 'cs_test_stuck_' || n, 'attempt', 1 + n))).*
    from public.checkout_sessions s, generate_series(1, 250) n where s.id = 'cs_test_stuck_0'`;
  const late = await pendingOrder(-5);
  await attach(late, "cs_test_late", -5);
  await sql.begin(async (tx) => {
    const seen = new Set<unknown>();
    for (let beat = 0; beat < 3; beat++) {
      await tx`select public.enqueue_periodic_jobs()`;
      const jobs = await claim(tx, 500);
      for (const { payload } of jobs) seen.add(payload["session_id"]);
      await finish(tx, jobs, { outcome: "done" });
    }
    assert.ok(seen.has("cs_test_late"), `${seen.size} were looked up`);
  });
});

test("sweep: a session past its time is looked up once, and its stock stays held until Stripe has spoken", async () => {
  const orderId = await pendingOrder(-5);
  await attach(orderId, "cs_test_past", -5);
  const fresh = await pendingOrder(30);
  await attach(fresh, "cs_test_open", 30);
  // One transaction, one moment: no hour turns in between.
  await sql.begin(async (tx) => {
    await tx`select public.enqueue_periodic_jobs()`;
    await tx`select public.enqueue_periodic_jobs()`;
    const jobs = await claim(tx, 10);
    assert.deepEqual(jobs.map(({ kind, payload }) => [kind, payload["session_id"]]), [[
      "expire_checkout_session",
      "cs_test_past",
    ]]);
    const [hold] = await tx`select status from public.inventory_reservations where order_id = ${orderId}`;
    assert.equal(hold?.status, "active");

    // The job ran, and Stripe still said open: the next look comes with the next hour, not with the next heartbeat.
    await finish(tx, jobs, { outcome: "done" });
    await tx`select public.enqueue_periodic_jobs()`;
  });
  assert.equal(await queued("expire_checkout_session"), 0);
  await sql`update private.jobs set dedupe_key = dedupe_key || ' of another hour'`;
  await sql`select public.enqueue_periodic_jobs()`;
  assert.equal(await queued("expire_checkout_session"), 1);
});

test("sweep: an attempt without a session is looked for only once Stripe can make none any more", async () => {
  const early = await pendingOrder(30);
  await sql`select public.enqueue_periodic_jobs()`;
  assert.equal(await queued("find_lost_sessions"), 0);
  await sql`update public.orders set session_expires_at = now() + interval '24 minutes' where id = ${early}`;
  await sql`select public.enqueue_periodic_jobs()`;
  await sql`select public.enqueue_periodic_jobs()`;
  assert.equal(await queued("find_lost_sessions"), 1);
  const lost = await sql`select order_id from public.get_lost_checkouts(10)`;
  assert.deepEqual(lost.map(({ order_id }) => order_id), [early]);

  await sql`select public.abandon_checkout(${early}, 1)`;
  const [order] =
    await sql`select o.status, r.status as hold from public.orders o join public.inventory_reservations r on r.order_id = o.id where o.id = ${early}`;
  assert.deepEqual([order?.status, order?.hold], ["expired", "released"]);
  assert.equal((await sql`select from public.get_lost_checkouts(10)`).length, 0);
});

test("purge_old_data() removes finished jobs and payloads by their retention, and keeps what settling looks for", async () => {
  await sql`
    insert into private.jobs (kind, dedupe_key, status, finished_at) values
      ('send_mail', 'old mail', 'done', now() - interval '31 days'),
      ('send_mail', 'new mail', 'done', now() - interval '29 days'),
      ('refund_payment', 'old refund', 'done', now() - interval '900 days'),
      ('send_mail', 'dead mail', 'dead', now() - interval '900 days')`;
  await sql`insert into private.jobs (kind, dedupe_key, run_at) values ('send_mail', 'waiting mail', now() - interval '900 days')`;
  await sql`
    insert into public.webhook_events (id, type, status, livemode, stripe_created_at, received_at, payload) values
      ('evt_old', 'charge.failed', 'processed', false, now(), now() - interval '91 days', '{"email": "a@example.com"}'),
      ('evt_failed', 'charge.failed', 'failed', false, now(), now() - interval '91 days', '{"email": "a@example.com"}'),
      ('evt_new', 'charge.failed', 'processed', false, now(), now() - interval '89 days', '{"email": "a@example.com"}')`;
  const [first] = await sql`select * from public.purge_old_data(1)`;
  assert.deepEqual([first?.purged.jobs, first?.purged.payloads, first?.more], [
    1,
    1,
    true,
  ]);
  const [second] = await sql`select * from public.purge_old_data(1)`;
  assert.equal(second?.more, false);
  const jobs = await sql`select dedupe_key from private.jobs order by dedupe_key`;
  assert.deepEqual(jobs.map(({ dedupe_key }) => dedupe_key), [
    "dead mail",
    "new mail",
    "old refund",
    "waiting mail",
  ]);
  const events = await sql`select id from public.webhook_events where payload ? 'email' order by id`;
  assert.deepEqual(events.map(({ id }) => id), ["evt_failed", "evt_new"]);
});

test("purge_old_data() deletes an old alert with its message's job, so that the next one of its cause is told", async () => {
  const raise = () => sql`select private.raise_alert('flood', 'critical', 'flood')`;
  const told = async () =>
    (await sql`select 1 from private.jobs where kind = 'send_alert' and status = 'queued'`).length;
  const alerts = async () => (await sql`select 1 from public.alerts where dedupe_key = 'flood'`).length;
  await sql`update private.settings set value = '1' where key = 'retention_alert_days'`;
  try {
    await raise();
    await sql`update public.alerts set status = 'resolved', last_at = now() - interval '2 days'`;
    await sql`select public.purge_old_data(10)`;
    assert.equal(await alerts(), 1, "its message is still under way");
    await sql`update private.jobs set status = 'done', finished_at = now() - interval '2 days'`;
    await sql`select public.purge_old_data(10)`;
    assert.equal(await alerts(), 0);
    await raise();
    assert.equal(await told(), 1);
  } finally {
    await sql`update private.settings set value = '365' where key = 'retention_alert_days'`;
    await sql`delete from public.alerts where dedupe_key = 'flood'`;
  }
});

test("replace_webhook_addresses() takes over a list, writes down what changed, and tells staff", async () => {
  const known = await sql`select host(address) as address from public.stripe_webhook_ips order by address`;
  const fresh = [...known.slice(0, 8).map(({ address }) => String(address)), "192.0.2.1"];
  const [change] = await sql`select * from public.replace_webhook_addresses(${fresh})`;
  assert.deepEqual(change?.added, ["192.0.2.1"]);
  assert.equal(change?.removed.length, known.length - 8);
  const now = await sql`select host(address) as address from public.stripe_webhook_ips`;
  assert.deepEqual(now.map(({ address }) => address).sort(), fresh.sort());
  const changes = await sql`select added, removed from private.webhook_address_changes`;
  assert.deepEqual([...changes], [change]);
  const alerts = await sql`select severity from public.alerts where kind = 'webhook_addresses_changed'`;
  assert.equal(alerts.length, 1);
  await sql`select public.replace_webhook_addresses(${fresh})`;
  assert.equal(
    (await sql`select 1 from private.webhook_address_changes`).length,
    1,
    "the same list is no change",
  );
});

test("no value that a setting may have stops the heartbeat, a checkout, a webhook or staff", async () => {
  const values = ["2.5", "-1", "1e12", "99999999999", "null", '"7"', '""', "[]", "{}", "true"];
  const keys = (await sql`select key from private.settings order by key`).map(({ key }) => key as string);
  const stopped: string[] = [];
  for (const key of keys) {
    for (const value of values) {
      const tx = await sql.reserve();
      try {
        await tx`begin`;
        await tx`delete from private.heartbeats`;
        await tx`update private.settings set value = '0' where key = 'digest_hour'`;
        const set = await tx`update private.settings set value = ${value}::text::jsonb where key = ${key}`
          .then(() => true, () => false);
        if (set) {
          const claims = '{"app_metadata": {"role": "admin"}, "aal": "aal2"}';
          await tx`select set_config('request.jwt.claims', ${claims}, true)`;
          await tx`select public.enqueue_periodic_jobs(), private.backoff(1), private.shown_stock(1),
            private.is_admin(), private.setting('prices_include_tax')::boolean, private.next_order_number()`
            .catch((error) => stopped.push(`${key} ${value}: ${error.message}`));
        }
      } finally {
        await tx`rollback`;
        tx.release();
      }
    }
  }
  assert.deepEqual(stopped, []);
});

test("replace_webhook_addresses() refuses a list that is empty, cut or no list of addresses", async () => {
  const before = await sql`select address from public.stripe_webhook_ips order by address`;
  for (const list of [[], ["192.0.2.1", "192.0.2.2"], Array(20).fill("not an address")]) {
    await assert.rejects(async () => await sql`select public.replace_webhook_addresses(${list}::text[])`);
  }
  assert.deepEqual([...await sql`select address from public.stripe_webhook_ips order by address`], [
    ...before,
  ]);
});

test("a part of the heartbeat that fails is told and stops no other, until it works again", async () => {
  const alert = async () => {
    const rows = await sql`select status, data ->> 'part' as part, data ->> 'error' as error
      from public.alerts where kind = 'heartbeat_part_failed'`;
    return rows.map(({ status, part }) => `${part} ${status}`);
  };
  const [source] = await sql`select pg_get_functiondef('private.measure_stock()'::regprocedure) as text`;
  await sql`select public.enqueue_periodic_jobs()`;
  assert.deepEqual(await alert(), []);
  await sql.unsafe(`create or replace function private.measure_stock() returns void language plpgsql
    set search_path = '' as $f$ begin raise exception 'made up'; end $f$`);
  await sql`update private.periodic_jobs set next_at = now() - interval '1 hour'`;
  await sql`select private.count_metric('payments', array['succeeded'])`;
  await sql`select public.enqueue_periodic_jobs()`;
  assert.deepEqual(await alert(), ["measure_stock open"]);
  assert.equal(await queued("reconcile_events"), 1, "what is due by the clock is queued");
  const [left] = await sql`select count(*)::integer as count from private.metric_samples`;
  assert.equal(left?.["count"], 0, "what comes after it is done too");
  await sql.unsafe(source?.["text"]);
  await sql`select public.enqueue_periodic_jobs()`;
  assert.deepEqual(await alert(), ["measure_stock resolved"]);
});

test("every kind of job outlives an outage of half an hour", async () => {
  const kinds = await sql`select kind, max_attempts from private.job_kinds where max_attempts < 12`;
  assert.deepEqual([...kinds], []);
});

test("purge_old_data() deletes counters of the rate limits that count no more, and says whether there are others", async () => {
  await sql`insert into private.rate_limits (key, window_start, count)
    select 'checkout:198.51.100.' || n, now() - make_interval(hours => 24 + n), 1 from generate_series(1, 3) n`;
  await sql`insert into private.rate_limits values ('checkout:198.51.100.9', now() - interval '23 hours', 1)`;
  const [first] = await sql`select * from public.purge_old_data(2)`;
  assert.deepEqual([first?.purged.rate_limits, first?.more], [2, true]);
  const [second] = await sql`select * from public.purge_old_data(2)`;
  assert.deepEqual([second?.purged.rate_limits, second?.more], [1, false]);
  const left =
    await sql`delete from private.rate_limits where key like 'checkout:198.51.100.%' returning key`;
  assert.deepEqual(left.map(({ key }) => key), ["checkout:198.51.100.9"]);
});
