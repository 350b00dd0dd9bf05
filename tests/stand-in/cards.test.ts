import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventTypes, idOf, refusal, shirt, standIn } from "./stand_in.ts";

const { test } = Deno;

async function payWith(card: string) {
  const stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt());
  const paid = await stand.control<
    { error: { code: string; decline_code: string; message: string; charge: string } }
  >(
    "POST",
    "pay",
    { session: session.id, card },
  );
  const [charge] = (await stand.stripe.charges.list()).data;
  return { stand, session, paid, charge, types: await eventTypes(stand.stripe) };
}

const PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"];

const SUCCEEDING: [card: string, brand: string, check: (charge: Stripe.Charge) => void, extra: string[]][] = [
  ["4242424242424242", "visa", (charge) => assert.equal(charge.outcome?.risk_level, "normal"), []],
  [
    "378282246310005",
    "amex",
    (charge) => assert.equal(charge.payment_method_details?.card?.three_d_secure, null),
    [],
  ],
  ["5555555555554444", "mastercard", (charge) => assert.equal(charge.outcome?.type, "authorized"), []],
  [
    "4000000000000101",
    "visa",
    (charge) => assert.equal(charge.payment_method_details?.card?.checks?.cvc_check, "fail"),
    [],
  ],
  // Its money is there at once, which is told last.
  ["4000000000000077", "visa", (charge) => assert.equal(charge.paid, true), ["balance.available"]],
  [
    "4000000000009235",
    "visa",
    (charge) => {
      assert.equal(charge.outcome?.risk_level, "elevated");
      assert.match(idOf(charge.review), /^prv_/);
    },
    ["review.opened"],
  ],
  ["4000000000005423", "visa", () => {}, ["radar.early_fraud_warning.created"]],
  [
    "4000000000000259",
    "visa",
    (charge) => assert.equal(charge.disputed, true),
    ["charge.dispute.created", "charge.dispute.funds_withdrawn"],
  ],
  [
    "4000000000002685",
    "visa",
    (charge) => assert.equal(charge.disputed, true),
    ["charge.dispute.created", "charge.dispute.funds_withdrawn"],
  ],
  ["4000000000001976", "visa", (charge) => assert.equal(charge.disputed, true), ["charge.dispute.created"]],
];

for (const [card, brand, check, extra] of SUCCEEDING) {
  test(`card ${card} pays, with its brand, checks and the events that follow`, async () => {
    const { stand, session, paid, charge, types } = await payWith(card);
    await using _ = stand;
    assert.equal(paid.status, 200);
    const after = await stand.stripe.checkout.sessions.retrieve(session.id);
    assert.deepEqual(paid.body, {
      session: session.id,
      payment_intent: after.payment_intent,
      payment_status: "paid",
    });
    assert.equal(after.status, "complete");
    assert.equal(after.url, null);
    assert.ok(charge !== undefined);
    assert.equal(charge.status, "succeeded");
    assert.equal(charge.payment_method_details?.card?.brand, brand);
    assert.equal(charge.payment_method_details?.card?.last4, card.slice(-4));
    check(charge);
    const [atOnce, told] = extra[0] === "balance.available" ? [[], extra] : [extra, []];
    assert.deepEqual(types, [...PAID, ...atOnce, "checkout.session.completed", ...told]);
  });
}

const DECLINED: [card: string, code: string, decline: string, message: RegExp][] = [
  ["4000000000000002", "card_declined", "generic_decline", /^Your card was declined\.$/],
  ["4000000000009995", "card_declined", "insufficient_funds", /insufficient funds/],
  ["4000000000009987", "card_declined", "lost_card", /^Your card was declined\.$/],
  ["4000000000009979", "card_declined", "stolen_card", /^Your card was declined\.$/],
  ["4000000000000069", "expired_card", "expired_card", /has expired/],
  ["4000000000000127", "incorrect_cvc", "incorrect_cvc", /security code is incorrect/],
  ["4000000000000119", "processing_error", "processing_error", /error occurred while processing/],
  ["4000000000006975", "card_declined", "card_velocity_exceeded", /repeated attempts/],
  ["4100000000000019", "card_declined", "fraudulent", /^Your card was declined\.$/],
  ["4000000000004954", "card_declined", "fraudulent", /^Your card was declined\.$/],
  ["4000008400001629", "card_declined", "generic_decline", /^Your card was declined\.$/],
  ["4000008260003178", "card_declined", "insufficient_funds", /insufficient funds/],
  // A number that passes the check digit and is no test card: refused as Stripe's test mode does.
  ["4539578763621486", "card_declined", "test_mode_live_card", /test mode/],
];

for (const [card, code, decline, message] of DECLINED) {
  test(`card ${card} is declined with ${decline}, and the session stays open`, async () => {
    const { stand, session, paid, charge, types } = await payWith(card);
    await using _ = stand;
    assert.equal(paid.status, 402);
    assert.equal(paid.body.error.code, code);
    assert.equal(paid.body.error.decline_code, decline);
    assert.match(paid.body.error.message, message);
    assert.equal(paid.body.error.charge, charge?.id);
    assert.equal(charge?.status, "failed");
    assert.equal(charge?.outcome?.type, decline === "fraudulent" ? "blocked" : "issuer_declined");
    assert.deepEqual(
      types.filter((type) => type !== "payment_intent.requires_action"),
      ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"],
    );
    const after = await stand.stripe.checkout.sessions.retrieve(session.id, { expand: ["payment_intent"] });
    assert.equal(after.status, "open");
    assert.ok(typeof after.payment_intent === "object" && after.payment_intent !== null);
    assert.equal(after.payment_intent.status, "requires_payment_method");
    assert.equal(after.payment_intent.last_payment_error?.decline_code, decline);
    // The same session can still be paid, by the same payment intent.
    assert.equal((await stand.control("POST", "pay", { session: session.id })).status, 200);
    assert.equal((await stand.stripe.paymentIntents.list()).data.length, 1);
  });
}

test("a wrong card number, expiry or code is refused before anything is charged", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt());
  const pay = (card: string) =>
    stand.control<{ error: { code: string } }>("POST", "pay", { session: session.id, card });
  assert.equal((await pay("4242424242424241")).body.error.code, "incorrect_number");
  assert.equal((await pay("1234")).status, 402);
  assert.deepEqual(await eventTypes(stand.stripe), []);
  const past = await refusal(stand.stripe.paymentMethods.create({
    type: "card",
    card: { number: "4242424242424242", exp_month: 1, exp_year: 2020 },
  }));
  assert.equal(past.code, "invalid_expiry_year");
  const code = await refusal(stand.stripe.paymentMethods.create({
    type: "card",
    card: { number: "4242424242424242", exp_month: 1, exp_year: 2040, cvc: "12" },
  }));
  assert.equal(code.code, "invalid_cvc");
  const month = await refusal(stand.stripe.paymentMethods.create({
    type: "card",
    card: { number: "4242424242424242", exp_month: 13, exp_year: 2040 },
  }));
  assert.deepEqual([month.statusCode, month.code], [402, "invalid_expiry_month"]);
});

test("a payment method that Stripe has not is a mistake, one that only the stand-in has not is named", async () => {
  await using stand = await standIn();
  const create = (type: string) => stand.stripe.paymentMethods.create({ type: type as "card" });
  const mistake = await refusal(create("barter"));
  assert.deepEqual([mistake.statusCode, mistake.param], [400, "type"]);
  const allowed_payment_method_types = ["barter" as "card"];
  const session = stand.stripe.checkout.sessions.create(shirt({ allowed_payment_method_types }));
  assert.equal((await refusal(session)).param, "allowed_payment_method_types[0]");
  assert.equal((await refusal(create("klarna"))).statusCode, 501);
});

for (const card of ["4000002760003184", "4000000000003220"]) {
  test(`card ${card} asks for authentication; passed it pays, failed it does not`, async () => {
    await using stand = await standIn();
    const { stripe, control } = stand;
    const session = await stripe.checkout.sessions.create(shirt());
    const failed = await control<{ error: { code: string } }>("POST", "pay", {
      session: session.id,
      card,
      three_d_secure: "fail",
    });
    assert.equal(failed.status, 402);
    assert.equal(failed.body.error.code, "payment_intent_authentication_failure");
    assert.equal((await control("POST", "pay", { session: session.id, card })).status, 200);
    const [charge] = (await stripe.charges.list()).data;
    assert.equal(charge?.payment_method_details?.card?.three_d_secure?.result, "authenticated");
    assert.deepEqual(await eventTypes(stripe), [
      "payment_intent.created",
      "payment_intent.requires_action",
      "payment_intent.payment_failed",
      "payment_intent.requires_action",
      "charge.succeeded",
      "payment_intent.succeeded",
      "checkout.session.completed",
    ]);
  });
}

test("request_three_d_secure `any` challenges a card that needs none, but not one without support", async () => {
  await using stand = await standIn();
  const options: Partial<Stripe.Checkout.SessionCreateParams> = {
    payment_method_options: { card: { request_three_d_secure: "any" } },
  };
  const first = await stand.stripe.checkout.sessions.create(shirt(options));
  await stand.control("POST", "pay", { session: first.id });
  assert.ok((await eventTypes(stand.stripe)).includes("payment_intent.requires_action"));
  const second = await stand.stripe.checkout.sessions.create(shirt(options));
  await stand.control("POST", "pay", { session: second.id, card: "378282246310005" });
  const challenges = (await eventTypes(stand.stripe)).filter((type) =>
    type === "payment_intent.requires_action"
  );
  assert.equal(challenges.length, 1);
});

test("a bank debit is processing until it settles, then paid or failed, with the session's own events", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const outcomes = ["succeeded", "failed"] as const;
  for (const outcome of outcomes) {
    const session = await stripe.checkout.sessions.create(shirt());
    const paid = await control<{ payment_intent: string; payment_status: string }>("POST", "pay", {
      session: session.id,
      account_number: "000123456789",
    });
    assert.equal(paid.body.payment_status, "unpaid");
    const intent = paid.body.payment_intent;
    assert.equal((await stripe.paymentIntents.retrieve(intent)).status, "processing");
    assert.equal((await stripe.checkout.sessions.retrieve(session.id)).status, "complete");
    const settled = await control("POST", "settle", { payment_intent: intent, outcome });
    assert.equal(settled.status, 200);
    const after = await stripe.checkout.sessions.retrieve(session.id);
    assert.equal(after.payment_status, outcome === "succeeded" ? "paid" : "unpaid");
    assert.equal((await control("POST", "settle", { payment_intent: intent, outcome })).status, 400);
    const [charge] = (await stripe.charges.list({ payment_intent: intent })).data;
    const told = outcome === "succeeded" ? "approved_by_network" : "declined_by_network";
    assert.equal(charge?.outcome?.network_status, told);
  }
  const types = await eventTypes(stripe);
  assert.deepEqual(types.slice(0, 7), [
    "payment_intent.created",
    "charge.pending",
    "payment_intent.processing",
    "checkout.session.completed",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.async_payment_succeeded",
  ]);
  assert.deepEqual(types.slice(-3), [
    "charge.failed",
    "payment_intent.payment_failed",
    "checkout.session.async_payment_failed",
  ]);
});
