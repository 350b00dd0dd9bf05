import assert from "node:assert/strict";
import { inLanes } from "../../../supabase/functions/_shared/jobs/lanes.ts";
import { testStack } from "../../support/stack.ts";
import { eventOf, holdDeliveries, payOrder } from "./paid_order.ts";
import {
  foreignAddress,
  foreignEvent,
  newEventId,
  signedRequest,
  stripeAddresses,
  webhookFunction,
} from "./webhook_function.ts";

Deno.test("stripe-webhook on a running stack", async (test) => {
  await using stack = await testStack();
  const { sql } = stack;
  const secret = stack.stripe_webhook_secret;
  await holdDeliveries(stack);

  const overHttp = async (event: object | string, options: Parameters<typeof signedRequest>[1] = {}) =>
    await fetch(await signedRequest(event, { secret, ...options }, `${stack.functions_url}/stripe-webhook`));
  const codeOf = async (response: Response) => (await response.json()).error?.code;
  const stored = async (id: unknown) => (await sql`select * from webhook_events where id = ${String(id)}`)[0];

  await test.step("applies a genuine event over HTTP and says so", async () => {
    const order = await payOrder(stack);
    const event = eventOf(order, "checkout.session.completed");
    const response = await overHttp(event);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { received: true, event_id: event["id"], outcome: "applied" });
    const [row] = await sql`select status from orders where id = ${order.orderId}`;
    assert.equal(row?.["status"], "paid");
    // Word for word, but for what would let others finish the payment.
    const kept = JSON.parse(
      JSON.stringify(event, (key, value) => key === "client_secret" ? undefined : value),
    );
    assert.deepEqual((await stored(event["id"]))?.["payload"], kept);
  });

  await test.step("answers a replay with duplicate and changes nothing", async () => {
    const order = await payOrder(stack);
    const event = eventOf(order, "checkout.session.completed");
    await overHttp(event);
    const before = await sql`select kind from order_events where order_id = ${order.orderId} order by id`;
    const replay = await overHttp(event);
    assert.equal((await replay.json()).outcome, "duplicate");
    assert.deepEqual(
      await sql`select kind from order_events where order_id = ${order.orderId} order by id`,
      before,
    );
    assert.equal((await stored(event["id"]))?.["delivery_count"], 2);
  });

  await test.step("refuses the same signature with another body, an old capture and a future one", async () => {
    const event = foreignEvent();
    const request = await signedRequest(event, { secret }, `${stack.functions_url}/stripe-webhook`);
    const forged = new Request(request.url, {
      method: "POST",
      headers: request.headers,
      body: JSON.stringify({ ...event, livemode: true }),
    });
    assert.equal(await codeOf(await fetch(forged)), "invalid_signature");
    for (const offsetSeconds of [-400, 400]) {
      const response = await overHttp(event, { offsetSeconds });
      assert.equal(response.status, 400);
      assert.equal(await codeOf(response), "timestamp_out_of_tolerance");
    }
    const unsigned = await fetch(request.url, { method: "POST", body: "{}" });
    assert.equal(await codeOf(unsigned), "missing_signature");
    assert.equal(await stored(event["id"]), undefined);
  });

  await test.step("counts each refusal by reason and address", async () => {
    const rows =
      await sql`select reason, host(source_ip) as address, count::int from webhook_rejections order by reason`;
    assert.deepEqual([...rows], [
      { reason: "invalid_signature", address: "127.0.0.1", count: 1 },
      { reason: "missing_signature", address: "127.0.0.1", count: 1 },
      { reason: "timestamp_out_of_tolerance", address: "127.0.0.1", count: 2 },
    ]);
  });

  await test.step("stores objects that are not ours, types we do not listen to, other livemode and thin payloads", async () => {
    const thin = {
      id: newEventId(),
      object: "v2.core.event",
      type: "v2.core.account.updated",
      created: "2026-11-08T12:00:00Z",
      livemode: false,
    };
    const cases: [object & { id?: unknown }, string][] = [
      [foreignEvent(), "foreign_object"],
      [{ ...foreignEvent(), type: "invoice.created" }, "unsubscribed_type"],
      [{ ...foreignEvent(), livemode: true }, "other_livemode"],
      [thin, "thin_payload"],
    ];
    for (const [event, reason] of cases) {
      const response = await overHttp(event);
      assert.equal(response.status, 200);
      assert.equal((await response.json()).outcome, "ignored");
      const row = await stored(event.id);
      assert.deepEqual([row?.["status"], row?.["ignored_reason"]], ["ignored", reason]);
    }
    const alerts = await sql`select kind from alerts where kind like 'webhook_%' order by kind`;
    assert.deepEqual(alerts.map((row) => row["kind"]), ["webhook_other_livemode", "webhook_thin_payload"]);
  });

  await test.step("raises one alert for another API version, counted up, and still processes", async () => {
    for (let index = 0; index < 3; index++) {
      await overHttp({ ...foreignEvent(), api_version: "2025-01-27.acacia" });
    }
    const rows = await sql`select count from alerts where kind = 'webhook_api_version'`;
    assert.deepEqual(rows.map((row) => row["count"]), [3]);
  });

  await test.step("stores text that jsonb does not take", async () => {
    const id = newEventId();
    const event = { ...foreignEvent(id), note: "nul \u0000 and lone \ud800 surrogate" };
    const response = await overHttp(event);
    assert.equal(response.status, 200, await response.text());
    assert.match(
      String((await stored(id))?.["payload"].note),
      /^nul \ufffd and lone \ufffd surrogate$/,
    );
  });

  await test.step("takes 20 parallel deliveries of one event: 20 × 200, one row, one transition, one mail", async () => {
    const order = await payOrder(stack);
    const event = eventOf(order, "checkout.session.completed");
    const responses = await Promise.all(Array.from({ length: 20 }, () => overHttp(event)));
    assert.deepEqual(responses.map((response) => response.status), Array(20).fill(200));
    const outcomes = await Promise.all(responses.map(async (response) => (await response.json()).outcome));
    assert.equal(outcomes.filter((outcome) => outcome === "applied").length, 1);
    assert.equal(outcomes.filter((outcome) => outcome === "duplicate").length, 19);
    assert.equal((await stored(event["id"]))?.["delivery_count"], 20);
    const [counts] = await sql`
      select
        (select count(*)::int from order_events where order_id = ${order.orderId} and kind = 'payment_received') as transitions,
        (select count(*)::int from notifications where order_id = ${order.orderId}) as mails,
        (select sum(quantity)::int from inventory_reservations where order_id = ${order.orderId} and status = 'committed') as committed`;
    assert.deepEqual({ ...counts }, { transitions: 1, mails: 1, committed: 1 });
  });

  await test.step("takes 200 different events of one order, on all connections at once, without deadlock or error", async () => {
    const order = await payOrder(stack);
    const copies = Array.from({ length: 200 }, (_, index) => {
      const event = order.events[index % order.events.length];
      return { ...event, id: newEventId() };
    });
    // More than the API has connections to the database: what waits beyond them races against nothing but its time limit.
    const answers = new Set<string>();
    await inLanes(copies, 24, async (event) => {
      const response = await overHttp(event);
      answers.add(`${response.status} ${(await response.json()).outcome}`);
    });
    assert.deepEqual([...answers], ["200 applied"]);
    const [row] = await sql`select status from orders where id = ${order.orderId}`;
    assert.equal(row?.["status"], "paid");
  });

  await test.step("spends one round trip per event, the list of addresses being cached", async () => {
    const local = webhookFunction(stack);
    await local.deliver(foreignEvent());
    local.calls.length = 0;
    for (let index = 0; index < 5; index++) assert.equal((await local.deliver(foreignEvent())).status, 200);
    assert.deepEqual(local.calls, Array(5).fill("receive_stripe_event"));
  });

  await test.step("enforces the list of addresses, and a forged leftmost hop gains nothing", async () => {
    const local = webhookFunction(stack);
    assert.equal((await local.deliver(foreignEvent(), { address: foreignAddress })).status, 403);
    const forged = { "x-forwarded-for": `${stripeAddresses[0]}, ${foreignAddress}` };
    assert.equal((await local.deliver(foreignEvent(), { address: null, headers: forged })).status, 403);
    for (const address of stripeAddresses) {
      assert.equal((await local.deliver(foreignEvent(), { address })).status, 200);
    }
    const unknown = await local.deliver(foreignEvent(), { address: null });
    assert.equal(unknown.status, 200, "without any address the signature decides");
    const [alert] = await sql`select severity from alerts where kind = 'webhook_address_unknown'`;
    assert.equal(alert?.["severity"], "warning");
  });

  await test.step("takes over the gateway's address, not the caller's claims", async () => {
    const event = foreignEvent();
    const claims = { "cf-connecting-ip": stripeAddresses[0], "x-forwarded-for": stripeAddresses[0] };
    await overHttp(event, { address: null, headers: claims });
    assert.equal((await stored(event["id"]))?.["source_ip"], "127.0.0.1");
  });

  await test.step("counts what report mode lets pass", async () => {
    const local = webhookFunction(stack, { STRIPE_WEBHOOK_IP_MODE: "report" });
    for (let index = 0; index < 2; index++) {
      assert.equal((await local.deliver(foreignEvent(), { address: foreignAddress })).status, 200);
    }
    const [alert] = await sql`select count, data from alerts where kind = 'webhook_address_unlisted'`;
    assert.equal(alert?.["count"], 2);
  });

  await test.step("logs one line per delivery, with nothing personal in it", async () => {
    const order = await payOrder(stack);
    const local = webhookFunction(stack);
    await local.deliver(eventOf(order, "checkout.session.completed"));
    assert.equal(local.lines.length, 1);
    assert(!/ada@|example\.com|3\.18\.12\.63/.test(JSON.stringify(local.lines)));
  });

  await test.step("keeps every invariant", async () => {
    assert.deepEqual([...await sql`select * from check_invariants()`], []);
  });
});
