import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventTypes, idOf, refusal, shirt, type StandIn, standIn } from "./stand_in.ts";

const { test } = Deno;

const inEuro = shirt({
  line_items: [{
    price_data: { currency: "eur", unit_amount: 12_900, product_data: { name: "Shirt" } },
    quantity: 1,
  }],
});

interface Paid {
  payment_intent: string;
  payment_status: string;
}

async function pay(stand: StandIn, session: string, how: object): Promise<{ status: number; body: Paid }> {
  return await stand.control<Paid>("POST", "pay", { session, ...how });
}

test("sessions offer what their currency allows; lists filter, and never add", async () => {
  await using stand = await standIn();
  const { sessions } = stand.stripe.checkout;
  const offered = async (change: Partial<Stripe.Checkout.SessionCreateParams>, base = inEuro) =>
    (await sessions.create({ ...base, ...change })).payment_method_types;
  assert.deepEqual(await offered({}), [
    "card",
    "bancontact",
    "ideal",
    "klarna",
    "link",
    "paypal",
    "sepa_debit",
  ]);
  assert.deepEqual(await offered({}, shirt()), ["card", "klarna", "link", "paypal", "us_bank_account"]);
  assert.deepEqual(
    await offered({ allowed_payment_method_types: ["ideal", "card", "us_bank_account", "twint"] }),
    [
      "card",
      "ideal",
    ],
  );
  assert.deepEqual(await offered({ excluded_payment_method_types: ["klarna", "paypal", "link"] }), [
    "card",
    "bancontact",
    "ideal",
    "sepa_debit",
  ]);
  const none = await refusal(
    sessions.create({ ...inEuro, allowed_payment_method_types: ["us_bank_account"] }),
  );
  assert.equal(none.statusCode, 400);
  const { success_url: _success, cancel_url: _cancel, ...frame } = inEuro;
  const stays = await sessions.create({
    ...frame,
    ui_mode: "embedded_page",
    redirect_on_completion: "never",
  });
  assert.deepEqual(stays.payment_method_types, ["card", "link", "sepa_debit"]);
});

for (const payment_method of ["bancontact", "ideal", "klarna", "paypal"]) {
  test(`${payment_method} leads away, pays at once when it is authorized, and leaves the session open when not`, async () => {
    await using stand = await standIn();
    const { stripe } = stand;
    const session = await stripe.checkout.sessions.create(inEuro);
    const left = await pay(stand, session.id, { payment_method, redirect: "leave" });
    assert.equal(left.body.payment_status, "unpaid");
    const waiting = await stripe.paymentIntents.retrieve(left.body.payment_intent);
    assert.equal(waiting.status, "requires_action");
    const away = waiting.next_action?.redirect_to_url?.url ?? "";
    assert.equal(away, `${stand.url}/authorize/${waiting.id}`);
    const answer = async (outcome: string) => {
      const response = await fetch(away, {
        method: "POST",
        body: new URLSearchParams({ outcome }),
        redirect: "manual",
      });
      await response.body?.cancel();
      return response.headers.get("location");
    };
    assert.equal(await answer("fail"), `${stand.url}/c/pay/${session.id}`);
    const refused = await stripe.paymentIntents.retrieve(waiting.id);
    assert.deepEqual(
      [refused.status, refused.last_payment_error?.code, refused.last_payment_error?.payment_method?.type],
      ["requires_payment_method", "payment_intent_authentication_failure", payment_method],
    );
    assert.equal((await stripe.checkout.sessions.retrieve(session.id)).status, "open");

    await pay(stand, session.id, { payment_method, redirect: "leave" });
    assert.equal(await answer("pass"), `http://shop.test/done?session_id=${session.id}`);
    const paid = await stripe.checkout.sessions.retrieve(session.id, {
      expand: ["payment_intent.latest_charge"],
    });
    assert.deepEqual([paid.status, paid.payment_status], ["complete", "paid"]);
    const charge = (paid.payment_intent as Stripe.PaymentIntent).latest_charge as Stripe.Charge;
    assert.equal(charge.payment_method_details?.type, payment_method);
    const types = await eventTypes(stripe);
    assert.equal(types.filter((type) => type === "payment_intent.requires_action").length, 2);
    assert.equal(types.filter((type) => type === "payment_intent.payment_failed").length, 1);
  });
}

test("a session that expires while its shopper is at the bank takes no money afterwards", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(inEuro);
  const { body } = await pay(stand, session.id, { payment_method: "ideal", redirect: "leave" });
  await stand.stripe.checkout.sessions.expire(session.id);
  const late = await stand.control("POST", "redirect", {
    payment_intent: body.payment_intent,
    outcome: "authorize",
  });
  assert.equal(late.status, 400);
  assert.equal((await stand.stripe.paymentIntents.retrieve(body.payment_intent)).status, "canceled");
});

for (const [payment_method, type] of [["link", "link"], ["apple_pay", "card"], ["google_pay", "card"]]) {
  test(`${payment_method} pays without leaving the page`, async () => {
    await using stand = await standIn();
    const session = await stand.stripe.checkout.sessions.create(shirt());
    const { body } = await pay(stand, session.id, { payment_method });
    assert.equal(body.payment_status, "paid");
    const intent = await stand.stripe.paymentIntents.retrieve(body.payment_intent, {
      expand: ["latest_charge"],
    });
    const details = (intent.latest_charge as Stripe.Charge).payment_method_details;
    assert.equal(details?.type, type);
    assert.equal(details?.card?.wallet?.type, type === "card" ? payment_method : undefined);
  });
}

test("a refund can wait for the customer's bank details, and be told as failed or cancelled", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const session = await stripe.checkout.sessions.create(inEuro);
  const { body } = await pay(stand, session.id, { payment_method: "ideal", refund: "held" });
  const refund = await stripe.refunds.create({ payment_intent: body.payment_intent });
  const move = (status: string) =>
    stand.control<Stripe.Refund>("POST", "refund", { refund: refund.id, status });
  const asked = (await move("requires_action")).body;
  assert.equal(asked.status, "requires_action");
  assert.equal(asked.next_action?.display_details?.email_sent.email_sent_to, "jenny.rosen@example.com");
  const { next_action: left } = (await move("pending")).body;
  assert.equal(left, undefined);
  assert.equal((await move("succeeded")).body.status, "succeeded");
  assert.equal((await move("requires_action")).status, 400);
  assert.equal((await move("failed")).body.status, "failed");
  assert.equal((await move("succeeded")).status, 400);
  const charge = await stripe.charges.retrieve(idOf(refund.charge));
  assert.equal(charge.amount_refunded, 0);
});

test("a dispute about a bank debit comes as lost", async () => {
  await using stand = await standIn({ pace: { bankDebitMs: null } });
  const { stripe } = stand;
  const session = await stripe.checkout.sessions.create(shirt());
  const { body } = await pay(stand, session.id, { payment_method: "us_bank_account" });
  await stand.control("POST", "settle", { payment_intent: body.payment_intent, outcome: "succeeded" });
  const dispute = await stand.control<Stripe.Dispute>("POST", "dispute", {
    payment_intent: body.payment_intent,
  });
  assert.deepEqual([dispute.body.status, dispute.body.reason], ["lost", "debit_not_authorized"]);
  const types = await eventTypes(stripe);
  assert.deepEqual(types.filter((type) => type.startsWith("charge.dispute")), [
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.closed",
  ]);
});
