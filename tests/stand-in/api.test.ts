import assert from "node:assert/strict";
import { clientOf, refusal, shirt, standIn, TEST_KEY } from "./stand_in.ts";
import { post } from "./form_post.ts";

const { test } = Deno;

const SESSION = "mode=payment&success_url=http://shop.test/ok&line_items[0][quantity]=2" +
  "&line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount]=500" +
  "&line_items[0][price_data][product_data][name]=Tie";

test("API keys: none and a wrong one answer 401, a test key and basic authentication pass", async () => {
  await using stand = await standIn();
  const ask = (headers: Record<string, string>) => fetch(`${stand.url}/v1/customers`, { headers });
  const none = await ask({});
  assert.equal(none.status, 401);
  assert.match((await none.json()).error.message, /did not provide an API key/);
  const wrong = await ask({ authorization: "Bearer pk_test_publishable_key" });
  assert.equal(wrong.status, 401);
  assert.match((await wrong.json()).error.message, /^Invalid API Key provided: pk_test\*+_key$/);
  const basic = await ask({ authorization: `Basic ${btoa(`${TEST_KEY}:`)}` });
  assert.equal(basic.status, 200);
  await basic.body?.cancel();
});

const REFUSED: [name: string, change: string, param: string, code: string | undefined][] = [
  ["an unknown parameter", "&foo=1", "foo", "parameter_unknown"],
  ["an unknown nested parameter", "&line_items[0][colour]=red", "line_items[0][colour]", "parameter_unknown"],
  [
    "payment_method_types, removed",
    "&payment_method_types[]=card",
    "payment_method_types",
    "parameter_unknown",
  ],
  ["expires_at in a minute", `&expires_at=${Math.floor(Date.now() / 1000) + 60}`, "expires_at", undefined],
  [
    "expires_at in two days",
    `&expires_at=${Math.floor(Date.now() / 1000) + 172_800}`,
    "expires_at",
    undefined,
  ],
  [
    "a quantity of zero",
    "&line_items[0][quantity]=0",
    "line_items[0][quantity]",
    "parameter_invalid_integer",
  ],
  ["a bad e-mail", "&customer_email=nobody", "customer_email", "email_invalid"],
  ["a bad URL", "&cancel_url=javascript:alert(1)", "cancel_url", "url_invalid"],
  ["a foreign enum value", "&submit_type=steal", "submit_type", undefined],
  [
    "an unknown price",
    "&line_items[1][price]=price_none&line_items[1][quantity]=1",
    "line_items[1][price]",
    "resource_missing",
  ],
  ["metadata of 501 characters", `&metadata[a]=${"x".repeat(501)}`, "metadata[a]", undefined],
  ["a missing success_url", "&success_url=", "success_url", "parameter_invalid_empty"],
];

test("every answer carries a request id and the API version", async () => {
  await using stand = await standIn();
  const session = await stand.stripe.checkout.sessions.create(shirt());
  assert.match(session.lastResponse.requestId, /^req_\w{14}$/);
  assert.equal(session.lastResponse.apiVersion, "2026-10-28.endive");
  assert.match(session.id, /^cs_test_a1\w{56}$/);
});

test("form encoding: nested lists by number and by [], and 404 for an unknown address", async () => {
  await using stand = await standIn();
  const answer = await post(stand.url, "/v1/checkout/sessions", `${SESSION}&expand[]=line_items`);
  const session = await answer.json();
  assert.equal(session.amount_total, 1000);
  assert.equal(session.line_items.data[0].description, "Tie");
  const unknown = await post(stand.url, "/v1/nonsense", "");
  assert.equal(unknown.status, 404);
  assert.match((await unknown.json()).error.message, /Unrecognized request URL \(POST: \/v1\/nonsense\)/);
});

for (const [name, change, param, code] of REFUSED) {
  test(`POST /v1/checkout/sessions refuses ${name} with 400 naming the parameter`, async () => {
    await using stand = await standIn();
    const answer = await post(stand.url, "/v1/checkout/sessions", SESSION + change);
    const { error } = await answer.json();
    assert.equal(answer.status, 400);
    assert.equal(error.type, "invalid_request_error");
    assert.equal(error.param, param);
    assert.equal(error.code, code);
  });
}

test("a missing parameter is named", async () => {
  await using stand = await standIn();
  const error = await refusal(stand.stripe.customers.update("cus_none", { name: "x" }));
  assert.equal(error.statusCode, 404);
  assert.equal(error.code, "resource_missing");
  const missing = await post(stand.url, "/v1/payment_intents", "currency=usd");
  assert.equal((await missing.json()).error.message, "Missing required param: amount.");
});

test("what Stripe has and the stand-in has not is answered 501 by name, and not to be retried", async () => {
  await using stand = await standIn();
  const subscription = await post(
    stand.url,
    "/v1/checkout/sessions",
    SESSION.replace("=payment", "=subscription"),
  );
  assert.equal(subscription.status, 501);
  assert.match(
    (await subscription.json()).error.message,
    /does not support Checkout Sessions in `subscription` mode/,
  );
  const invoices = await post(stand.url, "/v1/invoices", "");
  assert.equal(invoices.status, 501);
  assert.equal(invoices.headers.get("stripe-should-retry"), "false");
  assert.match((await invoices.json()).error.message, /`POST \/v1\/invoices`/);
  for (
    const [path, body, named] of [
      ["/v1/customers/cus_1/sources", "", "/v1/customers/:id/sources"],
      ["/v1/payment_intents/pi_1/increment_authorization", "amount=1", "increment_authorization"],
      ["/v1/sources/src_1", "", "/v1/sources"],
      [
        "/v1/payment_intents",
        "amount=100&currency=usd&payment_method_data[type]=card&payment_method_data[klarna]=",
        "payment_method_data[klarna]",
      ],
      ["/v1/checkout/sessions", `${SESSION}&payment_method_options[alma][capture_method]=manual`, "[alma]"],
    ] as const
  ) {
    const answer = await post(stand.url, path, body);
    assert.equal(answer.status, 501, path);
    assert.ok((await answer.json()).error.message.includes(named), path);
  }
  const nonsense = await post(stand.url, "/v1/customers/cus_1/nonsense", "");
  assert.equal(nonsense.status, 404);
  await nonsense.body?.cancel();
});

test("amounts too small or too large to charge, and Connect, are refused as such", async () => {
  await using stand = await standIn();
  const small = await refusal(stand.stripe.paymentIntents.create({ amount: 49, currency: "usd" }));
  assert.equal(small.code, "amount_too_small");
  const intent = await stand.stripe.paymentIntents.create({ amount: 99_999_999, currency: "usd" });
  assert.equal(
    (await refusal(stand.stripe.paymentIntents.update(intent.id, { amount: 49 }))).code,
    "amount_too_small",
  );
  const large = await refusal(stand.stripe.paymentIntents.create({ amount: 100_000_000, currency: "usd" }));
  assert.deepEqual([large.code, large.param], ["amount_too_large", "amount"]);
  const cheap = await post(
    stand.url,
    "/v1/checkout/sessions",
    SESSION.replace("unit_amount]=500", "unit_amount]=10"),
  );
  assert.equal((await cheap.json()).error.code, "amount_too_small");
  const connect = await refusal(stand.stripe.customers.list({}, { stripeAccount: "acct_1" }));
  assert.match(connect.message, /Connect/);
});

test("errors say where their code is explained and where the request is logged", async () => {
  await using stand = await standIn();
  const known = await post(stand.url, "/v1/customers", "nonsense=1");
  const { error } = await known.json();
  const id = known.headers.get("request-id");
  assert.equal(error.doc_url, "https://stripe.com/docs/error-codes/parameter-unknown");
  assert.ok(error.request_log_url.startsWith(`https://dashboard.stripe.com/test/logs/${id}?t=`));
  const plain = await post(stand.url, "/v1/customers", "name[]=x");
  assert.equal((await plain.json()).error.doc_url, undefined);
});

test("lists of prices by lookup key and of products by id", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const { id: product } = await stripe.products.create({ name: "Tie" });
  await stripe.products.create({ name: "Hat" });
  const [first, second] = await Promise.all(
    ["a", "b", "c"].map((lookup_key) =>
      stripe.prices.create({ product, currency: "usd", unit_amount: 900, lookup_key })
    ),
  );
  const prices = await stripe.prices.list({ lookup_keys: ["a", "b", "none"], expand: ["data.product"] });
  assert.deepEqual(prices.data.map(({ id }) => id).sort(), [first?.id, second?.id].sort());
  assert.deepEqual((await stripe.products.list({ ids: [product] })).data.map(({ id }) => id), [product]);
  const both = await refusal(stripe.products.list({ ids: [product], starting_after: product }));
  assert.match(both.message, /only specify one of these parameters/);
});

test("ids of one's own may be alike from kind to kind", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  await stripe.products.create({ id: "summer", name: "Summer" });
  await stripe.coupons.create({ id: "summer", percent_off: 10 });
  const { id } = await stripe.prices.create({ product: "summer", currency: "usd", unit_amount: 900 });
  const code = await stripe.promotionCodes.create({
    promotion: { type: "coupon", coupon: "summer" },
    expand: ["promotion.coupon"],
  });
  const { coupon } = code.promotion;
  const { product } = await stripe.prices.retrieve(id, { expand: ["product"] });
  assert.deepEqual(
    [coupon, product].map((object) => typeof object === "object" ? object?.object : object),
    ["coupon", "product"],
  );
  assert.equal((await stripe.coupons.list({ starting_after: "summer" })).data.length, 0);
});

test("a list filtered by what does not exist says so", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  for (
    const [param, listed] of [
      ["customer", stripe.paymentIntents.list({ customer: "cus_none" })],
      ["setup_intent", stripe.setupAttempts.list({ setup_intent: "seti_none" })],
    ] as const
  ) {
    const error = await refusal(listed);
    assert.deepEqual([error.statusCode, error.param, error.code], [400, param, "resource_missing"]);
  }
});

test("an older Stripe-Version may still send payment_method_types, one not published yet is refused", async () => {
  await using stand = await standIn();
  const answer = await post(
    stand.url,
    "/v1/payment_intents",
    "amount=100&currency=usd&payment_method_types[]=card",
    {
      "stripe-version": "2025-03-31.basil",
    },
  );
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("stripe-version"), "2025-03-31.basil");
  await answer.body?.cancel();
  for (const version of ["yesterday", "2099-01-01.zenith"]) {
    const wrong = await post(stand.url, "/v1/customers", "", { "stripe-version": version });
    assert.equal(wrong.status, 400, version);
    await wrong.body?.cancel();
  }
});

test("a JSON body is told that a form is wanted", async () => {
  await using stand = await standIn();
  const answer = await post(stand.url, "/v1/customers", '{"name":"x"}', {
    "content-type": "application/json",
  });
  assert.equal(answer.status, 400);
  assert.match((await answer.json()).error.message, /application\/x-www-form-urlencoded/);
});

test("metadata: emptied as a whole, never more than 50 keys, and no brackets in a key", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const fifty = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`k${n}`, "v"]));
  const { id } = await stripe.customers.create({ metadata: fifty });
  assert.equal((await refusal(stripe.customers.update(id, { metadata: { more: "1" } }))).param, "metadata");
  const swapped = await stripe.customers.update(id, { metadata: { k0: "", more: "1" } });
  assert.equal(Object.keys(swapped.metadata).length, 50);
  assert.deepEqual((await stripe.customers.update(id, { metadata: "" })).metadata, {});
  const brackets = await refusal(stripe.customers.update(id, { metadata: { "a[b]": "1" } }));
  assert.match(brackets.message, /square brackets/);
});

test("lists: limit, both cursors, has_more, created ranges and automatic paging", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) ids.unshift((await stripe.products.create({ name: `P${n}` })).id);
  const page = await stripe.products.list({ limit: 3 });
  assert.deepEqual(page.data.map(({ id }) => id), ids.slice(0, 3));
  assert.equal(page.has_more, true);
  const next = await stripe.products.list({ limit: 10, starting_after: ids[2] ?? "" });
  assert.deepEqual(next.data.map(({ id }) => id), ids.slice(3));
  assert.equal(next.has_more, false);
  const back = await stripe.products.list({ limit: 2, ending_before: ids[4] ?? "" });
  assert.deepEqual(back.data.map(({ id }) => id), ids.slice(2, 4));
  assert.equal(back.has_more, true);
  const all: string[] = [];
  for await (const { id } of stripe.products.list({ limit: 2 })) all.push(id);
  assert.deepEqual(all, ids);
  const now = Math.floor(Date.now() / 1000);
  assert.equal((await stripe.products.list({ created: { gt: now + 60 } })).data.length, 0);
  assert.equal((await stripe.products.list({ created: { gte: now - 60, lte: now + 60 } })).data.length, 7);
  assert.equal(
    (await refusal(stripe.products.list({ starting_after: "prod_none" }))).code,
    "resource_missing",
  );
  assert.equal((await refusal(stripe.products.list({ limit: 101 }))).param, "limit");
  const both = await refusal(stripe.products.list({ starting_after: "a", ending_before: "b" }));
  assert.match(both.message, /only specify one of these parameters/);
});

test("expand: ids become objects at every level, in lists too, and a wrong path is refused", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const { id } = await stripe.checkout.sessions.create(shirt());
  await control("POST", "pay", { session: id });
  const session = await stripe.checkout.sessions.retrieve(id, {
    expand: ["payment_intent.latest_charge.balance_transaction", "line_items", "total_details.breakdown"],
  });
  assert.ok(typeof session.payment_intent === "object" && session.payment_intent !== null);
  const charge = session.payment_intent.latest_charge;
  assert.ok(typeof charge === "object" && charge !== null);
  assert.ok(typeof charge.balance_transaction === "object" && charge.balance_transaction !== null);
  assert.equal(charge.balance_transaction.net, 12_900 - Math.round(12_900 * 0.029) - 30);
  assert.equal(session.line_items?.data[0]?.amount_total, 12_900);
  assert.deepEqual(session.total_details?.breakdown, { discounts: [], taxes: [] });
  const list = await stripe.checkout.sessions.list({ expand: ["data.payment_intent"] });
  assert.equal(typeof list.data[0]?.payment_intent, "object");
  for (const path of ["nonsense", "nonsense.deeper", "payment_intent.nonsense.deeper"]) {
    const wrong = await refusal(stripe.checkout.sessions.retrieve(id, { expand: [path] }));
    assert.ok(wrong.message.includes(`cannot be expanded (${path})`), wrong.message);
  }
  await refusal(stripe.checkout.sessions.list({ expand: ["payment_intent.latest_charge"] }));
  const refund = await stripe.refunds.create({
    payment_intent: session.payment_intent.id,
    expand: ["failure_balance_transaction", "charge.payment_method_details.klarna.deeper"],
  });
  assert.equal(typeof refund.charge, "object");
});

test("rate limit: requests over it answer 429, which Stripe's library reports as such", async () => {
  await using stand = await standIn();
  await stand.control("POST", "faults", { rate_limit: 1 });
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => stand.stripe.customers.list().then(() => "ok", (error) => error.type)),
  );
  assert.ok(answers.includes("StripeRateLimitError"));
  await stand.control("DELETE", "faults");
  await stand.stripe.customers.list();
});

test("API faults: a status for some requests, an answer lost after the work, and a delay", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  await control("POST", "faults", { api: [{ match: "POST /v1/customers", status: 500, times: 2 }] });
  assert.equal((await refusal(stripe.customers.create({}))).statusCode, 500);
  assert.equal((await refusal(stripe.customers.create({}))).statusCode, 500);
  await stripe.customers.create({});
  // The library retries with the same idempotency key: the work is done once.
  await control("POST", "faults", {
    api: [{ match: "POST /v1/products", status: 503, times: 1, after: true }],
  });
  const product = await clientOf(stand.url, { maxNetworkRetries: 2 }).products.create({ name: "Once" });
  assert.deepEqual((await stripe.products.list()).data.map(({ id }) => id), [product.id]);
  await control("POST", "faults", { api: [{ match: "GET /v1/products/*", delay_ms: 80, times: 1 }] });
  const before = performance.now();
  await stripe.products.retrieve(product.id);
  assert.ok(performance.now() - before >= 75);
  assert.equal((await stand.control("POST", "faults", { api: [{ match: "x", status: 200 }] })).status, 400);
});

test("hostile input: prototype names, deep nesting, broken encodings and binary answer an error, and the server lives", async () => {
  await using stand = await standIn();
  const bodies = [
    "__proto__[polluted]=1",
    "constructor[prototype][polluted]=1",
    "metadata[__proto__]=x&name=ok",
    `${"a[".repeat(200)}x${"]".repeat(200)}=1`,
    "line_items[0][price_data]=text",
    "metadata=%00%ff%",
    "=&&&==",
    "line_items[99999999999]=1",
  ];
  for (const body of bodies) {
    const answer = await post(stand.url, "/v1/customers", body);
    assert.ok(answer.status < 500, `${body.slice(0, 40)} answered ${answer.status}`);
    await answer.body?.cancel();
  }
  const big = await post(stand.url, "/v1/customers", `description=${"x".repeat(1_100_000)}`);
  assert.equal(big.status, 413);
  await big.body?.cancel();
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  await stand.stripe.customers.list();
});
