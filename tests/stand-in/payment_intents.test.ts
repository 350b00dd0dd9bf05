import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventTypes, idOf, payIntent, refusal, shirt, standIn } from "./stand_in.ts";

const { test } = Deno;

test("a payment intent is created, confirmed later, and cannot be confirmed twice", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const intent = await stripe.paymentIntents.create({
    allowed_payment_method_types: ["card"],
    amount: 500,
    currency: "usd",
    metadata: { order: "7" },
  });
  assert.equal(intent.status, "requires_payment_method");
  assert.equal(
    (await refusal(stripe.paymentIntents.confirm(intent.id))).code,
    "payment_intent_unexpected_state",
  );
  const paid = await stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" });
  assert.equal(paid.status, "succeeded");
  assert.equal(paid.amount_received, 500);
  const twice = await refusal(stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" }));
  assert.equal(twice.code, "payment_intent_unexpected_state");
  const [charge] = (await stripe.charges.list({ payment_intent: intent.id })).data;
  assert.deepEqual(charge?.metadata, { order: "7" });
});

test("manual capture holds the money, captures part of it, and cancelling releases it", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const held = await payIntent(stripe, "pm_card_visa", { capture_method: "manual" });
  assert.equal(held.status, "requires_capture");
  assert.equal(held.amount_capturable, 2000);
  const tooMuch = await refusal(stripe.paymentIntents.capture(held.id, { amount_to_capture: 2001 }));
  assert.equal(tooMuch.code, "amount_too_large");
  const captured = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 1500 });
  assert.equal(captured.amount_received, 1500);
  const [charge] = (await stripe.charges.list({ payment_intent: held.id })).data;
  assert.deepEqual([charge?.amount_captured, charge?.amount_refunded, charge?.refunded], [1500, 500, false]);
  assert.equal(
    (await refusal(stripe.refunds.create({ payment_intent: held.id, amount: 1501 }))).code,
    "amount_too_large",
  );
  await stripe.refunds.create({ payment_intent: held.id });
  assert.equal((await stripe.charges.retrieve(charge?.id ?? "")).refunded, true);
  const other = await payIntent(stripe, "pm_card_visa", { capture_method: "manual" });
  const canceled = await stripe.paymentIntents.cancel(other.id, { cancellation_reason: "abandoned" });
  assert.equal(canceled.status, "canceled");
  assert.equal(
    (await refusal(stripe.paymentIntents.cancel(other.id))).code,
    "payment_intent_unexpected_state",
  );
  const types = await eventTypes(stripe);
  assert.ok(types.includes("payment_intent.amount_capturable_updated"));
  assert.ok(types.includes("charge.captured"));
  assert.ok(types.includes("payment_intent.canceled"));
});

test("manual capture of a session: captured it is paid, and once complete its hold can be released", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const hold = async () => {
    const { id } = await stripe.checkout.sessions.create(
      shirt({ payment_intent_data: { capture_method: "manual" } }),
    );
    assert.equal((await stand.control("POST", "pay", { session: id, card: "4000000000000002" })).status, 402);
    const declined = idOf((await stripe.checkout.sessions.retrieve(id)).payment_intent);
    assert.match(
      (await refusal(stripe.paymentIntents.cancel(declined))).message,
      /Expire the Checkout Session/,
    );
    await stand.control("POST", "pay", { session: id });
    return await stripe.checkout.sessions.retrieve(id);
  };
  const taken = await hold();
  assert.deepEqual([taken.status, taken.payment_status], ["complete", "unpaid"]);
  await stripe.paymentIntents.capture(idOf(taken.payment_intent));
  assert.equal((await stripe.checkout.sessions.retrieve(taken.id)).payment_status, "paid");
  const released = await stripe.paymentIntents.cancel(idOf((await hold()).payment_intent), {
    expand: ["latest_charge"],
  });
  assert.equal(released.status, "canceled");
  assert.ok(typeof released.latest_charge === "object" && released.latest_charge?.refunded);
});

test("off session, a card that wants authentication is declined; on session it waits for the challenge", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const off = await refusal(payIntent(stripe, "pm_card_authenticationRequired", { off_session: true }));
  assert.equal(off.code, "authentication_required");
  const refused = await refusal(
    payIntent(stripe, "pm_card_authenticationRequired", { error_on_requires_action: true }),
  );
  assert.deepEqual(
    [refused.code, refused.payment_intent?.status],
    ["authentication_required", "requires_payment_method"],
  );
  const waiting = await payIntent(stripe, "pm_card_authenticationRequired", {
    return_url: "http://shop.test/back",
  });
  assert.equal(waiting.status, "requires_action");
  const page = waiting.next_action?.redirect_to_url?.url ?? "";
  const shown = await fetch(page);
  assert.match(await shown.text(), /Complete authentication/);
  const done = await fetch(page, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({ outcome: "pass" }),
  });
  assert.equal(done.status, 303);
  await done.body?.cancel();
  assert.equal(
    done.headers.get("location"),
    `http://shop.test/back?payment_intent=${waiting.id}&redirect_status=succeeded`,
  );
  assert.equal((await stripe.paymentIntents.retrieve(waiting.id)).status, "succeeded");
});

test("saved customers: a payment method is attached, listed, charged and detached", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const customer = await stripe.customers.create({ email: "jenny@example.com", name: "Jenny" });
  const method = await stripe.paymentMethods.attach("pm_card_mastercard", { customer: customer.id });
  assert.deepEqual(
    (await stripe.customers.listPaymentMethods(customer.id)).data.map(({ id }) => id),
    [method.id],
  );
  const paid = await payIntent(stripe, method.id, { customer: customer.id, off_session: true });
  assert.equal(paid.customer, customer.id);
  assert.equal((await stripe.charges.list({ customer: customer.id })).data.length, 1);
  const other = await stripe.customers.create({});
  const foreign = await refusal(payIntent(stripe, method.id, { customer: other.id }));
  assert.match(foreign.message, /does not belong to the Customer/);
  assert.match((await refusal(payIntent(stripe, method.id))).message, /belongs to a Customer/);
  await stripe.customers.del(other.id);
  await stripe.paymentMethods.detach(method.id);
  assert.equal((await stripe.customers.listPaymentMethods(customer.id)).data.length, 0);
  assert.equal((await stripe.customers.del(customer.id)).deleted, true);
  const gone = await stripe.customers.retrieve(customer.id);
  assert.equal(gone.deleted, true);
  assert.deepEqual((await stripe.customers.list()).data, []);
  assert.equal((await refusal(stripe.customers.update(customer.id, { name: "x" }))).code, "resource_missing");
});

test("saved customers: a card authenticated when it was saved is charged without the customer", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const customer = (await stripe.customers.create({})).id;
  const setUp = { customer, payment_intent_data: { setup_future_usage: "off_session" } } as const;
  const { id } = await stripe.checkout.sessions.create(shirt(setUp));
  await stand.control("POST", "pay", { session: id, card: "4000002500003155" });
  const [charge] = (await stripe.charges.list({ customer })).data;
  assert.equal(charge?.payment_method_details?.card?.three_d_secure?.result, "authenticated");
  const later = await payIntent(stripe, charge?.payment_method ?? "", { customer, off_session: true });
  assert.equal(later.status, "succeeded");
});

test("saved customers: a card that its bank declines is not attached; one that declines later is", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const customer = (await stripe.customers.create({})).id;
  const declined = await refusal(stripe.paymentMethods.attach("pm_card_chargeDeclined", { customer }));
  assert.deepEqual([declined.statusCode, declined.code], [402, "card_declined"]);
  const method = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer });
  const later = await refusal(payIntent(stripe, method.id, { customer, off_session: true }));
  assert.equal(later.code, "card_declined");
  const unknown = await refusal(stripe.paymentMethods.retrieve("pm_unknown"));
  assert.equal(unknown.statusCode, 404);
});

test("unless it names its methods, an intent takes the Dashboard's, and needs a return_url to be confirmed", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const order = { amount: 2000, currency: "usd", payment_method: "pm_card_visa" };
  const intent = await stripe.paymentIntents.create(order);
  assert.deepEqual(intent.automatic_payment_methods, { allow_redirects: "always", enabled: true });
  assert.equal((await refusal(stripe.paymentIntents.confirm(intent.id))).param, "return_url");
  assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, "requires_confirmation");
  const ways: Partial<Stripe.PaymentIntentCreateParams>[] = [
    { allowed_payment_method_types: ["card"] },
    { automatic_payment_methods: { enabled: false } },
    { automatic_payment_methods: { enabled: true, allow_redirects: "never" } },
    { confirmation_method: "manual" },
    { off_session: true },
    { return_url: "http://shop.test/paid" },
  ];
  for (const way of ways) {
    const paid = await stripe.paymentIntents.create({ ...order, ...way, confirm: true });
    assert.equal(paid.status, "succeeded", JSON.stringify(way));
  }
});

test("a payment may lead back to an app, and its method be taken back before it is confirmed", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const { id } = await stripe.paymentIntents.create({
    amount: 2000,
    currency: "usd",
    payment_method: "pm_card_visa",
  });
  const emptied = await stripe.paymentIntents.update(id, { payment_method: "" });
  assert.deepEqual([emptied.payment_method, emptied.status], [null, "requires_payment_method"]);
  const setup = await stripe.setupIntents.create({ payment_method: "pm_card_visa" });
  const bare = await stripe.setupIntents.update(setup.id, { payment_method: "" });
  assert.deepEqual([bare.payment_method, bare.status], [null, "requires_payment_method"]);
  const confirm = (return_url: string) =>
    stripe.paymentIntents.confirm(id, { payment_method: "pm_card_threeDSecureRequired", return_url });
  assert.equal((await refusal(confirm("javascript://alert"))).code, "url_invalid");
  const waiting = await confirm("kct-shop://paid");
  assert.equal(waiting.next_action?.redirect_to_url?.return_url, "kct-shop://paid");
});
