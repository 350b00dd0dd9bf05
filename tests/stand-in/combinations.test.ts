/** What one object means for another: a coupon for its codes, a capture for its dispute, a customer for a payment. */
import assert from "node:assert/strict";
import { post } from "./form_post.ts";
import { idOf, payIntent, refusal, shirt, standIn } from "./stand_in.ts";

const { test } = Deno;

const HOUR_S = 3600;

function inAnHour(): number {
  return Math.floor(Date.now() / 1000) + HOUR_S;
}

test("a coupon that lapses, is used up or deleted is not valid, and none of its codes is active", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const codeOf = (coupon: string, rest: object = {}) =>
    stripe.promotionCodes.create({ promotion: { type: "coupon", coupon }, ...rest });
  const standing = await stripe.coupons.create({ percent_off: 10 });
  const lapsing = await stripe.coupons.create({ percent_off: 10, redeem_by: inAnHour() });
  const once = await stripe.coupons.create({ percent_off: 10, max_redemptions: 1 });
  const deleted = await stripe.coupons.create({ percent_off: 10 });
  const codes = {
    standing: await codeOf(standing.id),
    expiring: await codeOf(standing.id, { expires_at: inAnHour() }),
    lapsing: await codeOf(lapsing.id),
    used: await codeOf(once.id),
    beside: await codeOf(once.id),
    deleted: await codeOf(deleted.id),
  };
  const session = await stripe.checkout.sessions.create(
    shirt({ discounts: [{ promotion_code: codes.used.id }] }),
  );
  await stand.control("POST", "pay", { session: session.id });
  await stripe.coupons.del(deleted.id);
  await stand.control("POST", "advance", { seconds: 2 * HOUR_S });

  assert.deepEqual(
    await Promise.all(
      [standing, lapsing, once].map(async ({ id }) => (await stripe.coupons.retrieve(id)).valid),
    ),
    [true, false, false],
  );
  const active = await Promise.all(
    Object.entries(codes).map(async ([name, { id }]) =>
      [name, (await stripe.promotionCodes.retrieve(id)).active] as const
    ),
  );
  assert.deepEqual(active.filter(([, is]) => is).map(([name]) => name), ["standing"]);
  const gone = await stripe.promotionCodes.retrieve(codes.deleted.id, { expand: ["promotion.coupon"] });
  assert.equal(idOf(gone.promotion.coupon), deleted.id);
});

test("a session keeps the discount that it was made with when the coupon is deleted", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const coupon = (await stripe.coupons.create({ percent_off: 10 })).id;
  const { id, amount_total } = await stripe.checkout.sessions.create(shirt({ discounts: [{ coupon }] }));
  await stripe.coupons.del(coupon);
  await stand.control("POST", "pay", { session: id });
  const paid = await stripe.checkout.sessions.retrieve(id, {
    expand: ["discounts.coupon", "line_items", "total_details.breakdown"],
  });
  assert.deepEqual([amount_total, paid.amount_total, paid.line_items?.data[0]?.amount_total], [
    11_610,
    11_610,
    11_610,
  ]);
  assert.equal(idOf(paid.discounts?.[0]?.coupon), coupon);
  assert.equal((await refusal(stripe.coupons.retrieve(coupon))).statusCode, 404);
});

test("a coupon made anew under an old id is for all products", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const product = (await stripe.products.create({ name: "Tie" })).id;
  await stripe.coupons.create({ id: "SALE", percent_off: 10, applies_to: { products: [product] } });
  await stripe.coupons.del("SALE");
  await stripe.coupons.create({ id: "SALE", percent_off: 10 });
  const session = await stripe.checkout.sessions.create(shirt({ discounts: [{ coupon: "SALE" }] }));
  assert.equal(session.amount_total, 11_610);
});

test("a customer's payment method is read by their address alone", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const [owner, other] = [await stripe.customers.create({}), await stripe.customers.create({})];
  const { id } = await stripe.paymentMethods.attach("pm_card_visa", { customer: owner.id });
  assert.equal((await stripe.customers.retrievePaymentMethod(owner.id, id)).id, id);
  assert.equal((await refusal(stripe.customers.retrievePaymentMethod(other.id, id))).statusCode, 404);
});

test("a redeemed promotion code says so in an event", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const coupon = (await stripe.coupons.create({ percent_off: 10 })).id;
  const code = await stripe.promotionCodes.create({ promotion: { type: "coupon", coupon } });
  const session = await stripe.checkout.sessions.create(shirt({ discounts: [{ promotion_code: code.id }] }));
  await stand.control("POST", "pay", { session: session.id });
  const { data: [event] } = await stripe.events.list({ type: "promotion_code.updated" });
  assert.deepEqual(event?.data.previous_attributes, { times_redeemed: 0 });
});

test("a dispute asks for what was captured, and for nothing that was not", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const held = await payIntent(stripe, "pm_card_visa", { capture_method: "manual" });
  const early = await stand.control("POST", "dispute", { payment_intent: held.id });
  assert.equal(early.status, 400);
  await stripe.paymentIntents.capture(held.id, { amount_to_capture: 700 });
  const { body } = await stand.control<{ amount: number }>("POST", "dispute", { payment_intent: held.id });
  assert.equal(body.amount, 700);
});

test("what was disputed is refunded only when the dispute was won", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const answers: Record<string, string> = {};
  for (const text of ["winning_evidence", "losing_evidence"]) {
    const { id } = await payIntent(stripe, "pm_card_visa");
    const { body } = await stand.control<{ id: string }>("POST", "dispute", { payment_intent: id });
    const refund = () => stripe.refunds.create({ payment_intent: id, amount: 100 });
    assert.equal((await refusal(refund())).code, "charge_disputed");
    await stripe.disputes.update(body.id, { evidence: { uncategorized_text: text }, submit: true });
    await stand.control("POST", "advance", { seconds: 60 });
    answers[text] = text === "winning_evidence"
      ? (await refund()).status ?? ""
      : (await refusal(refund())).code ?? "";
  }
  assert.deepEqual(answers, { winning_evidence: "succeeded", losing_evidence: "charge_disputed" });
});

test("a payment in another currency is paid in the ways of that one", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const { id } = await stripe.paymentIntents.create({ amount: 2000, currency: "usd" });
  const euro = await stripe.paymentIntents.update(id, { currency: "eur" });
  const fresh = await stripe.paymentIntents.create({ amount: 2000, currency: "eur" });
  assert.deepEqual(euro.payment_method_types, fresh.payment_method_types);
  const bank = await post(
    stand.url,
    "/v1/payment_intents",
    "amount=2000&currency=usd&payment_method_types[0]=us_bank_account",
    { "stripe-version": "2025-03-31.basil" },
  );
  const own = await bank.json();
  assert.deepEqual(own.payment_method_types, ["us_bank_account"]);
  const refused = await refusal(stripe.paymentIntents.update(own.id, { currency: "eur" }));
  assert.equal(refused.param, "payment_method_types");
});

test("a payment keeps the customer that it was given", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const [first, second] = [await stripe.customers.create({}), await stripe.customers.create({})];
  const intent = await stripe.paymentIntents.create({ amount: 2000, currency: "usd" });
  const theirs = await stripe.paymentIntents.update(intent.id, { customer: first.id });
  assert.equal(idOf(theirs.customer), first.id);
  const refused = await refusal(stripe.paymentIntents.update(intent.id, { customer: second.id }));
  assert.equal(refused.param, "customer");
});

test("a session answers with what it was given", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const { id } = await stripe.checkout.sessions.create(shirt({
    integration_identifier: "shop",
    origin_context: "web",
    wallet_options: { link: { display: "never" } },
  }));
  const session = await stripe.checkout.sessions.retrieve(id);
  assert.deepEqual(
    [session.integration_identifier, session.origin_context, session.wallet_options],
    ["shop", "web", { link: { display: "never" } }],
  );
  const managed = await refusal(
    stripe.checkout.sessions.create(shirt({ managed_payments: { enabled: true } })),
  );
  assert.equal(managed.statusCode, 501);
});

test("maps in a list need no numbers", async () => {
  await using stand = await standIn();
  const line = (amount: number, quantity: number) =>
    `line_items[][price_data][currency]=usd&line_items[][price_data][unit_amount]=${amount}` +
    `&line_items[][price_data][product_data][name]=Tie&line_items[][quantity]=${quantity}`;
  const answer = await post(
    stand.url,
    "/v1/checkout/sessions",
    `mode=payment&success_url=http://shop.test/ok&${line(900, 1)}&${line(500, 3)}`,
  );
  assert.equal((await answer.json()).amount_total, 2400);
});
