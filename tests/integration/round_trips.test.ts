import assert from "node:assert/strict";
import { testStack } from "../support/stack.ts";
import { eventOf, holdDeliveries, payOrder } from "./webhook/paid_order.ts";
import { foreignEvent, signedRequest } from "./webhook/webhook_function.ts";

interface Counter extends AsyncDisposable {
  url: string;
  target: string;
  /** `POST /path` of every request that passed. */
  calls: string[];
}

/** A proxy that counts; its target is set once the stack is up. */
function startCounter(): Counter {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const url = new URL(request.url);
    counter.calls.push(`${request.method} ${url.pathname}`);
    return await fetch(`${counter.target}${url.pathname}${url.search}`, {
      method: request.method,
      headers: request.headers,
      body: request.body === null ? null : await request.arrayBuffer(),
    });
  });
  const counter: Counter = {
    url: `http://127.0.0.1:${server.addr.port}`,
    target: "",
    calls: [],
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return counter;
}

Deno.test("round trips per request stay within the budget", async (test) => {
  await using database = startCounter();
  await using stripe = startCounter();
  await using stack = await testStack({ env: { SUPABASE_URL: database.url, STRIPE_API_BASE: stripe.url } });
  database.target = stack.api_url;
  stripe.target = stack.stripe_url;

  const checkout = async (headers: Record<string, string> = {}) => {
    const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
      method: "POST",
      headers: { "apikey": stack.publishable_key, "content-type": "application/json", ...headers },
      body: JSON.stringify({
        items: [{ sku: "SHIRT-OXF-BLU-M", quantity: 1 }],
        customer_email: "ada@example.com",
      }),
    });
    assert(response.ok, await response.clone().text());
    return await response.json();
  };
  const deliver = async (event: object) => {
    const url = `${stack.functions_url}/stripe-webhook`;
    const response = await fetch(await signedRequest(event, { secret: stack.stripe_webhook_secret }, url));
    assert.equal(response.status, 200, await response.text());
  };
  // A worker's first delivery also waits for the list of addresses.
  await deliver(foreignEvent());

  const counted = async (work: () => Promise<unknown>) => {
    database.calls.length = 0;
    stripe.calls.length = 0;
    await work();
    // Told behind the answers, seconds later, for all requests together.
    const asked = database.calls.filter((call) => !call.endsWith("/record_metrics"));
    return { database: asked, stripe: [...stripe.calls] };
  };

  await test.step("checkout: at most three, and one call to Stripe", async () => {
    const calls = await counted(() => checkout({ "idempotency-key": "budget" }));
    assert(calls.database.length >= 1 && calls.database.length <= 3, calls.database.join(", "));
    assert.deepEqual(calls.stripe, ["POST /v1/checkout/sessions"]);
  });

  await test.step("checkout, repeated: no call to Stripe", async () => {
    const calls = await counted(() => checkout({ "idempotency-key": "budget" }));
    assert(calls.database.length <= 3, calls.database.join(", "));
    assert.deepEqual(calls.stripe, []);
  });

  await test.step("webhook: one, and no call to Stripe", async () => {
    await holdDeliveries(stack);
    const order = await payOrder(stack);
    const calls = await counted(() => deliver(eventOf(order, "checkout.session.completed")));
    assert.deepEqual(calls, { database: ["POST /rest/v1/rpc/receive_stripe_event"], stripe: [] });
  });

  await test.step("order-status of a settled order: one, and no call to Stripe", async () => {
    const order = await payOrder(stack);
    const read = async () => {
      const response = await fetch(`${stack.functions_url}/order-status?session_id=${order.sessionId}`, {
        headers: { apikey: stack.publishable_key },
      });
      return (await response.json()).status;
    };
    const first = await counted(read);
    assert.equal(first.stripe.length, 1, "not settled yet: Stripe is asked");
    assert(first.database.length <= 3, first.database.join(", "));
    assert.equal(await read(), "paid");
    const second = await counted(read);
    assert.deepEqual([second.database.length, second.stripe.length], [1, 0]);
  });
});
