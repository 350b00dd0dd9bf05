import assert from "node:assert/strict";
import type Stripe from "stripe";
import { refusal, shirt, type StandIn, standIn } from "./stand_in.ts";

const { test } = Deno;

/** What the page asks when the shopper changes the cart. */
async function change(stand: StandIn, session: Stripe.Checkout.Session, body: object): Promise<Response> {
  return await fetch(`${stand.url}/c/pay/${session.id}/update`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

test("a price has amounts in other currencies, which a session and its shipping take", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const product = await stripe.products.create({ name: "Tie" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 5900,
    currency_options: { eur: { unit_amount: 5500, tax_behavior: "inclusive" }, jpy: { unit_amount: 9000 } },
  });
  assert.equal(price.currency_options, undefined);
  await stripe.prices.update(price.id, { currency_options: { gbp: { unit_amount: 4900 } } });
  const shown = await stripe.prices.retrieve(price.id, { expand: ["currency_options"] });
  assert.deepEqual(
    Object.entries(shown.currency_options ?? {}).map(([code, { unit_amount }]) => [code, unit_amount]).sort(),
    [["eur", 5500], ["gbp", 4900], ["jpy", 9000], ["usd", 5900]],
  );
  const rate = await stripe.shippingRates.create({
    display_name: "Standard",
    fixed_amount: { amount: 900, currency: "usd", currency_options: { eur: { amount: 800 } } },
    type: "fixed_amount",
    expand: ["fixed_amount.currency_options"],
  });
  assert.equal(rate.fixed_amount?.currency_options?.eur?.amount, 800);
  const order = {
    line_items: [{ price: price.id, quantity: 2 }],
    shipping_options: [{ shipping_rate: rate.id }],
    automatic_tax: { enabled: true },
  };
  const euro = await stripe.checkout.sessions.create(shirt({ ...order, currency: "eur" }));
  assert.deepEqual(
    [euro.currency, euro.amount_subtotal, euro.shipping_cost?.amount_subtotal, euro.amount_total],
    ["eur", 11_000, 800, 11_800],
  );
  await stand.control("POST", "pay", { session: euro.id });
  const paid = await stripe.checkout.sessions.retrieve(euro.id, { expand: ["payment_intent", "line_items"] });
  const intent = paid.payment_intent as Stripe.PaymentIntent;
  // Tax is in the price, and on top of the shipping.
  assert.deepEqual([intent.amount, intent.currency], [11_864, "eur"]);
  const [line] = paid.line_items?.data ?? [];
  assert.deepEqual([line?.currency, line?.amount_total, line?.price?.currency], ["eur", 11_000, "usd"]);
  const home = await stripe.checkout.sessions.create(shirt(order));
  assert.deepEqual([home.currency, home.amount_total], ["usd", 12_700]);

  const missing = await refusal(stripe.checkout.sessions.create(shirt({ ...order, currency: "chf" })));
  assert.match(missing.message, /only supports `usd`\. This doesn't match the expected currency: `chf`/);
  const cleared = await stripe.prices.update(price.id, {
    currency_options: "",
    expand: ["currency_options"],
  });
  assert.deepEqual(Object.keys(cleared.currency_options ?? {}), ["usd"]);
  const own = await refusal(
    stripe.prices.create({
      product: product.id,
      currency: "usd",
      unit_amount: 1,
      currency_options: { usd: { unit_amount: 1 } },
    }),
  );
  assert.equal(own.param, "currency_options[usd]");
});

test("the shopper changes the quantity on the page, within what the shop allows", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const line = (adjustable: Stripe.Checkout.SessionCreateParams.LineItem.AdjustableQuantity, quantity = 2) =>
    shirt({ line_items: [{ ...shirt().line_items?.[0], quantity, adjustable_quantity: adjustable }] });
  const session = await stripe.checkout.sessions.create(line({ enabled: true, minimum: 1, maximum: 5 }));
  const [item] = (await stripe.checkout.sessions.listLineItems(session.id)).data;
  assert.deepEqual(item?.adjustable_quantity, { enabled: true, minimum: 1, maximum: 5 });
  const page = await (await fetch(session.url ?? "")).text();
  assert.match(page, new RegExp(`data-line="${item?.id}" value="2"\\s+min="1" max="5"`));
  const answer = await change(stand, session, { line: item?.id, quantity: 4 });
  assert.equal((await answer.json()).total, "$516.00");
  for (const quantity of [0, 6]) {
    assert.equal((await change(stand, session, { line: item?.id, quantity })).status, 400, String(quantity));
  }
  await stand.control("POST", "pay", { session: session.id });
  const paid = await stripe.checkout.sessions.retrieve(session.id, { expand: ["line_items"] });
  assert.deepEqual([paid.amount_total, paid.line_items?.data[0]?.quantity], [51_600, 4]);

  const fixed = await stripe.checkout.sessions.create(line({ enabled: false }));
  const [still] = (await stripe.checkout.sessions.listLineItems(fixed.id)).data;
  assert.equal(still?.adjustable_quantity, null);
  assert.equal((await change(stand, fixed, { line: still?.id, quantity: 3 })).status, 400);
  const crossed = await refusal(
    stripe.checkout.sessions.create(line({ enabled: true, minimum: 5, maximum: 4 })),
  );
  assert.match(crossed.message, /less than or equal to/);
  const outside = await refusal(stripe.checkout.sessions.create(line({ enabled: true, maximum: 1 })));
  assert.match(outside.message, /must be between/);
});

test("a coupon for some products takes off theirs alone, and does not apply without them", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const [tie, hat] = await Promise.all(["Tie", "Hat"].map((name) => stripe.products.create({ name })));
  const line = (product: Stripe.Product | undefined, unit_amount: number) => ({
    price_data: { currency: "usd", product: product?.id ?? "", unit_amount },
    quantity: 1,
  });
  const coupon = await stripe.coupons.create({
    percent_off: 50,
    applies_to: { products: [tie?.id ?? ""] },
    expand: ["applies_to"],
  });
  assert.deepEqual(coupon.applies_to, { products: [tie?.id] });
  const session = await stripe.checkout.sessions.create(shirt({
    line_items: [line(hat, 3000), line(tie, 2000)],
    discounts: [{ coupon: coupon.id }],
    expand: ["line_items"],
  }));
  assert.equal(session.amount_total, 4000);
  assert.deepEqual(session.line_items?.data.map(({ amount_discount }) => amount_discount), [0, 1000]);
  const without = await refusal(
    stripe.checkout.sessions.create(
      shirt({ line_items: [line(hat, 3000)], discounts: [{ coupon: coupon.id }] }),
    ),
  );
  assert.equal(without.param, "discounts[0][coupon]");
  // A fixed amount takes off no more than those products cost.
  const fixed = await stripe.coupons.create({
    amount_off: 5000,
    currency: "usd",
    applies_to: { products: [tie?.id ?? ""] },
  });
  const code = await stripe.promotionCodes.create({
    promotion: { type: "coupon", coupon: fixed.id },
    code: "TIES",
  });
  assert.ok(code.active);
  const typed = await stripe.checkout.sessions.create(shirt({
    line_items: [line(hat, 3000), line(tie, 2000)],
    allow_promotion_codes: true,
  }));
  assert.equal((await (await change(stand, typed, { promotion_code: "ties" })).json()).total, "$30.00");
  const nothing = await stripe.checkout.sessions.create(shirt({
    line_items: [line(hat, 3000)],
    allow_promotion_codes: true,
  }));
  assert.equal((await change(stand, nothing, { promotion_code: "ties" })).status, 400);
  const unknown = await refusal(
    stripe.coupons.create({ percent_off: 5, applies_to: { products: ["prod_none"] } }),
  );
  assert.equal(unknown.code, "resource_missing");
});

test("a tax rate is kept and changed, and no line item takes it", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const rate = await stripe.taxRates.create({
    display_name: "VAT",
    inclusive: true,
    percentage: 7.7,
    country: "ch",
  });
  assert.deepEqual([rate.percentage, rate.country, rate.active], [7.7, "CH", true]);
  const changed = await stripe.taxRates.update(rate.id, { active: false, metadata: { old: "1" } });
  assert.deepEqual([changed.active, changed.metadata], [false, { old: "1" }]);
  assert.deepEqual((await stripe.taxRates.list({ active: true })).data, []);
  for (const percentage of [-1, 101, 1.23456]) {
    const wrong = await refusal(stripe.taxRates.create({ display_name: "VAT", inclusive: true, percentage }));
    assert.equal(wrong.param, "percentage");
  }
  const [item] = shirt().line_items ?? [];
  const used = await refusal(
    stripe.checkout.sessions.create(shirt({ line_items: [{ ...item, tax_rates: [rate.id] }] })),
  );
  assert.match(used.message, /`line_items\[0\]\[tax_rates\]`/);
});

test("a restricted key reads balance, payouts and setup intents only where its permissions say so", async () => {
  const key = ["rk", "test", "BooksOnly000000"].join("_");
  const granted = ["rak_balance_read", "rak_balance_transaction_source_read", "rak_payout_read"];
  await using stand = await standIn({ restrictedKeys: { [key]: granted } });
  const ask = async (method: string, path: string) => {
    const response = await fetch(stand.url + path, { method, headers: { authorization: `Bearer ${key}` } });
    const { error } = await response.json();
    return [response.status, /Having the '(\w+)'/.exec(error?.message ?? "")?.[1]];
  };
  for (const path of ["/v1/balance", "/v1/balance_transactions", "/v1/payouts"]) {
    assert.deepEqual(await ask("GET", path), [200, undefined], path);
  }
  assert.deepEqual(await ask("POST", "/v1/payouts"), [403, "rak_payout_write"]);
  assert.deepEqual(await ask("GET", "/v1/setup_intents"), [403, "rak_setup_intent_read"]);
  assert.deepEqual(await ask("GET", "/v1/charges/search?query=amount>1"), [403, "rak_charge_read"]);
  assert.deepEqual(await ask("POST", "/v1/tokens"), [403, "rak_token_write"]);
});
