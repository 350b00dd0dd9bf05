import assert from "node:assert/strict";
import type Stripe from "stripe";
import type { Fact } from "../../../supabase/functions/_shared/stripe_events/facts.ts";
import { enabledEvents, translate } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { checkoutSessionFacts } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import { fixture } from "../fakes.ts";

const orderId = "6f1c2b9e-4c57-4c0f-9d6e-0a5d3a1b7c42";
const paymentId = "pi_3SRk2mLkdIwHu7ix0aB1cD2e";

/** Types whose objects carry our metadata; the others are facts whoever made them. */
const ownedTypes = enabledEvents.filter((type) =>
  /^(checkout\.session|payment_intent)\./.test(type) ||
  /^charge\.(succeeded|failed|refunded|updated)$/.test(type)
);

async function event(type: string): Promise<Stripe.Event> {
  return await fixture(type) as unknown as Stripe.Event;
}

function objectOf(given: Stripe.Event): Record<string, unknown> {
  return given.data.object as unknown as Record<string, unknown>;
}

function factsOf(given: Stripe.Event): Fact[] {
  const translation = translate(given);
  assert.equal(translation.kind, "facts");
  return translation.kind === "facts" ? translation.facts : [];
}

async function fact<K extends Fact["fact"]>(type: string, kind: K): Promise<Extract<Fact, { fact: K }>> {
  const found = factsOf(await event(type)).find((candidate) => candidate.fact === kind);
  assert(found !== undefined, `${type} has no ${kind} fact`);
  return found as Extract<Fact, { fact: K }>;
}

Deno.test("the registry has a fixture for each event and no fixture is left over", async () => {
  const files = await Array.fromAsync(Deno.readDir(new URL("../../fixtures/events", import.meta.url)));
  assert.deepEqual(files.map(({ name }) => name.replace(/\.json$/, "")).sort(), [...enabledEvents].sort());
});

for (const type of enabledEvents) {
  Deno.test(`translate() makes facts without undefined of ${type}`, async () => {
    const facts = factsOf(await event(type));
    assert(facts.length > 0);
    for (const found of facts) {
      assert.notEqual(found.fact, "unknown_value", JSON.stringify(found));
      for (const [field, value] of Object.entries(found)) {
        assert(value !== undefined, `${found.fact}.${field}`);
      }
    }
  });
}

for (const type of ownedTypes) {
  Deno.test(`translate() ignores ${type} of an object that is not ours`, async () => {
    for (const metadata of [null, {}, { order_id: "1042" }, { order_id: `${orderId}'; drop table orders` }]) {
      const foreign = await event(type);
      objectOf(foreign)["metadata"] = metadata;
      assert.deepEqual(translate(foreign), { kind: "ignored", reason: "foreign_object" });
    }
  });
}

Deno.test("translate() ignores types it does not listen to, names of Object.prototype included", async () => {
  for (const type of ["invoice.created", "toString", "__proto__", "constructor"]) {
    const given = { ...await event("charge.succeeded"), type } as unknown as Stripe.Event;
    assert.deepEqual(translate(given), { kind: "ignored", reason: "unsubscribed_type" });
  }
});

Deno.test("checkout.session.completed says what was bought, by whom, and what it cost", async () => {
  const session = await fact("checkout.session.completed", "checkout_session");
  assert.equal(session.order_id, orderId);
  assert.equal(session.attempt, 1);
  assert.equal(session.cart_hash, "9b1f6f8c0c5a4a67b8a1d2e3f4a5b6c7");
  assert.equal(session.status, "complete");
  assert.equal(session.payment_status, "paid");
  assert.equal(session.async_payment_failed, false);
  assert.equal(session.payment_id, paymentId);
  assert.deepEqual([session.amount_subtotal, session.amount_total, session.currency], [
    25_800,
    25_800,
    "usd",
  ]);
  assert.deepEqual([session.amount_discount, session.amount_shipping, session.amount_tax], [0, 0, 0]);
  assert.equal(session.shipping_address?.postal_code, "97205");
  assert.equal(session.billing_address?.country, "US");
  assert.equal(session.email, "ada@example.com");
});

Deno.test("a session tells of a business only where the buyer named one", async () => {
  const completed = await event("checkout.session.completed");
  const told = (details: Record<string, unknown>) => {
    const changed = structuredClone(completed) as unknown as {
      data: { object: { customer_details: object } };
    };
    Object.assign(changed.data.object.customer_details, details);
    const [session] = factsOf(changed as unknown as typeof completed);
    return session?.fact === "checkout_session" ? session.business : undefined;
  };
  assert.equal(told({}), null);
  assert.equal(told({ tax_ids: [], business_name: null }), null);
  assert.equal(told({ tax_ids: undefined, business_name: undefined }), null);
  assert.deepEqual(
    told({ tax_ids: [{ type: "eu_vat", value: "DE123456789" }, { type: "unknown", value: null }] }),
    {
      name: null,
      tax_ids: [{ type: "eu_vat", value: "DE123456789" }],
    },
  );
  assert.deepEqual(told({ business_name: "Turner Ltd" }), { name: "Turner Ltd", tax_ids: [] });
});

Deno.test("a session says that its payment is under way only where it has a payment status", async () => {
  assert.equal((await fact("checkout.session.completed", "checkout_session")).awaited_payment, false);
  assert.equal(
    (await fact("checkout.session.async_payment_failed", "checkout_session")).awaited_payment,
    true,
  );
});

Deno.test("a completed session does not claim its payment: only payment events say that", async () => {
  assert.deepEqual(factsOf(await event("checkout.session.completed")).map((found) => found.fact), [
    "checkout_session",
  ]);
});

Deno.test("checkout.session.async_payment_failed is the only event that says so", async () => {
  assert.equal(
    (await fact("checkout.session.async_payment_failed", "checkout_session")).async_payment_failed,
    true,
  );
  assert.equal(
    (await fact("checkout.session.async_payment_succeeded", "checkout_session")).async_payment_failed,
    false,
  );
});

for (
  const [status, payment, bounced] of [
    ["complete", "requires_payment_method", true],
    ["complete", "canceled", true],
    ["complete", "processing", false],
    ["open", "requires_payment_method", false],
  ] as const
) {
  Deno.test(`a session that is ${status}, read with a payment that is ${payment}, has ${bounced ? "" : "not "}bounced`, async () => {
    const session = objectOf(await event("checkout.session.completed"));
    const intent = objectOf(await event("payment_intent.payment_failed"));
    const [found] = checkoutSessionFacts({
      ...session,
      status,
      payment_status: "unpaid",
      payment_intent: { ...intent, status: payment },
    } as unknown as Stripe.Checkout.Session);
    assert.equal(found?.fact === "checkout_session" && found.async_payment_failed, bounced);
  });
}

Deno.test("the attempt of a session is a number of one to six digits, and nothing else", async () => {
  const attemptOf = async (attempt: string) => {
    const given = await event("checkout.session.completed");
    objectOf(given)["metadata"] = { order_id: orderId, attempt };
    const found = factsOf(given).find((candidate) => candidate.fact === "checkout_session");
    return found?.fact === "checkout_session" ? found.attempt : undefined;
  };
  assert.deepEqual(await Promise.all(["1", "999999"].map(attemptOf)), [1, 999_999]);
  for (const odd of ["0", "01", "1000000", "-1", "1.5", "", " 1", "1e3"]) {
    assert.equal(await attemptOf(odd), null, odd);
  }
});

Deno.test("checkout.session.expired has no payment and keeps its end", async () => {
  const session = await fact("checkout.session.expired", "checkout_session");
  assert.deepEqual([session.status, session.payment_status, session.payment_id], ["expired", "unpaid", null]);
  assert(session.expires_at > 1_700_000_000);
});

Deno.test("payment_intent.succeeded says how much was received", async () => {
  const payment = await fact("payment_intent.succeeded", "payment");
  assert.deepEqual([payment.id, payment.status, payment.amount_received], [paymentId, "succeeded", 25_800]);
  assert.equal(payment.charge_id, "ch_3SRk2mLkdIwHu7ix0Kp4QrSt");
});

Deno.test("payment_intent.payment_failed with a charge leaves the attempt to charge.failed", async () => {
  const facts = factsOf(await event("payment_intent.payment_failed"));
  assert.deepEqual(facts.map((found) => found.fact), ["payment"]);
  const [payment] = facts;
  assert(payment?.fact === "payment");
  assert.deepEqual([payment.failure_code, payment.decline_code], ["card_declined", "insufficient_funds"]);
});

Deno.test("payment_intent.payment_failed without a charge is an attempt of its own", async () => {
  const failed = await event("payment_intent.payment_failed");
  const error = objectOf(failed)["last_payment_error"] as Record<string, unknown>;
  delete error["charge"];
  error["code"] = "payment_intent_authentication_failure";
  const attempt = factsOf(failed).find((found) => found.fact === "payment_attempt");
  assert(attempt?.fact === "payment_attempt");
  assert.equal(attempt.id, `${paymentId}:${failed.created}`);
  assert.deepEqual([attempt.outcome, attempt.amount, attempt.card_last4], ["failed", null, "4242"]);
});

Deno.test("charge events describe the card and Radar's opinion, and nothing else of the card", async () => {
  const attempt = await fact("charge.succeeded", "payment_attempt");
  assert.deepEqual(
    [
      attempt.outcome,
      attempt.card_brand,
      attempt.card_last4,
      attempt.card_country,
      attempt.risk_level,
      attempt.risk_score,
    ],
    ["succeeded", "visa", "4242", "US", "normal", 21],
  );
  assert.equal(attempt.decline_code, null);
});

Deno.test("charge.failed carries decline and advice codes", async () => {
  const attempt = await fact("charge.failed", "payment_attempt");
  assert.deepEqual(
    [attempt.outcome, attempt.failure_code, attempt.decline_code, attempt.advice_code],
    ["failed", "card_declined", "insufficient_funds", "try_again_later"],
  );
});

Deno.test("a reason for looking at a charge that succeeded is no decline code", async () => {
  const given = await event("charge.succeeded");
  objectOf(given)["outcome"] = { type: "manual_review", reason: "elevated_risk_level" };
  const found = factsOf(given).find((candidate) => candidate.fact === "payment_attempt");
  assert.equal(found?.fact === "payment_attempt" ? found.decline_code : undefined, null);
});

Deno.test("a charge that Radar blocked is told apart from one the issuer declined", async () => {
  const blocked = await event("charge.failed");
  Object.assign(objectOf(blocked)["outcome"] as object, { type: "blocked", reason: "highest_risk_level" });
  const [attempt] = factsOf(blocked);
  assert(attempt?.fact === "payment_attempt");
  assert.equal(attempt.outcome, "blocked");
});

Deno.test("charge.refunded with expanded refunds tells those too", async () => {
  const refunded = await event("charge.refunded");
  const refund = objectOf(await event("refund.created"));
  objectOf(refunded)["refunds"] = { object: "list", data: [refund], has_more: false, url: "/v1/refunds" };
  assert.deepEqual(factsOf(refunded).map((found) => found.fact), ["payment_attempt", "refund"]);
});

Deno.test("refund events carry our request id when we asked for them", async () => {
  const asked = await event("refund.created");
  objectOf(asked)["metadata"] = { refund_request_id: "duplicate:pi_1" };
  const [refund] = factsOf(asked);
  assert(refund?.fact === "refund");
  assert.equal(refund.request_id, "duplicate:pi_1");
  assert.equal((await fact("refund.failed", "refund")).failure_reason, "lost_or_stolen_card");
});

Deno.test("a refund without a status has left at once", async () => {
  const given = await event("refund.created");
  objectOf(given)["status"] = null;
  const found = factsOf(given).find((candidate) => candidate.fact === "refund");
  assert.equal(found?.fact === "refund" && found.status, "succeeded");
});

Deno.test("dispute events carry the deadline, and only the funds events say that money moved", async () => {
  const created = await fact("charge.dispute.created", "dispute");
  assert.equal(created.status, "needs_response");
  assert(created.evidence_due_by !== null && created.evidence_due_by > created.created);
  assert.deepEqual([created.funds_withdrawn, created.funds_reinstated], [false, false]);
  assert.equal((await fact("charge.dispute.funds_withdrawn", "dispute")).funds_withdrawn, true);
  assert.equal((await fact("charge.dispute.funds_reinstated", "dispute")).funds_reinstated, true);
});

Deno.test("a dispute whose movements are told says that money moved, also when the funds event never came", async () => {
  const movedBy = async (amounts: number[]) => {
    const closed = await event("charge.dispute.closed");
    objectOf(closed)["balance_transactions"] = amounts.map((amount) => ({
      amount,
      object: "balance_transaction",
    }));
    const [dispute] = factsOf(closed);
    assert(dispute?.fact === "dispute");
    return [dispute.funds_withdrawn, dispute.funds_reinstated];
  };
  assert.deepEqual(await movedBy([]), [false, false]);
  assert.deepEqual(await movedBy([-25_800]), [true, false]);
  assert.deepEqual(await movedBy([-25_800, 25_800]), [true, true]);
});

Deno.test("early fraud warnings are open while actionable, reviews while undecided", async () => {
  assert.equal((await fact("radar.early_fraud_warning.created", "fraud_signal")).open, true);
  assert.equal((await fact("radar.early_fraud_warning.updated", "fraud_signal")).open, false);
  assert.equal((await fact("review.opened", "fraud_signal")).open, true);
  const closed = await fact("review.closed", "fraud_signal");
  assert.deepEqual([closed.open, closed.reason], [false, "approved"]);
});

Deno.test("customer.deleted forgets name and address", async () => {
  const deleted = await fact("customer.deleted", "customer");
  assert.deepEqual([deleted.deleted, deleted.email, deleted.name], [true, null, null]);
});

const newerValues: [string, string, string][] = [
  ["checkout.session.completed", "status", "checkout_session.status"],
  ["checkout.session.completed", "payment_status", "checkout_session.payment_status"],
  ["payment_intent.succeeded", "status", "payment_intent.status"],
  ["charge.succeeded", "status", "charge.status"],
  ["refund.created", "status", "refund.status"],
  ["charge.dispute.created", "status", "dispute.status"],
];

for (const [type, property, field] of newerValues) {
  Deno.test(`a new ${field} is kept as it is and told`, async () => {
    const newer = await event(type);
    objectOf(newer)[property] = "value_of_2031";
    const facts = factsOf(newer);
    const [unknown] = facts.filter((found) => found.fact === "unknown_value");
    assert(unknown?.fact === "unknown_value");
    assert.deepEqual([unknown.field, unknown.value], [field, "value_of_2031"]);
    assert(JSON.stringify(facts[0]).includes("value_of_2031"), "the normal fact keeps it as well");
  });
}

Deno.test("expanded references are read like plain ids", async () => {
  const expanded = await event("checkout.session.completed");
  const intent = objectOf(await event("payment_intent.succeeded"));
  objectOf(expanded)["payment_intent"] = intent;
  objectOf(expanded)["customer"] = { id: "cus_expanded", object: "customer" };
  const [session] = factsOf(expanded);
  assert(session?.fact === "checkout_session");
  assert.deepEqual([session.payment_id, session.customer_id], [paymentId, "cus_expanded"]);
});
