/** Every combination of switches and order shapes, held against Stripe's published specification. */
import assert from "node:assert/strict";
import Stripe from "stripe";
import {
  locales,
  type PaymentPage,
  type SessionEnv,
  sessionMetadata,
  sessionParams,
} from "../../../supabase/functions/_shared/checkout/session_params.ts";
import { readSoldLines } from "../../../supabase/functions/_shared/stripe/metadata_lines.ts";
import { shippingCountries } from "../../../supabase/functions/_shared/shipping_countries.ts";
import { loadEnv } from "../../../supabase/functions/_shared/env.ts";
import type { Checkout, ShippingRate } from "../../../supabase/functions/_shared/database/checkout.ts";
import { type Schema, specification, startMock } from "../../stand-in/stripe_mock.ts";
import { environment } from "../../unit/fakes.ts";

const rate: ShippingRate = {
  id: "0d9b9f5e-7c3e-4c59-8f0e-1d5f8f3f7a11",
  name: "Standard",
  amount: 900,
  countries: null,
  delivery_days_min: 2,
  delivery_days_max: 5,
  tax_code: "txcd_92010001",
};

const order: Checkout = {
  outcome: "created",
  order_id: "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42",
  order_number: "KCT-100001",
  account_id: null,
  shop_id: "8f0e1d2c3b4a5968",
  terms_version: null,
  attempt: 1,
  currency: "usd",
  amount_subtotal: 25_800,
  session_expires_at: Math.floor(Date.now() / 1000) + 1_860,
  email: "ada@example.com",
  locale: "en-GB",
  stripe_customer_id: null,
  customer: null,
  customer_email: null,
  customer_email_change: null,
  cart_hash: "9b1f",
  three_d_secure: null,
  prices_include_tax: false,
  country: null,
  shipping_rates: [],
  items: [{
    variant_id: "11111111-2222-4333-8444-555555555555",
    sku: "SHIRT-OXF-WHT-M",
    name: "Oxford Button-Down Shirt – White, M",
    description: "Sturdy two-ply oxford cotton.",
    image_url: "https://cdn.example/oxford.png",
    quantity: 2,
    unit_amount: 12_900,
    tax_code: "txcd_30011000",
  }],
  session: null,
};

const item = order.items[0] as Checkout["items"][number];

Deno.test("sessionParams() always says whether Adaptive Pricing may be used: the dashboard's switch decides nothing", () => {
  for (const [setting, enabled] of [["", false], ["false", false], ["true", true]] as const) {
    const params = sessionParams(order, urls, envOf({ CHECKOUT_ADAPTIVE_PRICING: setting }));
    assert.deepEqual(params.adaptive_pricing, { enabled });
  }
});

/** As long as a SKU may be. */
const longSku = (at: number) => `${"S".repeat(62)}${String(at).padStart(2, "0")}`;

/** The largest order there can be: Stripe's limits for metadata must hold it. */
const largest: Partial<Checkout> = {
  account_id: "5f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42",
  terms_version: "2026-03 ".repeat(100),
  order_number: "A-PREFIX-THAT-IS-LONG-9223372036854775807",
  attempt: 999_999,
  items: Array.from({ length: 50 }, (_, at) => ({
    ...item,
    sku: longSku(at),
    quantity: 99,
    unit_amount: 999_999_999_999,
  })),
};

const switches: Record<string, string[]> = {
  CHECKOUT_AUTOMATIC_TAX: ["false", "true"],
  CHECKOUT_PROMOTION_CODES: ["false", "true"],
  CHECKOUT_TERMS_CONSENT: ["false", "true"],
  CHECKOUT_TAX_IDS: ["false", "true"],
  CHECKOUT_RECEIPTS: ["false", "true"],
  CHECKOUT_SAVED_CARDS: ["false", "true"],
  CHECKOUT_STATEMENT_DESCRIPTOR_SUFFIX: ["", "MENSWEAR"],
  CHECKOUT_THREE_D_SECURE: ["automatic", "any", "challenge"],
};

const orders: Record<string, Partial<Checkout>> = {
  "a guest": {},
  "a guest without an address": { email: null, locale: null },
  "a known customer at risk": { stripe_customer_id: "cus_123", three_d_secure: "any" },
  "shipping rates, prices with tax": {
    prices_include_tax: true,
    shipping_rates: [
      rate,
      { ...rate, name: "Express", delivery_days_min: null },
      { ...rate, name: "Some day", delivery_days_min: null, delivery_days_max: null, amount: 0 },
    ],
  },
  "fifty plain lines": {
    items: Array.from(
      { length: 50 },
      (_, at) => ({ ...item, sku: longSku(at), description: null, image_url: "/images/a.svg" }),
    ),
  },
  "a free line and a long name": {
    items: [item, { ...item, sku: "GIFT", unit_amount: 0, name: "x".repeat(300) }],
  },
};

function combinations(): Record<string, string>[] {
  return Object.entries(switches).reduce<Record<string, string>[]>(
    (all, [name, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  );
}

function envOf(values: Record<string, string>): SessionEnv {
  return loadEnv(environment(values));
}

const urls: PaymentPage = {
  ui_mode: "hosted_page",
  success_url: "https://shop.example/success?session_id={CHECKOUT_SESSION_ID}",
  cancel_url: "https://shop.example/cart",
};
const ownPages: PaymentPage[] = (["embedded_page", "elements"] as const).map((ui_mode) => ({
  ui_mode,
  return_url: "https://shop.example/success?session_id={CHECKOUT_SESSION_ID}",
}));

Deno.test("sessionParams() of every combination of switches is accepted by Stripe's published specification", async () => {
  await using mock = await startMock();
  if (mock === null) return;
  const { hostname, port } = new URL(mock.url);
  const stripe = new Stripe("sk_test_123456789012", {
    protocol: "http",
    host: hostname,
    port,
    maxNetworkRetries: 0,
  });

  const wrong = { ...sessionParams(order, urls, envOf({})), no_such_parameter: "1" };
  await assert.rejects(
    stripe.checkout.sessions.create(wrong),
    /additional properties are not allowed/,
    "the specification is being enforced",
  );

  const cases = combinations().flatMap((values) =>
    Object.entries(orders).map(([name, changes]) => ({ name, values, changes }))
  );
  assert.equal(cases.length, 2 ** 7 * 3 * Object.keys(orders).length);
  // Many switches leave many orders alone: what is the same request is sent once.
  const requests = new Map<string, { params: Stripe.Checkout.SessionCreateParams; of: string }>();
  for (const { name, values, changes } of cases) {
    const params = sessionParams({ ...order, ...changes }, urls, envOf(values));
    requests.set(JSON.stringify(params), { params, of: `${name} ${JSON.stringify(values)}` });
  }
  const without = sessionParams(order, urls, envOf({ CHECKOUT_PAYMENT_METHODS: "-klarna,-zip" }));
  requests.set(JSON.stringify(without), { params: without, of: "-klarna,-zip" });
  for (const page of ownPages) {
    const params = sessionParams({ ...order, ...largest }, page, envOf({}));
    requests.set(JSON.stringify(params), { params, of: page.ui_mode });
  }
  const queue = requests.values();
  const refusals: string[] = [];
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (const { params, of } of queue) {
      await stripe.checkout.sessions.create(params).catch((error) =>
        refusals.push(`${of}: ${error.message}`)
      );
    }
  }));
  assert.deepEqual(refusals, []);
});

Deno.test("sessionParams() leaves the methods to Stripe, and narrows its choice where the shop says so", () => {
  const listed = (value: string) => {
    const params = sessionParams(order, urls, envOf({ CHECKOUT_PAYMENT_METHODS: value }));
    return [params.allowed_payment_method_types, params.excluded_payment_method_types];
  };
  assert.deepEqual(listed(""), [undefined, undefined]);
  // Newer than the published specification above, and in the types of the pinned SDK.
  assert.deepEqual(listed("card,ideal"), [["card", "ideal"], undefined]);
  assert.deepEqual(listed("-klarna"), [undefined, ["klarna"]]);
});

Deno.test("sessionParams() raises 3D Secure by risk and never lowers the shop's setting", () => {
  const asked = (setting: string, risk: Checkout["three_d_secure"]) =>
    sessionParams({ ...order, three_d_secure: risk }, urls, envOf({ CHECKOUT_THREE_D_SECURE: setting }))
      .payment_method_options?.card?.request_three_d_secure;
  assert.deepEqual(
    [asked("automatic", null), asked("automatic", "any"), asked("any", null), asked("challenge", "any")],
    [undefined, "any", "any", "challenge"],
  );
  assert.deepEqual([asked("any", "challenge"), asked("automatic", "challenge")], ["challenge", "challenge"]);
});

Deno.test("sessionParams() leaves Stripe's own recovery links off: nobody could check who opens one", () => {
  for (const values of combinations()) {
    assert.equal(sessionParams(order, urls, envOf(values)).after_expiration, undefined);
  }
});

Deno.test("sessionParams() offers the first five shipping rates that cover every country the shop ships to", () => {
  const env = envOf({ SHIPPING_COUNTRIES: "US,CA" });
  const rates = [
    { ...rate, name: "US only", countries: ["US"] },
    { ...rate, name: "North America", countries: ["CA", "MX", "US"] },
    ...Array.from({ length: 6 }, (_, at) => ({ ...rate, name: `World ${at}` })),
  ];
  const offered = sessionParams({ ...order, shipping_rates: rates }, urls, env).shipping_options ?? [];
  assert.deepEqual(offered.map((option) => option.shipping_rate_data?.display_name), [
    "North America",
    "World 0",
    "World 1",
    "World 2",
    "World 3",
  ]);
  assert.equal(sessionParams(order, urls, env).shipping_options, undefined);
});

Deno.test("sessionParams() delivers only where all the prices that it offers hold", () => {
  const env = envOf({ SHIPPING_COUNTRIES: "US,CA,DE" });
  const page = (shipping_rates: ShippingRate[], country: string | null = null) => {
    const params = sessionParams({ ...order, country, shipping_rates }, urls, env);
    const names = params.shipping_options?.map((option) => option.shipping_rate_data?.display_name);
    return [params.shipping_address_collection?.allowed_countries, names];
  };
  const [us, america, de, world] = [["US"], ["CA", "US"], ["DE"], null].map((countries) => ({
    ...rate,
    name: countries?.join() ?? "World",
    countries,
  }));
  assert(us !== undefined && america !== undefined && de !== undefined && world !== undefined);
  assert.deepEqual(page([]), [["US", "CA", "DE"], undefined]);
  assert.deepEqual(page([us, world]), [["US", "CA", "DE"], ["World"]]);
  assert.deepEqual(page([us, america, de]), [["US"], ["US", "CA,US"]]);
  assert.deepEqual(page([america, us, de]), [["US", "CA"], ["CA,US"]]);
  assert.deepEqual(page([us, america, world], "US"), [["US"], ["US", "CA,US", "World"]]);
  assert.deepEqual(page([], "DE"), [["DE"], undefined]);
  const nowhere = [{ ...rate, countries: ["FR"] }];
  assert.throws(() => page(nowhere), { code: "shipping_unavailable" });
  // The shop has stopped to deliver there since the order was made.
  assert.throws(() => page([world], "GB"), { code: "shipping_unavailable" });
});

Deno.test("sessionParams() says of every amount whether tax is inside, once tax is computed", () => {
  const env = envOf({ CHECKOUT_AUTOMATIC_TAX: "true" });
  for (const [prices_include_tax, behavior] of [[true, "inclusive"], [false, "exclusive"]] as const) {
    const params = sessionParams({ ...order, prices_include_tax, shipping_rates: [rate] }, urls, env);
    assert.equal(params.line_items?.[0]?.price_data?.tax_behavior, behavior);
    assert.equal(params.shipping_options?.[0]?.shipping_rate_data?.tax_behavior, behavior);
    assert.equal(params.line_items?.[0]?.price_data?.product_data?.tax_code, "txcd_30011000");
    assert.equal(params.shipping_options?.[0]?.shipping_rate_data?.tax_code, "txcd_92010001");
  }
  // Of what nobody has said, the account's default at Stripe holds; and without tax there is nothing to say.
  const plain = {
    ...order,
    items: [{ ...item, tax_code: null }],
    shipping_rates: [{ ...rate, tax_code: null }],
  };
  for (const params of [sessionParams(plain, urls, env), sessionParams(order, urls, envOf({}))]) {
    assert.doesNotMatch(JSON.stringify(params), /tax_code/);
  }
});

Deno.test("the countries that SHIPPING_COUNTRIES may name and the page's languages are those of Stripe's published specification", async () => {
  const spec = await specification();
  if (spec === null) return;
  const operation = spec.paths["/v1/checkout/sessions"] as {
    post: { requestBody: { content: Record<string, { schema: Schema }> } };
  };
  const params = operation.post.requestBody.content["application/x-www-form-urlencoded"]?.schema.properties;
  const sorted = (values: Iterable<unknown> | undefined) => [...values ?? []].map(String).sort();
  assert.deepEqual(
    sorted(shippingCountries),
    sorted(params?.["shipping_address_collection"]?.properties?.["allowed_countries"]?.items?.enum),
  );
  // Hindi is younger than the published specification: the installed library has it.
  const published = sorted([...params?.["locale"]?.enum ?? [], "hi-IN"]);
  assert.deepEqual(sorted(["auto", ...locales]), [...new Set(published)]);
});

Deno.test("sessionParams() cuts a long name between characters and leaves out a picture that Stripe would refuse", () => {
  const product = (changes: Partial<Checkout["items"][number]>) =>
    sessionParams({ ...order, items: [{ ...item, ...changes }] }, urls, envOf({})).line_items?.[0]?.price_data
      ?.product_data;
  const name = product({ name: `x${"🎩".repeat(300)}` })?.name ?? "";
  assert.ok(name.isWellFormed());
  assert.equal([...name].length, 250);
  for (const image_url of ["", " ", `https://cdn.example/${"a".repeat(2_048)}`, "http://cdn.example/a.png"]) {
    assert.equal(product({ image_url })?.images, undefined, image_url.slice(0, 30));
  }
});

Deno.test("metadata tells the whole order within Stripe's limits, the same at every repeat, and nothing personal", () => {
  const given = { ...order, ...largest, email: "ada@example.com" };
  const metadata = sessionMetadata(given);
  assert.ok(Object.keys(metadata).length <= 50);
  for (const [key, value] of Object.entries(metadata)) {
    assert.ok(key.length <= 40 && value.length <= 500 && value !== "", `${key}: ${value.length}`);
  }
  assert.deepEqual(
    [
      metadata["order_id"],
      metadata["order_number"],
      metadata["account_id"],
      metadata["shop_id"],
      metadata["attempt"],
      metadata["cart_hash"],
    ],
    [given.order_id, given.order_number, given.account_id, given.shop_id, "999999", given.cart_hash],
  );
  assert.deepEqual(
    readSoldLines(metadata),
    given.items.map(({ sku, quantity, unit_amount, variant_id }) => ({
      sku,
      quantity,
      unit_amount,
      variant_id,
    })),
  );
  assert.ok(!JSON.stringify(metadata).includes("ada@"));
  assert.equal(JSON.stringify(sessionMetadata(structuredClone(given))), JSON.stringify(metadata));
  assert.equal("account_id" in sessionMetadata({ ...given, account_id: null }), false, "a guest has none");
  assert.equal(sessionMetadata({ ...given, terms_version: "2026-03" })["terms_version"], "2026-03");
});
