import assert from "node:assert/strict";
import { type TestStack, testStack } from "../../support/stack.ts";
import { holdDeliveries, payOrder, stripeEvents } from "./paid_order.ts";
import { webhookFunction } from "./webhook_function.ts";

type Event = Record<string, unknown>;

/** What an event destination with thin payloads gets where one with snapshots gets `event`. */
function thinOf(event: Event): Event {
  const { id, object } = (event["data"] as { object: { id: string; object: string } }).object;
  return {
    id: `${event["id"]}thin`,
    object: "v2.core.event",
    type: `v1.${event["type"]}`,
    created: new Date(Number(event["created"]) * 1000).toISOString(),
    livemode: false,
    related_object: { id, type: object, url: `/v1/${object}s/${id}` },
    snapshot_event: event["id"],
  };
}

Deno.test("thin events bring what snapshots bring, and side by side nothing twice", async (test) => {
  await using stack = await testStack();
  const { sql } = stack;
  const local = webhookFunction(stack);
  await holdDeliveries(stack);
  const deliver = async (events: Event[]) => {
    for (const event of events) {
      const response = await local.deliver(event);
      assert.equal(response.status, 200, await response.text());
    }
  };
  const stateOf = async (orderId: string) => {
    const [row] = await sql`
      select o.status, o.amount_paid::int, o.amount_refunded::int, o.shipping_address ->> 'country' as country,
        (select count(*)::int from payment_attempts a where a.order_id = o.id) as attempts,
        (select array_agg(r.status order by r.id) from refunds r where r.order_id = o.id) as refunds,
        (select array_agg(n.template order by n.template) from notifications n where n.order_id = o.id) as mails,
        (select l.committed from inventory_reservations r join inventory_levels l using (variant_id)
          where r.order_id = o.id) as committed
      from orders o where o.id = ${orderId}`;
    return row;
  };

  /** One order of each way, with all that happens to it. */
  const lead = async (told: (events: Event[]) => Event[]) => {
    const order = await payOrder(stack);
    await deliver(told(order.events));
    await runJobs(stack);
    assert.equal((await stateOf(order.orderId))?.["status"], "paid");
    const known = new Set((await stripeEvents(stack)).map(({ id }) => id));
    await refund(stack, order.sessionId);
    const later = (await stripeEvents(stack)).filter(({ id }) => !known.has(id));
    assert.notEqual(later.length, 0);
    await deliver(told(later));
    await sql`update private.jobs set run_at = now() where status = 'queued' and kind like 'refresh%'`;
    await runJobs(stack);
    const { committed: _, ...state } = await stateOf(order.orderId) ?? {};
    assert.deepEqual([...await sql`select * from check_invariants()`], []);
    return state;
  };

  const expected = await lead((events) => events);
  assert.deepEqual([expected["status"], expected["refunds"]], ["refunded", ["succeeded"]]);
  await test.step("thin alone", async () => {
    assert.deepEqual(await lead((events) => events.map(thinOf)), expected);
  });
  await test.step("thin before snapshot, and after it", async () => {
    assert.deepEqual(await lead((events) => events.flatMap((event) => [thinOf(event), event])), expected);
    assert.deepEqual(await lead((events) => events.toReversed().flatMap((e) => [e, thinOf(e)])), expected);
  });

  await test.step("of an object that is not ours nothing is kept but the event", async () => {
    const before = await sql`select count(*)::int as n from payments`;
    const foreign = { id: "ch_test_nobody", type: "charge", url: "/v1/charges/ch_test_nobody" };
    await deliver([{
      id: "evt_thin_foreign",
      object: "v2.core.event",
      type: "v1.charge.succeeded",
      created: new Date().toISOString(),
      livemode: false,
      related_object: foreign,
    }]);
    await runJobs(stack);
    assert.deepEqual(await sql`select count(*)::int as n from payments`, before);
    const [job] =
      await sql`select status from private.jobs where dedupe_key like 'refresh_charge:ch_test_nobody:%'`;
    assert.equal(job?.["status"], "discarded");
  });

  await test.step("a customer who never bought here is not read from Stripe", async () => {
    await deliver([{
      id: "evt_thin_stranger",
      object: "v2.core.event",
      type: "v1.customer.updated",
      created: new Date().toISOString(),
      livemode: false,
      related_object: { id: "cus_stranger", type: "customer", url: "/v1/customers/cus_stranger" },
    }]);
    const [event] = await sql`select ignored_reason from webhook_events where id = 'evt_thin_stranger'`;
    assert.equal(event?.["ignored_reason"], "foreign_object");
    assert.deepEqual([...await sql`select 1 from private.jobs where dedupe_key like '%cus_stranger%'`], []);
  });

  await test.step("Stripe's trouble is an alert while it lasts; what was never generated is looked for", async () => {
    const health = (id: string, type: string) => ({
      id,
      object: "v2.core.event",
      type: `v2.core.health.${type}`,
      created: new Date().toISOString(),
      livemode: false,
    });
    const alerts = async () =>
      (await sql`select data ->> 'subject' as subject, status from alerts where kind = 'stripe_health' order by 1`)
        .map(({ subject, status }) => `${subject} ${status}`);
    await deliver([health("evt_health1", "api_error.firing")]);
    assert.deepEqual(await alerts(), ["api_error open"]);
    await deliver([
      health("evt_health2", "api_error.resolved"),
      health("evt_health3", "event_generation_failure.resolved"),
    ]);
    assert.deepEqual(await alerts(), ["api_error resolved", "event_generation_failure open"]);
    const [job] = await sql`select kind from private.jobs where dedupe_key = 'reconcile_objects:evt_health3'`;
    assert.equal(job?.["kind"], "reconcile_objects");
  });
});

async function runJobs(stack: TestStack): Promise<void> {
  const response = await fetch(`${stack.functions_url}/retry-jobs`, {
    method: "POST",
    headers: { "apikey": stack.secret_key, "content-type": "application/json" },
    body: "{}",
  });
  assert.equal(response.status, 200, await response.text());
}

/** As in Stripe's dashboard. */
async function refund(stack: TestStack, sessionId: string): Promise<void> {
  const [row] = await stack.sql`select payment_id from checkout_sessions where id = ${sessionId}`;
  const response = await fetch(`${stack.stripe_url}/v1/refunds`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack.stripe_secret_key}` },
    body: new URLSearchParams({ payment_intent: String(row?.["payment_id"]) }),
  });
  assert.equal(response.status, 200, await response.text());
}
