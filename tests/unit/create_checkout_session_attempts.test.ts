/** What Stripe answers to a checkout, and what becomes of it then. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { handle } from "../../supabase/functions/create-checkout-session/handler.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { errorOf } from "./fakes.ts";
import { cart, checkoutOf, requestOf, sessionOf, stripeRefusal, world } from "./checkout_world.ts";

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

Deno.test("create-checkout-session makes an account's customer although Stripe replays that it failed", async () => {
  const customer = { id: "c0ffee00-0000-4000-8000-000000000001", email: "ada@example.com", generation: 0 };
  const stored = new Set<string>();
  const here = world({ begin: () => Promise.resolve(checkoutOf({ customer })) });
  here.deps.stripe.createCustomer = (params, key) => {
    here.customers.push({ params, key });
    stored.add(here.customers[0]?.key ?? "");
    return stored.has(key)
      ? Promise.reject(stripeRefusal("", { "idempotent-replayed": "true" }, 500))
      : Promise.resolve({ id: "cus_new" } as Stripe.Customer);
  };
  assert.equal((await handle(requestOf(), here.deps)).status, 201);
  assert.equal(here.asked[0]?.params.customer, "cus_new");
  assert.equal(here.restarted, 0);
});

Deno.test("create-checkout-session expires the session at Stripe when the database cannot note it", async () => {
  const here = world({
    attach: () => Promise.reject(new AppError("database_unavailable", { retryAfterSeconds: 5 })),
    expire: () => Promise.resolve({}),
  });
  const response = await handle(requestOf(), here.deps);
  assert.equal(response.status, 503);
  assert.equal((await errorOf(response)).code, "database_unavailable");
  assert.match(response.headers.get("retry-after") ?? "", /^[5-9]$/);
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
  assert.match(response.headers.get("retry-after") ?? "", /^[5-9]$/);
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
  assert.match(response.headers.get("retry-after") ?? "", /^[5-9]$/);
  assert.equal(here.attached.length, 0);
});
