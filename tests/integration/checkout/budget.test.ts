import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { checkout, control, signUp, startProxy } from "./shop.ts";

Deno.test("checkout stays within three round trips to the database and one call to Stripe", async (test) => {
  await using database = startProxy();
  await using stripe = startProxy();
  await using stack = await testStack({
    env: { SUPABASE_URL: database.url, STRIPE_API_BASE: stripe.url, VELOCITY_MODE: "enforce" },
  });
  database.target = stack.api_url;
  stripe.target = stack.stripe_url;
  // The webhook's own calls are counted elsewhere.
  await control(stack, "faults", { deliver: { drop: 1 } });
  const token = await signUp(stack);
  // The worker's first look at a user's token fetches Auth's keys.
  await checkout(stack, { items: [{ sku: "NOPE", quantity: 1 }] }, { token });

  const counted = async (
    body: Parameters<typeof checkout>[1],
    options: Parameters<typeof checkout>[2],
    status: number,
  ) => {
    database.calls.length = 0;
    stripe.calls.length = 0;
    const answer = await checkout(stack, body, options);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    return {
      // What is counted is told behind the answers, by the clock, for all requests together.
      database: database.calls.map((call) => call.replace("POST /rest/v1/rpc/", ""))
        .filter((name) => name !== "record_metrics"),
      stripe: [...stripe.calls],
    };
  };
  const full = ["take_rate_limits", "begin_checkout", "attach_checkout_session"];
  const create = "POST /v1/checkout/sessions";

  await test.step("a guest", async () => {
    assert.deepEqual(await counted({ customer_email: "a@example.com" }, {}, 201), {
      database: full,
      stripe: [create],
    });
  });
  await test.step("an account for the first time: one call more, for its customer", async () => {
    assert.deepEqual(await counted({}, { token, key: "1" }, 201), {
      database: full,
      stripe: ["POST /v1/customers", create],
    });
  });
  await test.step("its repeat: none to Stripe", async () => {
    assert.deepEqual(await counted({}, { token, key: "1" }, 200), { database: full.slice(0, 2), stripe: [] });
  });
  await test.step("its changed cart: the old page is closed first", async () => {
    const calls = await counted(
      { items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }] },
      { token, key: "2" },
      201,
    );
    assert.deepEqual(calls.database, [
      "take_rate_limits",
      "begin_checkout",
      "apply_stripe_facts",
      "begin_checkout",
      "attach_checkout_session",
    ]);
    assert.equal(calls.stripe.length, 2);
    assert.match(calls.stripe[0] ?? "", /^POST \/v1\/checkout\/sessions\/cs_\w+\/expire$/);
  });
  await test.step("an unknown article: Stripe is not asked", async () => {
    assert.deepEqual(await counted({ items: [{ sku: "NOPE", quantity: 1 }] }, {}, 404), {
      database: full.slice(0, 2),
      stripe: [],
    });
  });
});
