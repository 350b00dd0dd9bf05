import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { clearQueue, emptyTables } from "./queue.ts";

const database = await createTestDatabase("seeded");
const { sql } = database;

function test(name: string, work: () => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await clearQueue(sql);
      await emptyTables(
        sql,
        "public.orders, public.webhook_events, public.reconciliation_drift, public.alerts, private.webhook_endpoint_states",
      );
      await sql`update private.periodic_jobs set next_at = now() + every`;
      await work();
    },
  });
}
Deno.test.afterAll(() => database.drop());

let count = 0;

/** An order that was paid so many minutes ago, as the success page settles it when no webhook comes. */
async function paidOrder(minutesAgo: number): Promise<string> {
  const [begun] = await sql<{ id: string }[]>`
    select public.begin_checkout(
      jsonb_build_array(jsonb_build_object('sku', (
        select v.sku from public.product_variants v join public.inventory_levels l on l.variant_id = v.id
        where v.active and l.on_hand - l.reserved > 5 limit 1
      ), 'quantity', 1)),
      null, null, null, null, null, null, false, 1860, 3660
    ) ->> 'order_id' as id`;
  const id = begun?.id ?? "";
  await sql`update public.orders set paid_at = now() - make_interval(mins => ${minutesAgo}) where id = ${id}`;
  return id;
}

/** What every event of these tests tells: an attempt to pay the order. */
function eventAbout(orderId: string, minutesAgo: number, livemode = false) {
  const id = `evt_${++count}`;
  return {
    id,
    type: "charge.failed",
    livemode,
    api_version: "2026-10-28.endive",
    created: Math.floor(Date.now() / 1000) - minutesAgo * 60,
    facts: [{
      fact: "payment_attempt",
      id: `ch_${count}`,
      payment_id: `pi_${count}`,
      order_id: orderId,
      livemode,
      outcome: "failed",
      amount: 1000,
      currency: "usd",
      created: Math.floor(Date.now() / 1000) - minutesAgo * 60,
    }],
  };
}
type Event = ReturnType<typeof eventAbout>;

/** Fetched by the reconciler so many minutes ago. */
async function fetched(event: Event, minutesAgo: number): Promise<void> {
  const { facts, ...payload } = event;
  await sql`select public.reconcile_stripe_event(
    gen_random_uuid(), ${sql.json(payload)}, ${sql.json(facts)}, null, null, false)`;
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`update public.reconciliation_drift set found_at = now() - make_interval(mins => ${minutesAgo})
      where object_id = ${event.id}`;
  });
  await sql`update public.webhook_events set received_at = now() - make_interval(mins => ${minutesAgo})
    where id = ${event.id}`;
}

/** Posted by Stripe so many minutes ago. */
async function delivered(event: Event, minutesAgo = 0): Promise<void> {
  const { facts, ...payload } = event;
  await sql`select public.receive_stripe_event(
    ${event.id}, ${event.type}, ${event.livemode}, ${event.api_version}, to_timestamp(${event.created}), '127.0.0.1',
    ${sql.json(payload)}, ${sql.json(facts)}, null, null, '[]')`;
  await sql`update public.webhook_events set delivered_at = now() - make_interval(mins => ${minutesAgo})
    where id = ${event.id}`;
}

async function endpoint(state: string, id: string | null = "we_1", livemode = false): Promise<void> {
  await sql`select public.record_webhook_endpoint(${livemode}, ${state}, ${id},
    ${state === "changed" ? ["lacks charge.refunded"] : []})`;
}

/** After a heartbeat: open alerts, and the checks of health that are degraded. They must say the same. */
async function seen(): Promise<{ alerts: string[]; degraded: string[] }> {
  await sql`select public.enqueue_periodic_jobs()`;
  const alerts = await sql`select kind from public.alerts where status <> 'resolved' order by kind`;
  const degraded = await sql`
    select name from public.get_health() h, jsonb_each(h -> 'checks') c (name, figures)
    where figures ->> 'status' <> 'ok' and name in ('webhooks', 'reconciliation') order by name`;
  return { alerts: alerts.map(({ kind }) => kind), degraded: degraded.map(({ name }) => name) };
}
const nothing = { alerts: [], degraded: [] };

async function messages(): Promise<number> {
  const [row] = await sql`select count(*)::integer as count from private.jobs where kind = 'send_alert'`;
  return row?.count;
}

async function nextLookMinutes(): Promise<number> {
  const [row] = await sql`
    select round(extract(epoch from next_at - now()) / 60)::integer as minutes
    from private.periodic_jobs where kind = 'check_webhook_endpoint'`;
  return row?.minutes;
}

test("delivered and fetched events are told apart, whichever comes first", async () => {
  const orderId = await paidOrder(0);
  const [first, second] = [eventAbout(orderId, 0), eventAbout(orderId, 0)];
  const row = async (id: string) =>
    (await sql`
      select delivery_count, delivered_at is not null as delivered, host(source_ip) as address
      from public.webhook_events where id = ${id}`)[0];
  await fetched(first, 0);
  assert.deepEqual(await row(first.id), { delivery_count: 0, delivered: false, address: null });
  await delivered(first);
  assert.deepEqual(await row(first.id), { delivery_count: 1, delivered: true, address: "127.0.0.1" });
  await delivered(second);
  await fetched(second, 0);
  await sql`select public.redrive(array[${second.id}], null, null, false, false, 'test', false)`;
  assert.deepEqual(await row(second.id), { delivery_count: 1, delivered: true, address: "127.0.0.1" });
  const [report] = await sql`
    select sum(events)::integer as events, sum(deliveries)::integer as deliveries, sum(fetched)::integer as fetched
    from reporting.webhook_health`;
  assert.deepEqual(report, { events: 2, deliveries: 2, fetched: 0 });
});

test("silence: an order is paid and nothing is delivered, until something is", async () => {
  await paidOrder(11);
  assert.deepEqual(await seen(), { alerts: ["webhook_silence"], degraded: ["webhooks"] });
  await seen();
  assert.equal(await messages(), 1, "staff are told once");
  await delivered(eventAbout(await paidOrder(0), 0));
  assert.deepEqual(await seen(), nothing);
});

test("silence: the last delivery came before the order was paid", async () => {
  const orderId = await paidOrder(30);
  await delivered(eventAbout(orderId, 30), 30);
  assert.deepEqual(await seen(), nothing);
  await paidOrder(15);
  assert.deepEqual((await seen()).alerts, ["webhook_silence"]);
  const [health] = await sql`select public.get_health() #> '{checks,webhooks}' as webhooks`;
  assert.deepEqual(health?.webhooks.problems, ["webhook_silence"]);
  assert.ok(Date.parse(health?.webhooks.last_delivered_at) < Date.now() - 29 * 60_000);
});

test("silence: a fetched event without any delivery counts as money that moves", async () => {
  const orderId = await paidOrder(30);
  await delivered(eventAbout(orderId, 30), 30);
  await fetched(eventAbout(orderId, 15), 5);
  assert.deepEqual((await seen()).alerts, ["webhook_silence"]);
});

test("silence: deliveries of the other mode do not break it", async () => {
  const orderId = await paidOrder(11);
  await delivered(eventAbout(orderId, 0, true));
  assert.deepEqual((await seen()).alerts, ["webhook_silence"]);
});

test("no silence in a quiet shop, in a fresh one, while a payment is minutes old, and after a day", async () => {
  assert.deepEqual(await seen(), nothing);
  await delivered(eventAbout(await paidOrder(60 * 24 * 3), 60 * 24 * 3), 60 * 24 * 3);
  assert.deepEqual(await seen(), nothing, "three days without orders");
  await paidOrder(9);
  assert.deepEqual(await seen(), nothing, "the delivery may be on its way");
  await sql`update public.orders set paid_at = now() - interval '25 hours'`;
  assert.deepEqual(await seen(), nothing, "long over");
});

test("drift: what had to be fetched, for an hour; not what is delivered after all", async () => {
  const orderId = await paidOrder(0);
  const [late, lost] = [eventAbout(orderId, 0), eventAbout(orderId, 0)];
  await delivered(eventAbout(orderId, 0));
  await fetched(late, 0);
  assert.deepEqual(await seen(), nothing, "fetched seconds before its delivery");
  await fetched(lost, 11);
  assert.deepEqual(await seen(), { alerts: ["reconciliation_drift"], degraded: ["reconciliation"] });
  await delivered(lost);
  assert.deepEqual(await seen(), nothing);

  const gone = eventAbout(orderId, 0);
  await fetched(gone, 59);
  assert.deepEqual((await seen()).alerts, ["reconciliation_drift"]);
  const [health] =
    await sql`select public.get_health() #> '{checks,reconciliation,drift_last_hour}' as count`;
  assert.equal(health?.count, 1);
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`update public.reconciliation_drift set found_at = now() - interval '61 minutes'`;
  });
  assert.deepEqual(await seen(), nothing, "an hour without drift");
});

test("drift: a repaired object, unless its event is delivered moments later", async () => {
  const orderId = await paidOrder(0);
  const repaired = async (id: string) => {
    await sql`insert into public.reconciliation_drift (run_id, kind, object_id, order_id, found_at)
      values (gen_random_uuid(), 'payment', ${id}, ${orderId}, now() - interval '11 minutes')`;
  };
  await repaired("pi_early");
  assert.deepEqual(await seen(), { alerts: ["reconciliation_drift"], degraded: ["reconciliation"] });
  // Whatever has become of its payload: nobody reads that each minute.
  await sql`insert into public.webhook_events (id, type, status, livemode, stripe_created_at, received_at,
      delivered_at, delivery_count, object_id, payload)
    values ('evt_early', 'payment_intent.succeeded', 'processed', false, now() - interval '11 minutes',
      now() - interval '10 minutes', now() - interval '10 minutes', 1, 'pi_early', '{"erased": true}')`;
  assert.deepEqual(await seen(), nothing);
});

test("no drift in a fresh shop that reads what its account did before, which is about no order", async () => {
  await sql`insert into public.reconciliation_drift (run_id, kind, object_id, found_at)
    values (gen_random_uuid(), 'missed_event', 'evt_old', now() - interval '11 minutes')`;
  assert.deepEqual(await seen(), nothing);
});

for (const state of ["disabled", "changed", "missing"]) {
  test(`endpoint: ${state} is told of at once, and over when Stripe says so`, async () => {
    const kind = state === "disabled" ? "webhook_endpoint_disabled" : "webhook_endpoint_changed";
    await endpoint("ok");
    assert.deepEqual(await seen(), nothing);
    await endpoint(state, state === "missing" ? null : "we_1");
    const [alert] = await sql`select kind, status, data from public.alerts`;
    assert.deepEqual([alert?.kind, alert?.status, alert?.data.endpoint_id], [kind, "open", "we_1"]);
    assert.deepEqual(await seen(), { alerts: [kind], degraded: ["webhooks"] });
    await endpoint("ok");
    assert.deepEqual(await seen(), nothing);
  });
}

for (const state of ["disabled", "missing"]) {
  test(`endpoint: ${state} is no alarm while events go on coming another way`, async () => {
    await endpoint("ok");
    await endpoint(state, state === "missing" ? null : "we_1");
    await sql`update private.webhook_endpoint_states set since = now() - interval '5 minutes'`;
    assert.equal((await seen()).alerts.length, 1);
    await delivered(eventAbout(await paidOrder(0), 0));
    assert.deepEqual(await seen(), nothing);
    await endpoint(state, state === "missing" ? null : "we_1");
    assert.deepEqual(await seen(), nothing, "the next look finds the same");
  });
}

test("endpoint: none that was never there (the Stripe CLI listens), and a key that may not look, are states", async () => {
  for (const state of ["missing", "not_permitted"]) {
    await endpoint(state, null);
    assert.deepEqual(await seen(), nothing);
    const [health] = await sql`select public.get_health() #>> '{checks,webhooks,endpoint}' as endpoint`;
    assert.equal(health?.endpoint, state);
  }
});

test("endpoint: the mode that was looked at last counts", async () => {
  await endpoint("ok", "we_test", false);
  await endpoint("disabled", "we_test", false);
  await endpoint("ok", "we_live", true);
  assert.deepEqual(await seen(), nothing);
  await endpoint("missing", null, true);
  assert.deepEqual((await seen()).alerts, ["webhook_endpoint_changed"]);
});

test("Stripe is asked once an hour, and every five minutes while something is wrong", async () => {
  await endpoint("ok");
  await seen();
  assert.equal(await nextLookMinutes(), 60);
  await fetched(eventAbout(await paidOrder(0), 0), 0);
  await seen();
  assert.equal(await nextLookMinutes(), 5);
  await sql`update private.periodic_jobs set next_at = now() + interval '20 minutes' where kind = 'check_webhook_endpoint'`;
  await seen();
  const [job] = await sql`
    select count(*)::integer as count from private.jobs where kind = 'check_webhook_endpoint' and status = 'queued'`;
  assert.equal(job?.count, 1, "the last look was long enough ago");
  await seen();
  assert.equal(await nextLookMinutes(), 5);
});

test("an alert that staff resolved opens again while its cause is there, and staff hear of it", async () => {
  await endpoint("disabled");
  await sql`update public.alerts set status = 'resolved'`;
  assert.deepEqual((await seen()).alerts, ["webhook_endpoint_disabled"]);
  assert.equal(await messages(), 2);
});
