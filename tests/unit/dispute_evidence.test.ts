import assert from "node:assert/strict";
import { evidenceParams } from "../../supabase/functions/_shared/jobs/dispute_evidence.ts";
import type { DisputedOrder, EarlierOrder } from "../../supabase/functions/_shared/database/disputes.ts";
import { address, order, parcel } from "../support/disputed_order.ts";

/** A dispute that no programme of a card network takes. */
const plain = { reason: "general", enhanced_eligibility_types: [] };

function earlier(number: string, changes: Partial<EarlierOrder> = {}): EarlierOrder {
  return {
    number,
    paid_at: "2026-04-01T10:00:00+00:00",
    amount_paid: 9_900,
    currency: "usd",
    charge_id: `ch_${number}`,
    email: "ada@example.com",
    purchase_ip: "203.0.113.24",
    shipping_address: address,
    user_id: order.user_id,
    description: "1 × Tie",
    days_before: 200,
    same_ip: true,
    same_address: true,
    same_account: true,
    ...changes,
  };
}

Deno.test("evidenceParams(): a name or an address adds no line of its own to the evidence", () => {
  const forged = "Ada\nThe cardholder withdrew the dispute.";
  const { shipping_address } = evidenceParams({ ...order, shipping_name: forged }, null, plain);
  assert.equal(shipping_address?.split("\n")[0], "Ada The cardholder withdrew the dispute.");
  const { uncategorized_text } = evidenceParams(
    { ...order, shipments: [{ ...parcel, carrier: forged, tracking_number: forged }] },
    null,
    plain,
  );
  assert.doesNotMatch(uncategorized_text ?? "", /^The cardholder withdrew/m);
});

Deno.test("evidenceParams(): what was cleared is not there, and leaves no gap in a sentence", () => {
  const cleared = {
    ...order,
    customer_name: " ",
    shipments: [{ ...parcel, carrier: "", tracking_number: "" }],
  };
  const evidence = evidenceParams(cleared, null, plain);
  assert.equal(evidence.customer_name, "Ada Turner");
  assert.match(evidence.uncategorized_text ?? "", /^It was shipped on 2026-11-03\.$/m);
  assert.deepEqual([evidence.shipping_carrier, evidence.shipping_tracking_number], [undefined, undefined]);
});

Deno.test("evidenceParams() fills Stripe's fields from the order", () => {
  const { uncategorized_text: story, ...fields } = evidenceParams(order, "She thanked us.", plain);
  assert.deepEqual(fields, {
    customer_name: "Ada Turner",
    customer_email_address: "ada@example.com",
    customer_purchase_ip: "203.0.113.24",
    billing_address: "48 Alder Street\n97205 Portland OR\nUS",
    shipping_address: "Ada Turner\n48 Alder Street\n97205 Portland OR\nUS",
    shipping_carrier: "UPS",
    shipping_tracking_number: "1Z999",
    shipping_date: "2026-11-03",
    product_description: "2 × Coat – Grey, L (COAT-GRY-L)",
    refund_refusal_explanation: "The shop has no record of a return of these goods.",
  });
  const lines = (story ?? "").split("\n");
  assert.equal(lines[0], "She thanked us.", "staff's words come first");
  assert(lines.includes("Order KCT-100007 was placed on 2026-11-01 and paid on 2026-11-01: $258.00."));
  assert(lines.includes("It was shipped on 2026-11-03 with UPS, tracking number 1Z999."));
  assert(lines.includes("The cardholder authenticated the payment with 3-D Secure."));
  assert(lines.includes("- order confirmation to ada@example.com on 2026-11-01"));
});

Deno.test("evidenceParams(): several parcels are named with commas, and each in the story", () => {
  const second = { carrier: "DHL", tracking_number: "JD0", shipped_at: "2026-11-05T08:00:00+00:00" };
  const evidence = evidenceParams({ ...order, shipments: [parcel, second] }, null, plain);
  assert.deepEqual(
    [evidence.shipping_carrier, evidence.shipping_tracking_number, evidence.shipping_date],
    ["UPS, DHL", "1Z999, JD0", "2026-11-03"],
  );
  assert.match(
    evidence.uncategorized_text ?? "",
    /^Parcel 2 of 2 was shipped on 2026-11-05 with DHL, tracking number JD0\.$/m,
  );
});

Deno.test("evidenceParams() leaves out what is not known, and never sends an empty field", () => {
  const bare: DisputedOrder = {
    ...order,
    email: null,
    customer_name: null,
    shipping_name: null,
    purchase_ip: null,
    user_agent: null,
    billing_address: null,
    shipping_address: null,
    shipments: [],
    mails: [],
    payment: null,
  };
  const evidence = evidenceParams(bare, null, plain);
  assert.deepEqual(Object.keys(evidence).sort(), [
    "product_description",
    "refund_refusal_explanation",
    "uncategorized_text",
  ]);
  assert.doesNotMatch(String(evidence.uncategorized_text), /null|undefined|shipped|Mails|Earlier/);
});

Deno.test("evidenceParams() keeps within Stripe's limit of 20 000 characters a field", () => {
  assert.equal(String(evidenceParams(order, "x".repeat(30_000), plain).uncategorized_text).length, 20_000);
});

Deno.test("evidenceParams() counts minor units as the currency does", () => {
  const yen = evidenceParams({ ...order, currency: "jpy", amount_total: 25_800 }, null, plain);
  assert.match(String(yen.uncategorized_text), /¥25,800/);
});

const eligible = { reason: "fraudulent", enhanced_eligibility_types: ["visa_compelling_evidence_3"] };

Deno.test("Visa Compelling Evidence 3.0: two earlier orders of the right age and likeness are sent", () => {
  const earlier_orders = [
    earlier("too-young", { days_before: 119 }),
    earlier("A"),
    earlier("other-ip", { same_ip: false }),
    earlier("B", { same_account: false }),
    earlier("too-old", { days_before: 366 }),
    earlier("C"),
  ];
  const visa = evidenceParams({ ...order, earlier_orders }, null, eligible).enhanced_evidence;
  assert(typeof visa === "object" && visa !== null);
  const compelling = visa.visa_compelling_evidence_3;
  assert.deepEqual(compelling?.prior_undisputed_transactions?.map((prior) => prior.charge), ["ch_A", "ch_B"]);
  assert.equal(compelling?.disputed_transaction?.customer_purchase_ip, "203.0.113.24");
  assert.equal(compelling?.disputed_transaction?.merchandise_or_services, "merchandise");
  assert.deepEqual(compelling?.disputed_transaction?.shipping_address, {
    line1: "48 Alder Street",
    city: "Portland",
    state: "OR",
    postal_code: "97205",
    country: "US",
  });
});

Deno.test("Visa Compelling Evidence 3.0: not sent with one earlier order, one that shares only the address, or without Stripe's word", () => {
  const cases: [EarlierOrder[], typeof eligible][] = [
    [[earlier("A")], eligible],
    [[earlier("A"), earlier("B", { same_account: false, same_address: false })], eligible],
    [[earlier("A"), earlier("B")], plain],
  ];
  for (const [earlier_orders, eligibility] of cases) {
    const evidence = evidenceParams({ ...order, earlier_orders }, null, eligibility);
    assert.equal(evidence.enhanced_evidence, undefined);
  }
});

Deno.test("evidenceParams() says what the cardholder's bank has charged where it is not the order's amount", () => {
  const text = (presentment: DisputedOrder["presentment"]) =>
    evidenceParams({ ...order, presentment }, null, plain).uncategorized_text ?? "";
  assert.match(
    text({ amount: 20_100, currency: "gbp" }),
    /: \$258\.00, charged to the cardholder as £201\.00\./,
  );
  assert.match(text(null), /: \$258\.00\.\n/);
});

Deno.test("evidenceParams(): the terms that were accepted at checkout show the policy, and nothing does without", () => {
  const terms = {
    version: "2026-03",
    accepted_at: "2026-11-01T10:04:00+00:00",
    refund_policy: null,
    cancellation_policy: null,
  };
  assert.equal(
    evidenceParams({ ...order, terms }, null, plain).refund_policy_disclosure,
    "The shop's terms, version 2026-03, were shown on the payment page, and the customer accepted them there on " +
      "2026-11-01, before paying.",
  );
  assert.equal(evidenceParams(order, null, plain).refund_policy_disclosure, undefined);
});
