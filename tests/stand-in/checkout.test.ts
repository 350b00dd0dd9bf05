import assert from "node:assert/strict";
import type Stripe from "stripe";
import { eventTypes, idOf, refusal, shirt, standIn } from "./stand_in.ts";

const { test } = Deno;

const SHIPPING: Stripe.Checkout.SessionCreateParams["shipping_options"] = [
  {
    shipping_rate_data: {
      display_name: "Standard",
      type: "fixed_amount",
      fixed_amount: { amount: 500, currency: "usd" },
      delivery_estimate: {
        minimum: { unit: "business_day", value: 3 },
        maximum: { unit: "business_day", value: 5 },
      },
    },
  },
  {
    shipping_rate_data: {
      display_name: "Express",
      type: "fixed_amount",
      fixed_amount: { amount: 1500, currency: "usd" },
    },
  },
];

function page(url: string | null, path: string, body: object): Promise<Response> {
  return fetch(`${url}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

test("a session has Stripe's amounts, its page, and a day to live by default", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt({ shipping_options: SHIPPING }));
  assert.equal(session.amount_subtotal, 12_900);
  assert.equal(session.amount_total, 13_400);
  assert.equal(session.total_details?.amount_shipping, 500);
  assert.equal(session.payment_status, "unpaid");
  assert.equal(session.payment_intent, null);
  assert.equal(session.url, `${stand.url}/c/pay/${session.id}`);
  assert.equal(session.expires_at - session.created, 24 * 3600);
  assert.equal(session.livemode, false);
});

test("the shopper's choice of shipping changes the totals, and only an offered rate is taken", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt({ shipping_options: SHIPPING }));
  const express = idOf(session.shipping_options[1]?.shipping_rate);
  const chosen = await page(session.url, "update", { shipping_rate: express });
  assert.equal((await chosen.json()).pay_label, "Pay $144.00");
  const after = await stand.stripe.checkout.sessions.retrieve(session.id);
  assert.equal(after.shipping_cost?.shipping_rate, express);
  assert.equal(after.amount_total, 14_400);
  const other = await stand.stripe.shippingRates.create({
    display_name: "Free",
    type: "fixed_amount",
    fixed_amount: { amount: 0, currency: "usd" },
  });
  const foreign = await page(session.url, "update", { shipping_rate: other.id });
  assert.equal(foreign.status, 400);
  await foreign.body?.cancel();
});

test("promotion codes: applied once, in any case, spread over the lines, removed, and counted when redeemed", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const coupon = await stripe.coupons.create({ percent_off: 15, duration: "once", name: "Spring" });
  const code = await stripe.promotionCodes.create({
    promotion: { type: "coupon", coupon: coupon.id },
    code: "SPRING15",
    max_redemptions: 1,
  });
  const lines = [1999, 3333, 101].map((unit_amount) => ({
    price_data: { currency: "usd", unit_amount, product_data: { name: "x" } },
    quantity: 1,
  }));
  const session = await stripe.checkout.sessions.create(
    shirt({ allow_promotion_codes: true, line_items: lines }),
  );
  const wrong = await page(session.url, "update", { promotion_code: "SUMMER" });
  assert.equal((await wrong.json()).error.message, "This code is invalid.");
  const applied = await page(session.url, "update", { promotion_code: "spring15" });
  assert.match((await applied.json()).summary, /SPRING15/);
  const discounted = await stripe.checkout.sessions.retrieve(session.id, { expand: ["line_items"] });
  assert.equal(discounted.total_details?.amount_discount, 815);
  assert.equal(discounted.amount_total, 5433 - 815);
  const shares = discounted.line_items?.data.map(({ amount_discount }) => amount_discount) ?? [];
  assert.equal(shares.reduce((sum, share) => sum + share, 0), 815);
  assert.deepEqual(discounted.discounts, [{ coupon: coupon.id, promotion_code: code.id }]);
  await (await page(session.url, "update", { remove_promotion: true })).body?.cancel();
  assert.equal((await stripe.checkout.sessions.retrieve(session.id)).amount_total, 5433);
  await (await page(session.url, "update", { promotion_code: "SPRING15" })).body?.cancel();
  await stand.control("POST", "pay", { session: session.id });
  const redeemed = await stripe.promotionCodes.retrieve(code.id);
  assert.deepEqual([redeemed.times_redeemed, redeemed.active], [1, false]);
  const next = await stripe.checkout.sessions.create(shirt({ allow_promotion_codes: true }));
  const used = await page(next.url, "update", { promotion_code: "SPRING15" });
  assert.equal((await used.json()).error.message, "This code has expired.");
});

test("a coupon of the whole amount makes the order free: complete without a payment", async () => {
  await using stand = await standIn();
  const coupon = await stand.stripe.coupons.create({ percent_off: 100 });
  const session = await stand.stripe.checkout.sessions.create(shirt({ discounts: [{ coupon: coupon.id }] }));
  assert.equal(session.amount_total, 0);
  const paid = await stand.control<{ payment_intent: string | null; payment_status: string }>("POST", "pay", {
    session: session.id,
  });
  assert.equal(paid.body.payment_status, "no_payment_required");
  assert.equal(paid.body.payment_intent, null);
});

test("a code that leaves less than can be charged is refused at payment, and the session stays open", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const { id: coupon } = await stripe.coupons.create({ amount_off: 12_870, currency: "usd" });
  await stripe.promotionCodes.create({ promotion: { type: "coupon", coupon }, code: "ALMOST" });
  const session = await stripe.checkout.sessions.create(shirt({ allow_promotion_codes: true }));
  await (await page(session.url, "update", { promotion_code: "ALMOST" })).body?.cancel();
  const refused = await stand.control<{ error: { code: string } }>("POST", "pay", { session: session.id });
  assert.deepEqual([refused.status, refused.body.error.code], [400, "amount_too_small"]);
  assert.equal((await stripe.checkout.sessions.retrieve(session.id)).status, "open");
});

test("automatic tax: unknown until there is an address, then the flat test rate", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt({ automatic_tax: { enabled: true } }));
  assert.equal(session.automatic_tax.status, "requires_location_inputs");
  assert.equal(session.amount_total, 12_900);
  await stand.control("POST", "pay", { session: session.id });
  const paid = await stand.stripe.checkout.sessions.retrieve(session.id, {
    expand: ["total_details.breakdown"],
  });
  assert.equal(paid.automatic_tax.status, "complete");
  assert.equal(paid.total_details?.amount_tax, 1032);
  assert.equal(paid.amount_total, 13_932);
  assert.equal(paid.total_details?.breakdown?.taxes[0]?.amount, 1032);
});

test("an inclusive price contains its tax", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt({
    automatic_tax: { enabled: true },
    line_items: [{
      price_data: {
        currency: "usd",
        unit_amount: 10_800,
        tax_behavior: "inclusive",
        product_data: { name: "Coat" },
      },
      quantity: 1,
    }],
  }));
  await stand.control("POST", "pay", { session: session.id });
  const paid = await stand.stripe.checkout.sessions.retrieve(session.id);
  assert.equal(paid.total_details?.amount_tax, 800);
  assert.equal(paid.amount_total, 10_800);
});

test("a session expires by call, once, and cancels what a declined attempt left", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const session = await stripe.checkout.sessions.create(shirt());
  await stand.control("POST", "pay", { session: session.id, card: "4000000000000002" });
  const expired = await stripe.checkout.sessions.expire(session.id);
  assert.equal(expired.status, "expired");
  assert.equal(expired.url, null);
  assert.match((await refusal(stripe.checkout.sessions.expire(session.id))).message, /status of `expired`/);
  assert.equal((await stand.control("POST", "pay", { session: session.id })).status, 400);
  assert.deepEqual((await eventTypes(stripe)).slice(-2), [
    "payment_intent.canceled",
    "checkout.session.expired",
  ]);
});

test("a session expires by time", async () => {
  await using stand = await standIn();
  const now = Math.floor(Date.now() / 1000);
  const session = await stand.stripe.checkout.sessions.create(shirt({ expires_at: now + 1800 }));
  assert.equal((await stand.control<{ ran: number }>("POST", "advance", { seconds: 1700 })).body.ran, 0);
  assert.equal((await stand.control<{ ran: number }>("POST", "advance", { seconds: 1801 })).body.ran, 1);
  assert.equal((await stand.stripe.checkout.sessions.retrieve(session.id)).status, "expired");
  assert.deepEqual(await eventTypes(stand.stripe), ["checkout.session.expired"]);
});

test("recovery: an expired session's link starts a copy that carries recovered_from, and only with its token", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const session = await stripe.checkout.sessions.create(shirt({
    after_expiration: { recovery: { enabled: true, allow_promotion_codes: true } },
    metadata: { order_id: "o-1" },
  }));
  const expired = await stripe.checkout.sessions.expire(session.id);
  const link = expired.after_expiration?.recovery?.url ?? "";
  assert.ok((expired.after_expiration?.recovery?.expires_at ?? 0) > session.created + 29 * 24 * 3600);
  const followed = await fetch(link, { redirect: "manual" });
  assert.equal(followed.status, 303);
  await followed.body?.cancel();
  const copyId = followed.headers.get("location")?.split("/").at(-1) ?? "";
  const copy = await stripe.checkout.sessions.retrieve(copyId);
  assert.equal(copy.recovered_from, session.id);
  assert.equal(copy.amount_total, session.amount_total);
  assert.deepEqual(copy.metadata, { order_id: "o-1" });
  assert.equal(copy.allow_promotion_codes, true);
  const again = await fetch(link, { redirect: "manual" });
  await again.body?.cancel();
  assert.equal(again.headers.get("location")?.endsWith(copyId), true);
  const forged = await fetch(link.replace(/\w{5}$/, "xxxxx"), { redirect: "manual" });
  assert.equal(forged.status, 400);
  await forged.body?.cancel();
});

test("customers: created when asked for, kept when given, and the shopper's details recorded", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const session = await stripe.checkout.sessions.create(shirt({
    shipping_address_collection: { allowed_countries: ["US"] },
    payment_intent_data: { metadata: { order_id: "o-2" }, setup_future_usage: "off_session" },
  }));
  await control("POST", "pay", {
    session: session.id,
    email: "sam@example.com",
    name: "Sam",
    address: { line1: "9 Elm St", city: "Ames", state: "IA", postal_code: "50010", country: "US" },
  });
  const paid = await stripe.checkout.sessions.retrieve(session.id, {
    expand: ["payment_intent", "customer"],
  });
  assert.ok(typeof paid.customer === "object" && paid.customer !== null && paid.customer.deleted !== true);
  assert.equal(paid.customer.email, "sam@example.com");
  assert.equal(paid.customer_details?.address?.postal_code, "50010");
  assert.equal(paid.collected_information?.shipping_details?.address.line1, "9 Elm St");
  assert.ok(typeof paid.payment_intent === "object" && paid.payment_intent !== null);
  assert.deepEqual(paid.payment_intent.metadata, { order_id: "o-2" });
  assert.equal(paid.payment_intent.shipping?.name, "Sam");
  assert.equal((await stripe.customers.listPaymentMethods(paid.customer.id)).data.length, 1);
  for (const type of ["payment_intent.created", "charge.succeeded"] as const) {
    const [event] = (await stripe.events.list({ type })).data;
    assert.equal((event?.data.object as { customer?: unknown }).customer, paid.customer.id, type);
  }
  const kept = await stripe.checkout.sessions.create(shirt({ customer: paid.customer.id }));
  assert.equal(kept.customer_details?.email, "sam@example.com");
  const abroad = await stripe.checkout.sessions.create(shirt({
    shipping_address_collection: { allowed_countries: ["CA"] },
  }));
  const refused = await control<{ error: { message: string } }>("POST", "pay", { session: abroad.id });
  assert.equal(refused.status, 400);
  assert.match(refused.body.error.message, /does not ship to US/);
});

test("customers: made by the first attempt, once, also when that is declined", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const { id } = await stripe.checkout.sessions.create(shirt({ customer_creation: "always" }));
  assert.equal((await control("POST", "pay", { session: id, card: "4000000000000002" })).status, 402);
  const [customer] = (await stripe.customers.list()).data;
  await control("POST", "pay", { session: id });
  const paid = await stripe.checkout.sessions.retrieve(id, { expand: ["payment_intent"] });
  assert.equal(paid.customer, customer?.id);
  assert.ok(typeof paid.payment_intent === "object" && paid.payment_intent?.customer === customer?.id);
  assert.equal((await stripe.customers.list()).data.length, 1);
});

test("lists of sessions filter by status, payment intent, customer e-mail; line items page", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const open = await stripe.checkout.sessions.create(shirt({
    customer_email: "open@example.com",
    line_items: [1, 2, 3].map((n) => ({
      price_data: { currency: "usd", unit_amount: n * 100, product_data: { name: `N${n}` } },
      quantity: n,
    })),
  }));
  const paid = await stripe.checkout.sessions.create(shirt());
  await stand.control("POST", "pay", { session: paid.id });
  const intent = idOf((await stripe.checkout.sessions.retrieve(paid.id)).payment_intent);
  const ids = async (params: Stripe.Checkout.SessionListParams) =>
    (await stripe.checkout.sessions.list(params)).data.map(({ id }) => id);
  assert.deepEqual(await ids({ status: "open" }), [open.id]);
  assert.deepEqual(await ids({ payment_intent: intent }), [paid.id]);
  assert.deepEqual(await ids({ customer_details: { email: "open@example.com" } }), [open.id]);
  const first = await stripe.checkout.sessions.listLineItems(open.id, { limit: 2 });
  assert.equal(first.has_more, true);
  const rest = await stripe.checkout.sessions.listLineItems(open.id, {
    starting_after: first.data[1]?.id ?? "",
  });
  assert.deepEqual(rest.data.map(({ description, amount_total }) => [description, amount_total]), [[
    "N3",
    900,
  ]]);
  const third = rest.data[0]?.id ?? "";
  const before = await stripe.checkout.sessions.listLineItems(open.id, { ending_before: third, limit: 1 });
  assert.deepEqual([before.data[0]?.description, before.has_more], ["N2", true]);
  const unknown = stripe.checkout.sessions.listLineItems(open.id, { starting_after: "li_unknown" });
  assert.equal((await refusal(unknown)).param, "starting_after");
});

test("promotion codes: not below their minimum, in no other currency, and not for those who bought before", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const { id: coupon } = await stripe.coupons.create({ percent_off: 15 });
  const customer = (await stripe.customers.create({})).id;
  const checkOut = async (
    restrictions: Stripe.PromotionCodeCreateParams.Restrictions,
    change: Partial<Stripe.Checkout.SessionCreateParams> = {},
  ) => {
    const { id } = await stripe.promotionCodes.create({
      promotion: { type: "coupon", coupon },
      restrictions,
    });
    return await stripe.checkout.sessions.create(shirt({ discounts: [{ promotion_code: id }], ...change }));
  };
  const usd = (minimum_amount: number) => ({ minimum_amount, minimum_amount_currency: "usd" });
  assert.equal((await checkOut(usd(12_900))).total_details?.amount_discount, 1935);
  await refusal(checkOut(usd(12_901)));
  await refusal(checkOut({ minimum_amount: 1, minimum_amount_currency: "eur" }));
  const first = await checkOut({ first_time_transaction: true }, { customer });
  await stand.control("POST", "pay", { session: first.id });
  await refusal(checkOut({ first_time_transaction: true }, { customer }));
});

test("a session ships only to countries that Stripe ships to, and its statement descriptor is one", async () => {
  await using stand = await standIn();
  const { sessions } = stand.stripe.checkout;
  for (const code of ["XX", "UK", "us"]) {
    const allowed_countries = [code as "US"];
    const error = await refusal(
      sessions.create(shirt({ shipping_address_collection: { allowed_countries } })),
    );
    assert.equal(error.param, "shipping_address_collection[allowed_countries][0]", code);
  }
  for (const statement_descriptor_suffix of ["SHIRT*1", "1234", "<b>"]) {
    await refusal(sessions.create(shirt({ payment_intent_data: { statement_descriptor_suffix } })));
  }
  await sessions.create(shirt({ payment_intent_data: { statement_descriptor_suffix: "ORDER 1001" } }));
});

test("metadata of a session changes by key, and an empty value removes one", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt({ metadata: { a: "1", b: "2" } }));
  const changed = await stand.stripe.checkout.sessions.update(session.id, { metadata: { a: "", c: "3" } });
  assert.deepEqual(changed.metadata, { b: "2", c: "3" });
});

test("the control API completes a partial address at home, and leaves one abroad as it was given", async () => {
  await using stand = await standIn();
  const paidAt = async (address: object) => {
    const { id } = await stand.stripe.checkout.sessions.create(shirt());
    assert.equal((await stand.control("POST", "pay", { session: id, address })).status, 200);
    return (await stand.stripe.checkout.sessions.retrieve(id)).customer_details?.address;
  };
  const home = await paidAt({ postal_code: "78701", state: "TX" });
  assert.deepEqual([home?.country, home?.state, home?.city], ["US", "TX", "San Francisco"]);
  const abroad = await paidAt({ line1: "1 High St", city: "Leeds", postal_code: "LS1 1AA", country: "GB" });
  assert.deepEqual([abroad?.country, abroad?.state, abroad?.city], ["GB", null, "Leeds"]);
});
