import assert from "node:assert/strict";
import { handle } from "../../supabase/functions/create-checkout-session/handler.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { errorOf } from "./fakes.ts";
import { cart, checkoutOf, orderId, requestOf, sessionOf, stripeRefusal, world } from "./checkout_world.ts";
import { nonEmpty } from "../support/non_empty.ts";

Deno.test("create-checkout-session answers 201 with the session's page", async () => {
  const here = world();
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 201);
  assert.deepEqual(await response.json(), {
    order_id: orderId,
    order_number: "KCT-1042",
    session_id: "cs_test_unit",
    url: "https://checkout.stripe.com/c/pay/cs_test_unit",
    expires_at: 1_762_522_260,
    currency: "usd",
    amount_subtotal: 25_800,
  });
});

Deno.test("create-checkout-session makes one call each to limiter, begin, Stripe and attach", async () => {
  const here = world();
  await handle(requestOf(), here.deps);
  assert.deepEqual([here.limited.length, here.begun.length, here.asked.length, here.attached.length], [
    1,
    1,
    1,
    1,
  ]);
});

Deno.test("create-checkout-session sends Stripe prices and metadata from the database", async () => {
  const here = world();
  await handle(requestOf(), here.deps);
  const params = here.asked[0]?.params;
  const metadata = {
    order_id: orderId,
    order_number: "KCT-1042",
    attempt: "1",
    cart_hash: "9b1f",
    lines_1: "SHIRT-OXF-WHT-M*2@12900",
  };
  assert.equal(params?.mode, "payment");
  assert.deepEqual(params?.metadata, metadata);
  assert.deepEqual(params?.payment_intent_data, { metadata, receipt_email: "ada@example.com" });
  assert.equal(params?.client_reference_id, orderId);
  assert.deepEqual(params?.line_items, [{
    quantity: 2,
    price_data: {
      currency: "usd",
      unit_amount: 12_900,
      product_data: {
        name: "Oxford Button-Down Shirt – White, M",
        metadata: { sku: "SHIRT-OXF-WHT-M" },
        description: "Sturdy oxford.",
        images: ["https://shop.example/store/images/oxford-shirt.svg"],
      },
    },
  }]);
  assert.deepEqual(params?.shipping_address_collection, { allowed_countries: ["US", "CA", "GB"] });
  assert.equal(params?.customer_creation, "always");
  assert.equal(params?.customer_email, "ada@example.com");
  assert.equal(params?.success_url, "https://shop.example/store/success?session_id={CHECKOUT_SESSION_ID}");
  assert.equal(params?.cancel_url, "https://shop.example/store/cancelled");
  assert.equal("payment_method_types" in (params ?? {}), false);
});

Deno.test("create-checkout-session reuses a known Stripe customer", async () => {
  const here = world({ begin: () => Promise.resolve(checkoutOf({ stripe_customer_id: "cus_1" })) });
  await handle(requestOf(), here.deps);
  assert.equal(here.asked[0]?.params.customer, "cus_1");
  assert.equal(here.asked[0]?.params.customer_email, undefined);
  assert.equal(here.asked[0]?.params.customer_creation, undefined);
});

Deno.test("create-checkout-session follows its switches", async () => {
  const here = world({
    env: {
      CHECKOUT_AUTOMATIC_TAX: "true",
      CHECKOUT_PROMOTION_CODES: "true",
      CHECKOUT_TERMS_CONSENT: "true",
      CHECKOUT_THREE_D_SECURE: "any",
      CHECKOUT_STATEMENT_DESCRIPTOR_SUFFIX: "MENSWEAR",
      CHECKOUT_SESSION_MINUTES: "60",
    },
  });
  await handle(requestOf(), here.deps);
  const params = here.asked[0]?.params;
  assert.deepEqual(params?.automatic_tax, { enabled: true });
  assert.equal(params?.allow_promotion_codes, true);
  assert.deepEqual(params?.consent_collection, { terms_of_service: "required" });
  assert.deepEqual(params?.payment_method_options, { card: { request_three_d_secure: "any" } });
  assert.equal(params?.payment_intent_data?.statement_descriptor_suffix, "MENSWEAR");
  assert.equal(here.begun[0]?.p_session_seconds, 3_660);
  assert((here.begun[0]?.p_hold_seconds ?? 0) > 3_660, "the hold outlives the session");
});

Deno.test("create-checkout-session never asks for more than Stripe's 24 hours", async () => {
  const here = world({ env: { CHECKOUT_SESSION_MINUTES: "1440" } });
  await handle(requestOf(), here.deps);
  assert((here.begun[0]?.p_session_seconds ?? Infinity) < 24 * 3600);
});

Deno.test("create-checkout-session uses one Stripe idempotency key per order, attempt and content", async () => {
  const keys: string[] = [];
  for (const [locale, attempt] of [[null, 1], [null, 1], [null, 2], ["de", 1]] as const) {
    const here = world({ begin: () => Promise.resolve(checkoutOf({ attempt, locale })) });
    await handle(requestOf(), here.deps);
    keys.push(here.asked[0]?.key ?? "");
  }
  assert.equal(keys[0], keys[1]);
  assert.equal(new Set(keys).size, 3);
  assert(nonEmpty(keys).every((key) => key.startsWith(`checkout_${orderId}_`) && key.length <= 255));
});

Deno.test("create-checkout-session sums duplicate lines of one SKU", async () => {
  const here = world();
  await handle(
    requestOf({ items: [{ sku: "A", quantity: 1 }, { sku: "B", quantity: 2 }, { sku: "A", quantity: 3 }] }),
    here.deps,
  );
  assert.deepEqual(here.begun[0]?.p_items, [{ sku: "A", quantity: 4 }, { sku: "B", quantity: 2 }]);
});

Deno.test("create-checkout-session answers a repeat with 200 and no call to Stripe", async () => {
  const session = {
    id: "cs_test_old",
    url: "https://checkout.stripe.com/old",
    status: "open",
    expires_at: Math.floor(Date.now() / 1000) + 60,
  };
  const here = world({ begin: () => Promise.resolve(checkoutOf({ outcome: "existing", session })) });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 200);
  assert.equal((await response.json()).url, session.url);
  assert.deepEqual([here.asked.length, here.attached.length], [0, 0]);
});

Deno.test("create-checkout-session sends the repeat of a paid checkout to the success page", async () => {
  const session = { id: "cs_test_paid", url: null, status: "complete", expires_at: 7 };
  const here = world({ begin: () => Promise.resolve(checkoutOf({ outcome: "existing", session })) });
  const response = await handle(requestOf(), here.deps);
  assert.equal((await response.json()).url, "https://shop.example/store/success?session_id=cs_test_paid");
});

Deno.test("create-checkout-session resumes an attempt whose answer was lost", async () => {
  const here = world({ begin: () => Promise.resolve(checkoutOf({ outcome: "existing" })) });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 200);
  assert.equal(here.asked.length, 1);
});

Deno.test("create-checkout-session starts another attempt when Stripe finds the end too near", async () => {
  const here = world({
    create: (attempt) =>
      attempt === 1
        ? Promise.reject(stripeRefusal("expires_at"))
        : Promise.resolve(sessionOf({ expires_at: 9 })),
  });
  assert.equal((await handle(requestOf(), here.deps)).status, 201);
  assert.equal(here.restarted, 1);
  assert.notEqual(here.asked[0]?.key, here.asked[1]?.key);
  assert.equal(here.attached[0]?.[1], 2);
});

Deno.test("create-checkout-session starts another attempt when Stripe replays a stored failure", async () => {
  const here = world({
    create: (attempt) =>
      attempt === 1
        ? Promise.reject(stripeRefusal("", { "idempotent-replayed": "true" }, 500))
        : Promise.resolve(sessionOf({ expires_at: 9 })),
  });
  assert.equal((await handle(requestOf(), here.deps)).status, 201);
  assert.equal(here.restarted, 1);
});

Deno.test("create-checkout-session makes a new customer for one that Stripe has deleted", async () => {
  const here = world({
    begin: () => Promise.resolve(checkoutOf({ stripe_customer_id: "cus_gone" })),
    create: (attempt) =>
      attempt === 1
        ? Promise.reject(stripeRefusal("customer"))
        : Promise.resolve(sessionOf({ expires_at: 9 })),
  });
  assert.equal((await handle(requestOf(), here.deps)).status, 201);
  assert.deepEqual(here.forgotten, ["cus_gone"]);
  assert.equal(here.asked[1]?.params.customer, "cus_new");
  assert(here.customers[0]?.key.startsWith("customer_c0ffee00-0000-4000-8000-000000000001_7_"));
});

Deno.test("create-checkout-session makes an account's first Stripe customer under a key that parallel requests share", async () => {
  const customer = { id: "c0ffee00-0000-4000-8000-000000000001", email: "ada@example.com", generation: 0 };
  const keys = await Promise.all([1, 2].map(async () => {
    const here = world({ begin: () => Promise.resolve(checkoutOf({ customer })) });
    await handle(requestOf(), here.deps);
    assert.equal(here.asked[0]?.params.customer, "cus_new");
    assert.equal(here.asked[0]?.params.customer_creation, undefined);
    assert.deepEqual(here.asked[0]?.params.saved_payment_method_options, { payment_method_save: "enabled" });
    assert.equal(here.customers.length, 1);
    return here.customers[0]?.key;
  }));
  assert.equal(keys[0], keys[1]);
});

Deno.test("create-checkout-session expires the session at Stripe when the database cannot note it", async () => {
  const here = world({
    attach: () => Promise.reject(new AppError("database_unavailable", { retryAfterSeconds: 5 })),
    expire: () => Promise.resolve({}),
  });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 503);
  assert.equal((await errorOf(response)).code, "database_unavailable");
  assert.equal(response.headers.get("retry-after"), "5");
  assert.deepEqual(here.expired, ["cs_test_unit"]);
});

Deno.test("create-checkout-session reads a session again whose answer Stripe repeats, and moves on when it has ended", async () => {
  const here = world({
    replayed: true,
    retrieve: () =>
      Promise.resolve({ ...sessionOf({ expires_at: 9 }), status: here.restarted === 0 ? "expired" : "open" }),
  });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 201);
  assert.equal(here.restarted, 1);
  assert.deepEqual(here.attached.map(([, attempt]) => attempt), [1, 2]);
});

Deno.test("create-checkout-session waits for a parallel request that holds the same Stripe key", async () => {
  const here = world({
    create: (attempt) =>
      attempt < 3
        ? Promise.reject(stripeRefusal("", {}, 409))
        : Promise.resolve(sessionOf({ expires_at: 9 })),
  });
  assert.equal((await handle(requestOf(), here.deps)).status, 201);
  assert.equal(new Set(here.asked.map(({ key }) => key)).size, 1);
});

Deno.test("create-checkout-session frees the stock of what Stripe refuses for good, and keeps it when Stripe is busy", async () => {
  const refused = world({ create: () => Promise.reject(stripeRefusal("consent_collection")) });
  const response = await handle(requestOf(), refused.deps);
  assert.equal(response.status, 409);
  assert.equal((await errorOf(response)).code, "checkout_refused");
  assert.equal(response.headers.get("retry-after"), null, "waiting does not help");
  assert.deepEqual(refused.abandoned, [{
    code: "invalid_request_error",
    param: "consent_collection",
    status: 400,
    message: "refused",
  }]);
  const busy = world({ create: () => Promise.reject(stripeRefusal("", { "retry-after": "2" }, 429)) });
  assert.equal((await handle(requestOf(), busy.deps)).status, 503);
  assert.deepEqual(busy.abandoned, []);
});

Deno.test("create-checkout-session takes no refusal of Stripe's for an outage, and tells staff of each", async () => {
  const cases: [AppError, number, string][] = [
    [stripeRefusal("line_items[0][price_data][unit_amount]"), 409, "checkout_refused"],
    [stripeRefusal("", {}, 404), 409, "checkout_refused"],
    [stripeRefusal("", {}, 401), 500, "internal_error"],
    [stripeRefusal("", {}, 403), 500, "internal_error"],
    [stripeRefusal(""), 400, "invalid_request"],
  ];
  for (const [refusal, status, code] of cases) {
    if (code === "invalid_request") Object.assign(refusal.cause as object, { code: "amount_too_small" });
    const here = world({ create: () => Promise.reject(refusal) });
    const response = await handle(requestOf(), here.deps);
    assert.deepEqual([response.status, (await errorOf(response)).code], [status, code]);
    assert.equal(response.headers.get("retry-after"), null);
    assert.equal(here.abandoned.length, 1);
    assert.notEqual(here.abandoned[0], null);
  }
});

Deno.test("create-checkout-session sells to an account whose address Stripe does not take", async () => {
  const customer = { id: "c0ffee00-0000-4000-8000-000000000001", email: "odd@example.com", generation: 0 };
  const here = world({ begin: () => Promise.resolve(checkoutOf({ customer, email: "odd@example.com" })) });
  here.customerRefusals.push(stripeRefusal("email"));
  assert.equal((await handle(requestOf(), here.deps)).status, 201);
  assert.deepEqual(here.customers.map(({ params }) => params.email), ["odd@example.com", undefined]);
  assert.equal(here.asked[0]?.params.payment_intent_data?.receipt_email, undefined);
  assert.deepEqual(here.abandoned, []);
});

Deno.test("create-checkout-session ends the payment pages that a new cart takes the place of, then begins", async () => {
  let begun = 0;
  const here = world({
    begin: () =>
      Promise.resolve(++begun === 1 ? { outcome: "superseded", session_ids: ["cs_old"] } : checkoutOf()),
    expire: (id) => Promise.resolve({ ...sessionOf({ expires_at: 9 }), id, status: "expired" }),
  });
  assert.equal((await handle(requestOf({ ...cart, previous_session_id: "cs_old" }), here.deps)).status, 201);
  assert.deepEqual(here.expired, ["cs_old"]);
  assert.deepEqual(here.applied.map((fact) => (fact as { status: string }).status), ["expired"]);
  assert.deepEqual(
    here.begun.map(({ p_supersede, p_previous_session_id }) => [p_supersede, p_previous_session_id]),
    [
      [true, "cs_old"],
      [true, "cs_old"],
    ],
  );
});

Deno.test("create-checkout-session changes nothing when the old payment page cannot be ended", async () => {
  const here = world({ begin: () => Promise.resolve({ outcome: "superseded", session_ids: ["cs_old"] }) });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "5");
  assert.deepEqual([here.begun.length, here.asked.length, here.applied.length], [1, 0, 0]);
});

Deno.test("create-checkout-session tells the shopper about an address that Stripe does not take", async () => {
  const here = world({ create: () => Promise.reject(stripeRefusal("customer_email")) });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 400);
  assert.deepEqual((await errorOf(response)).details, [{
    path: "customer_email",
    message: "is not accepted by the payment provider",
  }]);
  assert.deepEqual(here.abandoned, [null], "staff have nothing to fix");
});

Deno.test("create-checkout-session answers 503 with Retry-After when Stripe fails", async () => {
  const failure = new AppError("stripe_unavailable", { retryAfterSeconds: 5, cause: new Error("down") });
  const here = world({ create: () => Promise.reject(failure) });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 503);
  assert.equal((await errorOf(response)).code, "stripe_unavailable");
  assert.equal(response.headers.get("retry-after"), "5");
  assert.equal(here.attached.length, 0);
});

for (const nonsense of [{}, { id: "cs_1" }, { id: "pi_1", url: "https://x", expires_at: 1 }, null, "ok"]) {
  Deno.test(`create-checkout-session takes ${JSON.stringify(nonsense)} for no answer of Stripe's`, async () => {
    const here = world({ create: () => Promise.resolve(nonsense) });
    const response = await handle(requestOf(), here.deps);
    assert.equal(response.status, 503);
    assert.equal(here.attached.length, 0);
  });
}

Deno.test("create-checkout-session answers 429 from the limiter and from velocity rules", async () => {
  const limited = await handle(requestOf(), world({ allowed: false }).deps);
  assert.equal(limited.status, 429);
  assert.equal((await errorOf(limited)).code, "rate_limited");
  assert.equal(limited.headers.get("retry-after"), "33");
  const fast = world({
    begin: () => Promise.resolve({ outcome: "velocity_exceeded", retry_after_seconds: 600 }),
  });
  const response = await handle(requestOf(), fast.deps);
  assert.equal((await errorOf(response)).code, "velocity_exceeded");
  assert.equal(response.headers.get("retry-after"), "600");
  assert.equal(fast.asked.length, 0);
});

Deno.test("create-checkout-session gives callers without an address one strict bucket", async () => {
  const here = world();
  const request = requestOf();
  request.headers.delete("cf-connecting-ip");
  await handle(request, here.deps);
  const [first] = here.limited[0] as unknown[];
  assert.deepEqual(first, { key: "checkout:unknown", limit: 10, window_seconds: 60 });
});

Deno.test("create-checkout-session counts by address, not by what anybody can type", async () => {
  const here = world();
  await handle(requestOf(), here.deps);
  const keys = (here.limited[0] as { key: string }[]).map(({ key }) => key);
  assert.deepEqual(keys, ["checkout:203.0.113.7"]);
});

Deno.test("create-checkout-session passes the database's refusals on", async () => {
  const details = [{ sku: "A", requested: 2, available: 1 }];
  const here = world({ begin: () => Promise.reject(new AppError("insufficient_stock", { details })) });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 409);
  assert.deepEqual((await errorOf(response)).details, details);
});

Deno.test("create-checkout-session gives Stripe's customer the account's new address before the session", async () => {
  const checkout = checkoutOf({
    stripe_customer_id: "cus_1",
    email: "new@example.com",
    customer_email: "new@example.com",
    customer_email_change: 3,
  });
  const here = world({ begin: () => Promise.resolve(checkout) });
  assert.equal((await handle(requestOf(), here.deps)).status, 201);
  assert.deepEqual(here.updatedCustomers, [["cus_1", { email: "new@example.com" }]]);
  assert.equal(here.asked[0]?.params.customer, "cus_1");
  assert.equal(here.attached[0]?.[3], 3, "so that Stripe is told once");

  const refused = world({ begin: () => Promise.resolve(checkout) });
  refused.customerRefusals.push(stripeRefusal("email"));
  assert.equal((await handle(requestOf(), refused.deps)).status, 201);
  assert.equal(refused.asked[0]?.params.customer, "cus_1", "with the address that it has");

  const same = world({ begin: () => Promise.resolve(checkoutOf({ stripe_customer_id: "cus_1" })) });
  await handle(requestOf(), same.deps);
  assert.deepEqual(same.updatedCustomers, []);
});
