import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventually } from "../support/poll.ts";
import { NEWER_THAN_THE_SPECIFICATION, SchemaCheck } from "./schema_check.ts";
import { idOf, payIntent, shirt, type StandIn, standIn, TEST_KEY } from "./stand_in.ts";
import { specification } from "./stripe_mock.ts";

const { test } = Deno;

/** Leaves one of everything behind: each kind of object, in each of its states. */
async function liveALittle(stand: StandIn): Promise<void> {
  const { stripe, control } = stand;
  const coupon = await stripe.coupons.create({ percent_off: 10, name: "Ten" });
  const code = await stripe.promotionCodes.create({
    promotion: { type: "coupon", coupon: coupon.id },
    code: "TEN",
  });
  const rich = await stripe.checkout.sessions.create(shirt({
    adaptive_pricing: { enabled: true },
    after_expiration: { recovery: { enabled: true } },
    automatic_tax: { enabled: true },
    billing_address_collection: "required",
    consent_collection: { promotions: "auto", terms_of_service: "required" },
    custom_text: { submit: { message: "Thanks" } },
    customer_creation: "always",
    discounts: [{ promotion_code: code.id }],
    locale: "en",
    metadata: { a: "b" },
    payment_intent_data: {
      description: "An order",
      metadata: { order: "1" },
      setup_future_usage: "off_session",
      statement_descriptor_suffix: "SHIRT",
    },
    payment_method_options: { card: { request_three_d_secure: "any" } },
    phone_number_collection: { enabled: true },
    shipping_address_collection: { allowed_countries: ["US"] },
    shipping_options: [{
      shipping_rate_data: {
        display_name: "Standard",
        fixed_amount: { amount: 500, currency: "usd" },
        delivery_estimate: { maximum: { unit: "day", value: 5 } },
      },
    }],
    submit_type: "pay",
    tax_id_collection: { enabled: true },
  }));
  await control("POST", "pay", { session: rich.id, card: "4000000000000002" });
  await control("POST", "pay", {
    session: rich.id,
    currency: "gbp",
    business_name: "Turner Ltd",
    tax_id: { type: "gb_vat", value: "123456789" },
  });
  const expiring = await stripe.checkout.sessions.create(
    shirt({ after_expiration: { recovery: { enabled: true } } }),
  );
  await stripe.checkout.sessions.expire(expiring.id);
  for (const outcome of ["failed", "succeeded"]) {
    const slow = await stripe.checkout.sessions.create(shirt());
    const paid = await control<{ payment_intent: string }>("POST", "pay", {
      session: slow.id,
      account_number: "000123456789",
    });
    await control("POST", "settle", { payment_intent: paid.body.payment_intent, outcome });
  }
  const euro = await stripe.checkout.sessions.create(shirt({
    line_items: [{
      price_data: { currency: "eur", unit_amount: 900, product_data: { name: "Cap" } },
      quantity: 1,
    }],
  }));
  await control("POST", "pay", { session: euro.id, iban: "AT611904300234573201" });
  await lifeOfCharges(stand);
  await stripe.radar.valueLists.create({ alias: "cards", name: "Cards", item_type: "card_fingerprint" })
    .then((list) => stripe.radar.valueListItems.create({ value_list: list.id, value: "x" }));
  await lifeOfMoney(stand);
  await stripe.webhookEndpoints.create({ url: "http://127.0.0.1:9/hook", enabled_events: ["payout.paid"] });
  const product = await stripe.products.create({
    name: "Tie",
    description: "Silk",
    images: ["http://shop.test/t.png"],
  });
  const price = await stripe.prices.create({ product: product.id, currency: "usd", unit_amount: 5900 });
  await stripe.prices.update(price.id, {
    nickname: "regular",
    currency_options: { eur: { unit_amount: 5500 } },
  });
  await stripe.taxRates.create({ display_name: "VAT", inclusive: true, percentage: 19, country: "DE" });
  const link = await stripe.paymentLinks.create({ line_items: [{ price: price.id, quantity: 1 }] });
  await stripe.paymentLinks.update(link.id, { restrictions: { completed_sessions: { limit: 5 } } });
  const customer = await stripe.customers.create({ email: "a@example.com", address: { line1: "1 Main St" } });
  await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
}

/** Payouts that arrive, bounce and are taken back, and cards that are saved or not. */
async function lifeOfMoney({ stripe, control }: StandIn): Promise<void> {
  await payIntent(stripe, "pm_card_bypassPending", { amount: 50_000 });
  const payouts = [];
  for (const amount of [1000, 2000, 3000]) {
    payouts.push(await stripe.payouts.create({ amount, currency: "usd" }));
  }
  const [arrives, bounces, taken] = payouts.map(idOf);
  await control("POST", "payout", { payout: arrives, status: "paid" });
  await control("POST", "payout", { payout: bounces, status: "failed" });
  await stripe.payouts.cancel(taken ?? "");
  const byCard = { automatic_payment_methods: { enabled: true, allow_redirects: "never" } } as const;
  await stripe.setupIntents.create({ ...byCard, confirm: true, payment_method: "pm_card_visa" });
  await stripe.setupIntents.create({ ...byCard, confirm: true, payment_method: "pm_card_chargeDeclined" })
    .catch((error) => assert.equal(error.code, "card_declined"));
  await stripe.setupIntents.create({
    confirm: true,
    payment_method: "pm_card_threeDSecureRequired",
    return_url: "http://shop.test/back",
  });
}

async function lifeOfCharges({ stripe }: StandIn): Promise<void> {
  const pending = await payIntent(stripe, "pm_card_pendingRefund");
  const bouncing = await payIntent(stripe, "pm_card_refundFail");
  for (const { id } of [pending, bouncing]) {
    await stripe.refunds.create({ payment_intent: id, reason: "duplicate" });
  }
  await payIntent(stripe, "pm_card_riskLevelElevated");
  await payIntent(stripe, "pm_card_createIssuerFraudRecord");
  await payIntent(stripe, "pm_card_createDisputeInquiry");
  const held = await payIntent(stripe, "pm_card_amex", { capture_method: "manual" });
  await stripe.paymentIntents.capture(held.id);
  await payIntent(stripe, "pm_card_authenticationRequired", { return_url: "http://shop.test/back" });
  const fought = await payIntent(stripe, "pm_card_createDispute");
  const [dispute] = (await stripe.disputes.list({ payment_intent: fought.id })).data;
  const receipt = await stripe.files.create({
    file: { data: "%PDF-1.4", name: "receipt.pdf" },
    purpose: "dispute_evidence",
    file_link_data: { create: true },
  });
  await stripe.disputes.update(idOf(dispute), {
    evidence: { receipt: receipt.id, uncategorized_text: "winning_evidence" },
  });
  await eventually("dispute and refunds to be decided", async () => {
    const [last] = (await stripe.disputes.list({ payment_intent: fought.id })).data;
    const refunds = (await stripe.refunds.list()).data;
    return last?.status === "won" && refunds.some(({ status }) => status === "failed") &&
      refunds.every(({ status }) => status !== "pending");
  });
}

test("every object the stand-in returns fits Stripe's published schema", async () => {
  const spec = await specification();
  if (spec === null) return;
  await using stand = await standIn();
  const { stripe } = stand;
  await liveALittle(stand);
  const check = new SchemaCheck(spec);
  const lists = [
    stripe.balanceTransactions.list({ limit: 100 }),
    stripe.charges.list({ limit: 100, expand: ["data.refunds"] }),
    stripe.checkout.sessions.list({
      limit: 100,
      expand: ["data.line_items", "data.total_details.breakdown"],
    }),
    stripe.coupons.list({ limit: 100, expand: ["data.applies_to"] }),
    stripe.customers.list({ limit: 100 }),
    stripe.disputes.list({ limit: 100 }),
    stripe.events.list({ limit: 100 }),
    stripe.files.list({ limit: 100 }),
    stripe.fileLinks.list({ limit: 100 }),
    stripe.paymentIntents.list({ limit: 100, expand: ["data.latest_charge", "data.payment_method"] }),
    stripe.paymentMethods.list({ limit: 100 }),
    stripe.paymentLinks.list({ limit: 100, expand: ["data.line_items"] }),
    stripe.payouts.list({ limit: 100, expand: ["data.destination"] }),
    stripe.prices.list({ limit: 100, expand: ["data.currency_options"] }),
    stripe.products.list({ limit: 100 }),
    stripe.promotionCodes.list({ limit: 100 }),
    stripe.radar.earlyFraudWarnings.list({ limit: 100 }),
    stripe.radar.valueLists.list({ limit: 100 }),
    stripe.refunds.list({ limit: 100 }),
    stripe.reviews.list({ limit: 100 }),
    stripe.setupIntents.list({ limit: 100, expand: ["data.latest_attempt"] }),
    stripe.shippingRates.list({ limit: 100 }),
    stripe.taxRates.list({ limit: 100 }),
    stripe.webhookEndpoints.list({ limit: 100 }),
  ];
  const differences = new Set<string>();
  let objects = 0;
  const [balance, token, mandate] = await Promise.all([
    stripe.balance.retrieve(),
    stripe.tokens.retrieve("tok_visa"),
    stripe.charges.search({ query: "currency:'eur'" })
      .then(({ data }) => data.flatMap((charge) => charge.payment_method_details?.sepa_debit?.mandate ?? []))
      .then(([id]) => stripe.mandates.retrieve(id ?? "")),
  ]);
  for (const { data } of [...await Promise.all(lists), { data: [balance, token, mandate] }]) {
    assert.ok(data.length > 0, "a kind of object was not made");
    for (const object of data) {
      objects++;
      const wire: unknown = JSON.parse(JSON.stringify(object));
      for (const difference of check.differences(wire)) differences.add(difference);
      // An event carries an object of its own, which has a schema too.
      if (object.object === "event") {
        for (const difference of check.differences(JSON.parse(JSON.stringify(object.data.object)))) {
          differences.add(`${object.type} ${difference}`);
        }
      }
    }
  }
  assert.ok(objects > 60, `only ${objects} objects were checked`);
  const unexplained = [...differences].filter((difference) =>
    !NEWER_THAN_THE_SPECIFICATION.some((known) => difference.endsWith(known))
  );
  assert.deepEqual(unexplained, []);
});

test("every type of event in Stripe's published specification can be enabled", async () => {
  const spec = await specification();
  if (spec === null) return;
  const written = JSON.stringify(spec.paths["/v1/webhook_endpoints"]);
  const types = /"items":\{"enum":(\["\*",[^\]]*\])/.exec(written)?.[1] ?? "[]";
  const enabled_events = JSON.parse(types) as Stripe.WebhookEndpointCreateParams.EnabledEvent[];
  assert.ok(enabled_events.length > 200, `only ${enabled_events.length} types were found`);
  await using stand = await standIn();
  await stand.stripe.webhookEndpoints.create({ url: "http://shop.test/hook", enabled_events });
});

test("every address of Stripe's published specification is served, or refused by name", async () => {
  const spec = await specification();
  if (spec === null) return;
  await using stand = await standIn();
  const unrecognized: string[] = [];
  let asked = 0;
  for (const [path, operations] of Object.entries(spec.paths)) {
    for (const method of Object.keys(operations as object).map((name) => name.toUpperCase())) {
      const response = await fetch(stand.url + path.replace(/\{\w+\}/g, "x_none"), {
        method,
        headers: { authorization: `Bearer ${TEST_KEY}` },
      });
      const { error } = await response.json() as { error?: { message: string } };
      asked++;
      if (error?.message.startsWith("Unrecognized request URL")) unrecognized.push(`${method} ${path}`);
      assert.ok(response.status < 500 || response.status === 501, `${method} ${path}: ${response.status}`);
    }
  }
  assert.ok(asked > 400, `only ${asked} operations were asked for`);
  assert.deepEqual(unrecognized, []);
});
