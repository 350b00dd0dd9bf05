import assert from "node:assert/strict";
import type Stripe from "stripe";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import type { OrderStatus } from "../../supabase/functions/_shared/rpc.ts";
import type { Fact } from "../../supabase/functions/_shared/stripe_events/facts.ts";
import { type Deps, handle } from "../../supabase/functions/order-status/handler.ts";
import { errorOf, fixedClock, fixture, keptLog, publishableKey, testEnv } from "./fakes.ts";

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

function world(statuses: (OrderStatus | null)[], retrieve?: () => Promise<Stripe.Checkout.Session>) {
  const applied: { facts: Fact[]; source: string; at: Date }[] = [];
  let reads = 0;
  let retrieved = 0;
  const clock = fixedClock();
  const deps: Deps = {
    env: testEnv(),
    rpc: {
      getOrderStatus: () => Promise.resolve(statuses[Math.min(reads++, statuses.length - 1)] ?? null),
      applyStripeFacts: (facts, source, at) => {
        applied.push({ facts, source, at });
        return Promise.resolve({ applied: true, order_ids: [] });
      },
    },
    retrieveSession: () => {
      retrieved += 1;
      return retrieve?.() ?? Promise.reject(new Error("not expected"));
    },
    log: keptLog().log,
    now: clock.now,
  };
  return { deps, applied, clock, reads: () => reads, retrieved: () => retrieved };
}

function requestOf(
  query = "?session_id=cs_test_unit",
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

Deno.test("order-status shows exactly the contract's fields, whatever SQL adds", async () => {
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

Deno.test("order-status answers 404 for sessions it does not know", async () => {
  const { deps, reads } = world([null]);
  const unknown = await handle(requestOf(), deps);
  assert.equal(unknown.status, 404);
  assert.equal((await errorOf(unknown)).code, "order_not_found");
  for (const id of ["pi_1", "cs_' or 1=1", "cs_" + "a".repeat(400), "%00"]) {
    assert.equal((await handle(requestOf(`?session_id=${encodeURIComponent(id)}`), deps)).status, 404);
  }
  assert.equal(reads(), 1, "what cannot be a session costs no round trip");
});

Deno.test("order-status needs a session id, a key and GET", async () => {
  const { deps } = world([paid]);
  assert.equal((await handle(requestOf(""), deps)).status, 400);
  assert.equal((await handle(requestOf(undefined, {}), deps)).status, 401);
  const post = new Request("http://functions.example/order-status", { method: "POST", body: "{}" });
  assert.equal((await handle(post, deps)).status, 405);
});
