import assert from "node:assert/strict";
import type Stripe from "stripe";
import type { Fact } from "../../../supabase/functions/_shared/stripe_events/facts.ts";
import { enabledEvents, translate } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { olderVersions, toldIn } from "../../support/older_versions.ts";
import { fixture } from "../fakes.ts";

type Json = Record<string, unknown>;

async function event(type: string, version?: string): Promise<Stripe.Event> {
  const given = await fixture(type) as unknown as Stripe.Event;
  return version === undefined ? given : { ...given, api_version: version } as Stripe.Event;
}

function objectOf(given: Stripe.Event): Json {
  return given.data.object as unknown as Json;
}

function factsOf(given: Stripe.Event): Fact[] {
  const translation = translate(given);
  assert.equal(translation.kind, "facts");
  return translation.kind === "facts" ? translation.facts : [];
}

/** What a job is to read, in short. */
const unreadOf = (given: Stripe.Event) =>
  factsOf(given).flatMap((fact) => fact.fact === "unread" ? [`${fact.object} ${fact.id}`] : []);

const sessionId = "cs_test_a1QfW3nT8yKpR5vLmZ2xC7bD4sJ6hG9eU0iO1wY";
const chargeId = "ch_3SRk2mLkdIwHu7ix0Kp4QrSt";

const carriers: Record<string, string> = {
  "payment_intent.processing": "charge.succeeded",
  "payment_intent.succeeded": "charge.succeeded",
  "payment_intent.payment_failed": "charge.failed",
};

for (const version of olderVersions) {
  for (const type of enabledEvents.filter((type) => type !== "charge.refunded")) {
    Deno.test(`translate() makes the same of ${type} in ${version} as of today's`, async () => {
      const today = await event(type);
      const before = carriers[type];
      const told = toldIn(today, version, before === undefined ? [] : [await event(before)]);
      if (told === null) return;
      const facts = factsOf(told);
      const expected = factsOf(today);
      assert.deepEqual(facts.slice(0, expected.length), expected);
      // A list of charges tells those as well; nothing is missing that a job would have to read.
      assert.deepEqual(facts.slice(expected.length).filter((fact) => fact.fact !== "payment_attempt"), []);
    });
  }
}

Deno.test("charge.refunded tells its refunds before 2022-11-15; after it, Stripe is asked for them", async () => {
  const today = await event("charge.refunded");
  const refund = await event("refund.created");
  const older = toldIn(today, "2020-08-27", [refund]);
  assert(older !== null);
  assert.deepEqual(factsOf(older).map(({ fact }) => fact), ["payment_attempt", "refund"]);
  assert.deepEqual(unreadOf(today), [`charge ${chargeId}`]);
  const [, unread] = factsOf(today);
  assert(unread?.fact === "unread");
  assert.equal(unread.payment_id, "pi_3SRk2mLkdIwHu7ix0aB1cD2e");
});

Deno.test("a list of refunds that does not account for all that went back is read from Stripe", async () => {
  const refunded = toldIn(await event("charge.refunded"), "2020-08-27", [await event("refund.created")]);
  assert(refunded !== null);
  objectOf(refunded)["amount_refunded"] = 25_800;
  assert.deepEqual(unreadOf(refunded), [`charge ${chargeId}`]);
  // A refund that failed gave nothing back.
  objectOf(refunded)["amount_refunded"] = 12_900;
  assert.deepEqual(unreadOf(refunded), []);
  const [refund] = (objectOf(refunded)["refunds"] as { data: Json[] }).data;
  assert(refund !== undefined);
  refund["status"] = "failed";
  assert.deepEqual(unreadOf(refunded), [`charge ${chargeId}`]);
});

Deno.test("a charge of before payment methods tells its card by the source", async () => {
  const [expected] = factsOf(await event("charge.succeeded"));
  const older = await event("charge.succeeded", "2018-11-08");
  const charge = objectOf(older);
  delete charge["payment_method_details"];
  const card = {
    brand: "Visa",
    country: "US",
    fingerprint: "Xt5EWLLDS7FJjR1c",
    funding: "credit",
    last4: "4242",
  };
  charge["source"] = { object: "card", id: "card_1", ...card };
  assert.deepEqual(factsOf(older), [expected]);
  delete charge["source"];
  assert.deepEqual(unreadOf(older), [`charge ${chargeId}`]);
});

Deno.test("a payment that names no charge is read from Stripe", async () => {
  const older = await event("payment_intent.succeeded", "2020-08-27");
  delete objectOf(older)["latest_charge"];
  assert.deepEqual(unreadOf(older), ["payment pi_3SRk2mLkdIwHu7ix0aB1cD2e"]);
});

Deno.test("a session of before 2021 is what its event says, and Stripe is asked for what it leaves out", async () => {
  const older = async (type: string) => {
    const given = toldIn(await event(type, "2019-12-03"), "2019-12-03");
    assert(given !== null);
    for (
      const field of [
        "status",
        "payment_status",
        "expires_at",
        "url",
        "recovered_from",
        "total_details",
        "amount_total",
        "amount_subtotal",
        "currency",
      ]
    ) delete objectOf(given)[field];
    return given;
  };
  const [session] = factsOf(await older("checkout.session.completed"));
  assert(session?.fact === "checkout_session");
  // Its payment says whether it succeeded.
  assert.deepEqual([session.status, session.payment_status], ["complete", "unpaid"]);
  assert.deepEqual([session.currency, session.amount_subtotal, session.amount_total], [
    "usd",
    25_800,
    25_800,
  ]);
  assert.deepEqual([session.amount_discount, session.amount_shipping, session.amount_tax], [0, 0, 0]);
  assert.equal(session.expires_at, 1_762_520_400 + 86_400);
  assert.deepEqual(unreadOf(await older("checkout.session.completed")), [`checkout_session ${sessionId}`]);

  const [arrived] = factsOf(await older("checkout.session.async_payment_succeeded"));
  assert(arrived?.fact === "checkout_session");
  assert.equal(arrived.payment_status, "paid");
  const [expired] = factsOf(await older("checkout.session.expired"));
  assert(expired?.fact === "checkout_session");
  assert.equal(expired.status, "expired");
  assert.deepEqual(unreadOf(await older("checkout.session.expired")), []);
});

Deno.test("a session without address is read from Stripe where another version told it, else believed", async () => {
  const without = async (version?: string) => {
    const given = await event("checkout.session.completed", version);
    objectOf(given)["collected_information"] = null;
    return given;
  };
  assert.deepEqual(unreadOf(await without("2024-06-20")), [`checkout_session ${sessionId}`]);
  // A version newer than ours may have moved it.
  assert.deepEqual(unreadOf(await without("2031-01-01.later")), [`checkout_session ${sessionId}`]);
  assert.deepEqual(unreadOf(await without()), []);
});

Deno.test("a session without its amounts is not compared with the order before Stripe has told them", async () => {
  const given = await event("checkout.session.completed", "2024-06-20");
  objectOf(given)["total_details"] = null;
  assert.deepEqual(factsOf(given).map(({ fact }) => fact), ["unread"]);
});

Deno.test("a session told in the shopper's currency is read in the shop's own, or not at all", async () => {
  const converted = async (total: number, parts: Json) => {
    const given = await event("checkout.session.completed", "2024-06-20");
    Object.assign(objectOf(given), {
      currency: "eur",
      amount_subtotal: 23_500,
      amount_total: 24_400,
      total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 0, ...parts },
      shipping_details: { name: "Ada Turner", address: { country: "US", line1: "48 Alder Street" } },
      currency_conversion: {
        amount_subtotal: 25_800,
        amount_total: total,
        fx_rate: "0.91",
        source_currency: "usd",
      },
    });
    return given;
  };
  const [plain] = factsOf(await converted(25_800, {}));
  assert(plain?.fact === "checkout_session");
  assert.deepEqual([plain.currency, plain.amount_subtotal, plain.amount_total], ["usd", 25_800, 25_800]);
  assert.deepEqual([plain.presentment_amount, plain.presentment_currency], [24_400, "eur"]);
  const [shipped] = factsOf(await converted(26_795, { amount_shipping: 900 }));
  assert(shipped?.fact === "checkout_session");
  assert.deepEqual([shipped.amount_discount, shipped.amount_shipping, shipped.amount_tax], [0, 995, 0]);
  const [discounted] = factsOf(await converted(25_000, { amount_discount: 700 }));
  assert(discounted?.fact === "checkout_session");
  assert.deepEqual([discounted.amount_discount, discounted.amount_shipping], [800, 0]);
  // Two roundings that nobody can tell apart.
  const both = await converted(26_000, { amount_shipping: 900, amount_discount: 700 });
  assert.deepEqual(factsOf(both).map(({ fact }) => fact), ["unread"]);
});
