import assert from "node:assert/strict";
import Stripe from "stripe";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import {
  type Bucket,
  createMemoryLimiter,
  type LimitDecision,
} from "../../supabase/functions/_shared/limits/rate_limit.ts";
import type { OrderKey, OrderStatus } from "../../supabase/functions/_shared/database/orders.ts";
import type { Fact } from "../../supabase/functions/_shared/stripe_events/facts.ts";
import { orderPageToken } from "../../supabase/functions/_shared/checkout/order_link.ts";
import { resumeToken } from "../../supabase/functions/_shared/checkout/resume_link.ts";
import { orderStatusAnswer } from "../../supabase/functions/_shared/http/answers.ts";
import { type Deps, handle } from "../../supabase/functions/order-status/handler.ts";
import { errorOf, fixedClock, fixture, keptLog, publishableKey, testEnv } from "./fakes.ts";

const someSession = "cs_test_a1MadeUpButOfTheRightShapeForUnitTests";
const pending: OrderStatus = {
  order_id: "0190a2b4-0000-4000-8000-00000000abcd",
  order_number: "KCT-1042",
  status: "pending",
  fulfillment_status: "unfulfilled",
  currency: "usd",
  amount_subtotal: 25_800,
  amount_discount: 0,
  amount_shipping: 0,
  amount_tax: 0,
  amount_total: 25_800,
  amount_refunded: 0,
  items: [],
  paid_at: null,
  presentment: null,
  shipments: [],
  returns: [],
  refunds: [],
  live_topic: "order-page:1f",
  session_id: someSession,
  settled: false,
};
const paid: OrderStatus = { ...pending, status: "paid", paid_at: "2026-11-07T13:00:44Z", settled: true };

function world(
  statuses: (OrderStatus | null)[],
  retrieve?: () => Promise<Stripe.Checkout.Session>,
  room: LimitDecision = { allowed: true, retry_after_seconds: 0, key: null },
) {
  const applied: { facts: Fact[]; source: string; at: Date }[] = [];
  const keys: OrderKey[] = [];
  let reads = 0;
  let retrieved = 0;
  const taken: Bucket[] = [];
  const clock = fixedClock();
  const deps: Deps = {
    env: testEnv(),
    rpcWithin: () => ({
      getOrderStatus: (key) => {
        keys.push(key);
        const status = statuses[Math.min(reads++, statuses.length - 1)] ?? null;
        const { sessionId = someSession } = key as { sessionId?: string };
        return Promise.resolve(status && { ...status, session_id: status.session_id && sessionId });
      },
      applyStripeFacts: (facts, source, at) => {
        applied.push({ facts, source, at });
        return Promise.resolve(true);
      },
    }),
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
  return { deps, applied, keys, taken, clock, reads: () => reads, retrieved: () => retrieved };
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
  const { settled: _, session_id: __, order_id: ___, ...shown } = paid;
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
  assert.deepEqual(orderStatusAnswer.parse(shown), shown);
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

const orderId = "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42";

Deno.test("order-status shows the order of a mail's link for 90 days, and settles it from Stripe all the same", async () => {
  const { deps, keys, clock, retrieved } = world([pending, paid], sessionWithPayment);
  const token = await orderPageToken(orderId, deps.env, clock.now());
  const open = () => handle(requestOf(`?token=${token}`), deps);
  assert.equal((await (await open()).json()).status, "paid");
  assert.deepEqual([keys, retrieved()], [[{ orderId }, { orderId }], 1]);
  clock.advance(90 * 86_400_000 - 1);
  assert.equal((await open()).status, 200);
  clock.advance(1);
  const late = await open();
  assert.deepEqual([late.status, (await errorOf(late)).code], [410, "link_expired"]);
});

Deno.test("order-status shows an order of a mail's link that has no payment page, and asks nobody", async () => {
  const { deps, clock, retrieved } = world([{ ...pending, session_id: null }]);
  const token = await orderPageToken(orderId, deps.env, clock.now());
  assert.equal((await handle(requestOf(`?token=${token}`), deps)).status, 200);
  assert.equal(retrieved(), 0);
});

Deno.test("order-status refuses tokens that it did not sign, or signed for something else, without a round trip", async () => {
  const { deps, clock, reads } = world([paid]);
  const good = await orderPageToken(orderId, deps.env, clock.now());
  const end = Math.floor(clock.now() / 1000) + 60;
  for (
    const token of [
      "x",
      good.slice(0, -1),
      `${good}A`,
      good.replace(orderId, crypto.randomUUID()),
      await resumeToken(orderId, end, deps.env),
      await orderPageToken(orderId, { linkSigningSecret: "another".repeat(8) }, clock.now()),
    ]
  ) {
    const answer = await handle(requestOf(`?token=${token}`), deps);
    assert.deepEqual([answer.status, (await errorOf(answer)).code], [400, "invalid_request"], token);
  }
  const both = await handle(requestOf(`?token=${good}&session_id=${someSession}`), deps);
  assert.equal(both.status, 400);
  assert.equal((await handle(requestOf(`?token=${good}`, {}), deps)).status, 401);
  assert.equal(reads(), 0);
});

Deno.test("order-status has nothing for a link to an order that is gone", async () => {
  const { deps, clock, taken } = world([null]);
  const token = await orderPageToken(orderId, deps.env, clock.now());
  const gone = await handle(requestOf(`?token=${token}`), deps);
  assert.deepEqual([gone.status, (await errorOf(gone)).code, taken], [404, "order_not_found", []]);
});

Deno.test("order-status logs no token", async () => {
  const { log, lines } = keptLog();
  const { deps, clock } = world([pending], () => Promise.reject(new AppError("stripe_unavailable")));
  const token = await orderPageToken(orderId, deps.env, clock.now());
  await handle(requestOf(`?token=${token}`), { ...deps, log });
  await handle(requestOf(`?token=${token}x`), { ...deps, log });
  assert.notEqual(lines.length, 0);
  assert.ok(!JSON.stringify(lines).includes(token.slice(-20)));
});
