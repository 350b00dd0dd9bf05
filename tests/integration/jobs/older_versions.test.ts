/** What an endpoint of another API version leaves out is read from Stripe: the order is whole seconds later. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { toldIn } from "../../support/older_versions.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { eventOf, holdDeliveries, type PaidOrder, payOrder, stripeEvents } from "../webhook/paid_order.ts";
import { webhookFunction } from "../webhook/webhook_function.ts";
import { checkout, control, drain, jobContext, orderRow, violations } from "./shop.ts";

type Json = Record<string, unknown>;

function objectOf(event: Json): Json {
  return (event["data"] as { object: Json }).object;
}

/** The session's event as an endpoint of a version gets it; `without` names what it leaves out. */
function told(order: PaidOrder, version: string, without: string[] = []): Json {
  const event = eventOf(order, "checkout.session.completed") as unknown as Stripe.Event;
  const older = structuredClone(toldIn(event, version)) as unknown as Json;
  for (const field of without) delete objectOf(older)[field];
  return older;
}

async function addressOf(stack: TestStack, orderId: string) {
  const [row] = await stack
    .sql`select status, shipping_name, shipping_address is not null as address from orders where id = ${orderId}`;
  return [row?.["status"], row?.["shipping_name"] !== null, row?.["address"]];
}

Deno.test("events of other API versions over the wire", async (test) => {
  await using stack = await testStack();
  await stack.sql`update private.periodic_jobs set next_at = 'infinity'`;
  await holdDeliveries(stack);
  const webhook = webhookFunction(stack);
  const deliver = async (event: Json) => (await (await webhook.deliver(event)).json()).outcome;
  const context = jobContext(stack);
  // The hourly comparison is not to help.
  await stack.sql`delete from private.jobs where kind like 'reconcile%'`;

  for (const version of ["2018-11-08", "2020-08-27", "2024-06-20"]) {
    await test.step(`${version}: the event alone makes the order paid, address included`, async () => {
      const order = await payOrder(stack);
      assert.equal(await deliver(told(order, version)), "applied");
      assert.deepEqual(await addressOf(stack, order.orderId), ["paid", true, true]);
    });
  }

  await test.step("an address that is nowhere in the event is read from Stripe", async () => {
    const order = await payOrder(stack);
    assert.equal(await deliver(told(order, "2024-06-20", ["shipping_details"])), "applied");
    assert.deepEqual(await addressOf(stack, order.orderId), ["paid", false, false]);
    await drain(stack, context);
    assert.deepEqual(await addressOf(stack, order.orderId), ["paid", true, true]);
  });

  await test.step("a session without its amounts waits for Stripe's word instead of a review", async () => {
    const order = await payOrder(stack);
    assert.equal(await deliver(told(order, "2024-06-20", ["total_details", "currency"])), "applied");
    assert.equal((await orderRow(stack, order.orderId)).status, "pending");
    await drain(stack, context);
    assert.deepEqual(await addressOf(stack, order.orderId), ["paid", true, true]);
    const alerts = await stack.sql`select kind from alerts where data ->> 'order_id' = ${order.orderId}`;
    assert.deepEqual([...alerts], []);
  });

  await test.step("a session told in the shopper's currency is compared in the shop's own", async () => {
    const order = await payOrder(stack);
    const event = told(order, "2024-06-20");
    const session = objectOf(event);
    const total = Number(session["amount_total"]);
    session["currency_conversion"] = {
      amount_subtotal: total,
      amount_total: total,
      fx_rate: "0.91",
      source_currency: session["currency"],
    };
    Object.assign(session, { currency: "eur", amount_subtotal: total - 900, amount_total: total - 900 });
    assert.equal(await deliver(event), "applied");
    for (const one of order.events.filter(({ type }) => type !== "checkout.session.completed")) {
      await deliver(one);
    }
    assert.deepEqual(await addressOf(stack, order.orderId), ["paid", true, true]);
  });

  await test.step("a row that was damaged is repaired by its event", async () => {
    const order = await payOrder(stack);
    for (const event of order.events) await deliver(event);
    await stack
      .sql`update checkout_sessions set shipping_address = null, shipping_name = null where order_id = ${order.orderId}`;
    await stack
      .sql`update orders set shipping_address = null, shipping_name = null where id = ${order.orderId}`;
    const id = String(eventOf(order, "checkout.session.completed")["id"]);
    const [row] = await stack
      .sql`select to_jsonb(public.redrive(array[${id}], '{}', null, false, false, 'test')) as items`;
    assert.deepEqual(row?.["items"].map((item: Json) => item["redriven"]), [true]);
    await drain(stack, context);
    assert.deepEqual(await addressOf(stack, order.orderId), ["paid", true, true]);
  });

  await test.step("a slow payment that bounced is so also when its session has to be read", async () => {
    const order = await checkout(stack);
    const paid = await fetch(`${stack.stripe_url}/_control/pay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ session: order.session_id, account_number: "000123456789" }),
    });
    const { payment_intent } = await paid.json();
    await control(stack, "settle", { payment_intent, outcome: "failed" });
    const bounced = (await stripeEvents(stack)).find((event) =>
      event["type"] === "checkout.session.async_payment_failed" && objectOf(event)["id"] === order.session_id
    );
    assert(bounced !== undefined);
    delete objectOf(bounced)["total_details"];
    assert.equal(await deliver({ ...bounced, api_version: "2024-06-20" }), "applied");
    await drain(stack, context);
    assert.equal((await orderRow(stack, order.order_id)).status, "payment_failed");
  });

  await test.step("a payment that names no charge is read, and its card is known", async () => {
    const order = await payOrder(stack);
    const event = structuredClone(eventOf(order, "payment_intent.succeeded"));
    delete objectOf(event)["latest_charge"];
    assert.equal(await deliver({ ...event, api_version: "2020-08-27" }), "applied");
    await drain(stack, context);
    const attempts = await stack
      .sql`select card_last4 from payment_attempts where order_id = ${order.orderId}`;
    assert.deepEqual(attempts.map((row) => row["card_last4"]), ["4242"]);
  });

  await test.step("a refund made in the dashboard and told only by charge.refunded is booked", async () => {
    const order = await payOrder(stack);
    for (const event of order.events) await deliver(event);
    const { payment_id } = await orderRow(stack, order.orderId);
    await context.stripe.refunds.create({ payment_intent: payment_id, amount: 1_000 });
    const refunded = (await stripeEvents(stack)).filter((event) =>
      event["type"] === "charge.refunded" && objectOf(event)["payment_intent"] === payment_id
    );
    assert.equal(refunded.length, 1);
    for (const event of refunded) assert.equal(await deliver(event), "applied");
    assert.equal((await orderRow(stack, order.orderId)).amount_refunded, 0);
    await drain(stack, context);
    const row = await orderRow(stack, order.orderId);
    assert.deepEqual([row.status, row.amount_refunded], ["partially_refunded", 1_000]);
  });

  await test.step("more refunds than a charge carries are all read", async () => {
    const order = await payOrder(stack);
    for (const event of order.events) await deliver(event);
    const { payment_id } = await orderRow(stack, order.orderId);
    for (let count = 0; count < 12; count++) {
      await context.stripe.refunds.create({ payment_intent: payment_id, amount: 100 });
    }
    const [last] = (await stripeEvents(stack)).filter((event) =>
      event["type"] === "charge.refunded" && objectOf(event)["payment_intent"] === payment_id
    ).slice(-1);
    assert(last !== undefined);
    await deliver(last);
    await drain(stack, context);
    assert.equal((await orderRow(stack, order.orderId)).amount_refunded, 1_200);
  });

  await test.step("an event that was translated worse is translated anew when staff ask for it", async () => {
    const order = await payOrder(stack);
    const event = told(order, "2024-06-20", ["shipping_details"]);
    await deliver(event);
    await stack.sql`delete from private.jobs where kind = 'refresh_checkout_session'`;
    // What the older release did not find in the payload.
    const [full] = [told(order, "2024-06-20")];
    await stack.sql`update webhook_events set payload = ${
      stack.sql.json(JSON.parse(JSON.stringify(full)))
    } where id = ${String(event["id"])}`;
    assert.deepEqual(await addressOf(stack, order.orderId), ["paid", false, false]);
    await stack.sql`insert into staff_commands (command, args, actor)
      values ('redrive_webhook_event', ${stack.sql.json({ event_id: String(event["id"]) })}, 'test')`;
    await drain(stack, context);
    assert.deepEqual(await addressOf(stack, order.orderId), ["paid", true, true]);
    const [row] = await stack.sql`select status, next_attempt_at from webhook_events where id = ${
      String(event["id"])
    }`;
    assert.deepEqual({ ...row }, { status: "processed", next_attempt_at: null });
  });

  await test.step("an event that is erased before its turn comes stays as it was", async () => {
    const order = await payOrder(stack);
    const event = eventOf(order, "checkout.session.completed");
    await deliver(event);
    const id = String(event["id"]);
    await stack.sql`insert into staff_commands (command, args, actor)
      values ('redrive_webhook_event', ${stack.sql.json({ event_id: id })}, 'test')`;
    await stack.sql`update webhook_events set payload = '{"erased": true}' where id = ${id}`;
    await drain(stack, context);
    const [row] = await stack.sql`select status, ignored_reason from webhook_events where id = ${id}`;
    assert.deepEqual({ ...row }, { status: "processed", ignored_reason: null });
  });

  await test.step("events of a connected account touch nothing", async () => {
    const order = await payOrder(stack);
    for (const event of order.events) {
      assert.equal(
        await deliver({ ...event, id: `${event["id"]}c`, account: "acct_1ConnectedOther" }),
        "ignored",
      );
    }
    assert.equal((await orderRow(stack, order.orderId)).status, "pending");
  });

  await test.step("keeps every invariant", async () => {
    assert.deepEqual(await violations(stack), []);
  });
});
