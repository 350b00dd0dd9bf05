import assert from "node:assert/strict";
import { handle } from "../../supabase/functions/create-checkout-session/handler.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { errorOf, keptLog } from "./fakes.ts";
import { cart, checkoutOf, orderId, requestOf, stripeRefusal, world } from "./checkout_world.ts";
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
    client_secret: null,
    expires_at: 1_762_522_260,
    currency: "usd",
    amount_subtotal: 25_800,
  });
});

for (const ui_mode of ["embedded_page", "elements"]) {
  Deno.test(`create-checkout-session gives ${ui_mode} a secret instead of an address, and keeps it nowhere`, async () => {
    const here = world();
    const kept = keptLog();
    here.deps.log = kept.log;
    const response = await handle(requestOf({ ...cart, ui_mode }), here.deps);
    const { url, client_secret } = await response.json();
    assert.deepEqual([url, client_secret], [null, "cs_test_unit_secret_1"]);
    assert.equal(here.begun[0]?.p_ui_mode, ui_mode);
    const { success_url, cancel_url, return_url } = here.asked[0]?.params ?? {};
    const back = "https://shop.example/store/success?session_id={CHECKOUT_SESSION_ID}";
    assert.deepEqual([success_url, cancel_url, return_url], [undefined, undefined, back]);
    assert.doesNotMatch(JSON.stringify([here.attached, kept.lines]), /_secret_/);
  });
}

Deno.test("create-checkout-session reads the secret of a repeat from Stripe, and says so when it cannot", async () => {
  const session = { id: "cs_test_unit", url: null, status: "open", expires_at: 1 };
  const repeat = (retrieve: () => Promise<unknown>) => {
    const here = world({
      begin: () => Promise.resolve(checkoutOf({ outcome: "existing", session })),
      retrieve,
    });
    return handle(requestOf({ ...cart, ui_mode: "embedded_page" }), here.deps);
  };
  const open = { ...session, client_secret: "cs_test_unit_secret_2" };
  const answer = await repeat(() => Promise.resolve(open));
  assert.deepEqual([answer.status, (await answer.json()).client_secret], [200, open.client_secret]);
  const down = await repeat(() => Promise.reject(stripeRefusal("", {}, 500)));
  assert.equal((await errorOf(down)).code, "stripe_unavailable");
  const blind = await repeat(() => Promise.resolve({ ...open, client_secret: null }));
  assert.equal((await errorOf(blind)).code, "stripe_unavailable");
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
    shop_id: "8f0e1d2c3b4a5968",
    attempt: "1",
    cart_hash: "9b1f",
    lines_1: "SHIRT-OXF-WHT-M*2@12900#11111111-2222-4333-8444-555555555555",
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
