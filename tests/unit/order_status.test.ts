import assert from "node:assert/strict";
import Stripe from "stripe";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import {
  type Bucket,
  createMemoryLimiter,
  type LimitDecision,
} from "../../supabase/functions/_shared/limits/rate_limit.ts";
import type { OrderStatus } from "../../supabase/functions/_shared/database/orders.ts";
import type { Fact } from "../../supabase/functions/_shared/stripe_events/facts.ts";
import { type Deps, handle } from "../../supabase/functions/order-status/handler.ts";
import { errorOf, fixedClock, fixture, keptLog, publishableKey, testEnv } from "./fakes.ts";

const someSession = "cs_test_a1MadeUpButOfTheRightShapeForUnitTests";
const pending: OrderStatus = {
  order_number: "KCT-1042",
  status: "pending",
  fulfillment_status: "unfulfilled",
  currency: "usd",
  amount_total: 25_800,
  items: [],
  paid_at: null,
  settled: false,
};
const paid: OrderStatus = { ...pending, status: "paid", paid_at: "2026-11-07T13:00:44Z", settled: true };

function world(
  statuses: (OrderStatus | null)[],
  retrieve?: () => Promise<Stripe.Checkout.Session>,
  room: LimitDecision = { allowed: true, retry_after_seconds: 0, key: null },
) {
  const applied: { facts: Fact[]; source: string; at: Date }[] = [];
  let reads = 0;
  let retrieved = 0;
  const taken: Bucket[] = [];
  const clock = fixedClock();
  const deps: Deps = {
    env: testEnv(),
    rpc: {
      getOrderStatus: () => Promise.resolve(statuses[Math.min(reads++, statuses.length - 1)] ?? null),
      applyStripeFacts: (facts, source, at) => {
        applied.push({ facts, source, at });
        return Promise.resolve(true);
      },
    },
    retrieveSession: () => {
      retrieved += 1;
      return retrieve?.() ?? Promise.reject(new Error("not expected"));
    },
    limiter: {
      take: (buckets) => {
        taken.push(...buckets);
        return Promise.resolve(room);
      },
    },
    polls: createMemoryLimiter(clock),
    log: keptLog().log,
    now: clock.now,
  };
  return { deps, applied, taken, clock, reads: () => reads, retrieved: () => retrieved };
}

function requestOf(
  query = `?session_id=${someSession}`,
  headers: Record<string, string> = { apikey: publishableKey },
) {
  return new Request(`http://functions.example/order-status${query}`, { headers });
}

async function sessionWithPayment(): Promise<Stripe.Checkout.Session> {
  const objectOf = async (type: string) =>
    ((await fixture(type))["data"] as { object: Record<string, unknown> }).object;
  const charge = await objectOf("charge.succeeded");
  const intent = { ...await objectOf("payment_intent.succeeded"), latest_charge: charge };
  return {
    ...await objectOf("checkout.session.completed"),
    payment_intent: intent,
  } as unknown as Stripe.Checkout.Session;
}

Deno.test("order-status answers a settled order from the database alone", async () => {
  const { deps, retrieved } = world([paid]);
  const response = await handle(requestOf(), deps);
  assert.equal(response.status, 200);
  const { settled: _, ...shown } = paid;
  assert.deepEqual(await response.json(), shown);
  assert.equal(retrieved(), 0);
});

Deno.test("order-status settles from Stripe when the webhook has not arrived", async () => {
  const { deps, applied, clock } = world([pending, paid], sessionWithPayment);
  const response = await handle(requestOf(), deps);
  assert.equal((await response.json()).status, "paid");
  assert.deepEqual(applied[0]?.facts.map((fact) => fact.fact), [
    "checkout_session",
    "payment",
    "payment_attempt",
  ]);
  assert.equal(applied[0]?.source, "order_status");
  assert.equal(applied[0]?.at.getTime(), clock.now());
});

Deno.test("order-status shows what the database knows when Stripe fails", async () => {
  const { deps } = world([pending], () => Promise.reject(new AppError("stripe_unavailable")));
  const response = await handle(requestOf(), deps);
  assert.equal(response.status, 200);
  assert.equal((await response.json()).status, "pending");
});

Deno.test("order-status shows exactly the documented fields, whatever SQL adds", async () => {
  const { deps } = world([{ ...paid, email: "ada@example.com" } as OrderStatus]);
  const shown = await (await handle(requestOf(), deps)).json();
  assert.deepEqual(Object.keys(shown).sort(), [
    "amount_total",
    "currency",
    "fulfillment_status",
    "items",
    "order_number",
    "paid_at",
    "status",
  ]);
});

Deno.test("order-status asks Stripe each time, and every two seconds for a page that polls without need", async () => {
  const { deps, clock, retrieved } = world([pending], sessionWithPayment);
  for (let poll = 1; poll <= 20; poll++) {
    assert.equal((await handle(requestOf(), deps)).status, 200);
    assert.equal(retrieved(), poll);
  }
  for (let second = 0; second < 10; second++) {
    for (let poll = 0; poll < 5; poll++) await handle(requestOf(), deps);
    clock.advance(1000);
  }
  assert.equal(retrieved(), 25);
  await handle(requestOf("?session_id=cs_test_another"), deps);
  assert.equal(retrieved(), 26, "another page has its own count");
});

/** How stripe-node says that Stripe refused. */
function refusal(statusCode: number): AppError {
  return new AppError("stripe_unavailable", {
    cause: new Stripe.errors.StripeInvalidRequestError({
      type: "invalid_request_error",
      statusCode,
      message: "",
    }),
  });
}

Deno.test("order-status settles a paid session that only Stripe knows yet", async () => {
  const { deps, applied, taken, retrieved } = world([null, paid], sessionWithPayment);
  const response = await handle(requestOf(), deps);
  assert.equal(response.status, 200);
  assert.equal((await response.json()).status, "paid");
  assert.deepEqual([applied.length, retrieved()], [1, 1]);
  assert.deepEqual(taken.map(({ key, limit }) => [key.replace(/:.*/, ""), limit]), [
    ["order-status", 30],
    ["order-status", 300],
  ]);
});

Deno.test("order-status leaves alone what only Stripe knows and is none of ours, or open", async () => {
  const session = await sessionWithPayment();
  for (const other of [{ metadata: {}, recovered_from: null }, { status: "open" as const }]) {
    const { deps, applied } = world([null], () => Promise.resolve({ ...session, ...other }));
    assert.equal((await errorOf(await handle(requestOf(), deps))).code, "order_not_found");
    assert.deepEqual(applied, []);
  }
});

Deno.test("order-status of an unknown session, while Stripe cannot say, is worth another try", async () => {
  for (const failure of [new AppError("stripe_unavailable"), refusal(429)]) {
    const { deps } = world([null], () => Promise.reject(failure));
    const response = await handle(requestOf(), deps);
    assert.equal(response.status, 503);
    assert.equal((await errorOf(response)).code, "stripe_unavailable");
  }
});

Deno.test("order-status asks Stripe for made-up sessions only so many times a minute", async () => {
  const { deps, retrieved } = world([null], undefined, {
    allowed: false,
    retry_after_seconds: 17,
    key: "order-status:unknown",
  });
  const response = await handle(requestOf(), deps);
  assert.deepEqual([response.status, response.headers.get("retry-after")], [429, "17"]);
  assert.equal(retrieved(), 0);
});

Deno.test("order-status answers 404 for sessions that nobody knows", async () => {
  const { deps, reads } = world([null], () => Promise.reject(refusal(404)));
  const unknown = await handle(requestOf(), deps);
  assert.equal(unknown.status, 404);
  assert.equal((await errorOf(unknown)).code, "order_not_found");
  for (const id of ["pi_1", "cs_' or 1=1", "cs_" + "a".repeat(400), "%00"]) {
    assert.equal((await handle(requestOf(`?session_id=${encodeURIComponent(id)}`), deps)).status, 404);
  }
  assert.equal(reads(), 1, "what cannot be a session costs no round trip");
});

Deno.test("order-status asks nobody about an id that cannot be one of this shop's sessions", async () => {
  const { deps, retrieved, taken } = world([null], sessionWithPayment);
  for (const id of ["cs_x1", "cs_test_short", "cs_live_a1MadeUpButOfTheRightShapeForUnitTests"]) {
    const response = await handle(requestOf(`?session_id=${id}`), deps);
    assert.equal((await errorOf(response)).code, "order_not_found");
  }
  assert.deepEqual([retrieved(), taken], [0, []]);
});

Deno.test("order-status needs a session id, a key and GET", async () => {
  const { deps } = world([paid]);
  assert.equal((await handle(requestOf(""), deps)).status, 400);
  assert.equal((await handle(requestOf(undefined, {}), deps)).status, 401);
  const post = new Request("http://functions.example/order-status", { method: "POST", body: "{}" });
  assert.equal((await handle(post, deps)).status, 405);
});
