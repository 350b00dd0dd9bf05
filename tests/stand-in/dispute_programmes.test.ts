/** Disputes: what the card networks' programmes take, and who submits where the account has Smart Disputes. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { idOf, payIntent, refusal, shirt, type StandIn, standIn } from "./stand_in.ts";

const { test } = Deno;

async function charge(stand: StandIn): Promise<string> {
  return idOf((await payIntent(stand.stripe, "pm_card_visa")).latest_charge);
}

/** A charge that is disputed. `traits` are those of `/_control/dispute`. */
async function disputed(stand: StandIn, traits: object): Promise<Stripe.Dispute> {
  const answer = await stand.control<Stripe.Dispute>("POST", "dispute", {
    charge: await charge(stand),
    ...traits,
  });
  return answer.body;
}

test("Visa Compelling Evidence 3.0: needs an eligible dispute and exactly two earlier charges that are known", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const prior = [await charge(stand), await charge(stand), await charge(stand)];
  const buyer = {
    customer_purchase_ip: "203.0.113.9",
    customer_account_id: "ada",
    product_description: "A tie",
  };
  const evidence = (charges: string[]) => ({
    enhanced_evidence: {
      visa_compelling_evidence_3: {
        disputed_transaction: { ...buyer, merchandise_or_services: "merchandise" },
        prior_undisputed_transactions: charges.map((each) => ({ charge: each, ...buyer })),
      },
    },
  });
  const plain = await disputed(stand, {});
  const refused = await refusal(stripe.disputes.update(plain.id, { evidence: evidence(prior.slice(1)) }));
  assert.match(refused.message, /not eligible/);

  const { id } = await disputed(stand, { eligible: ["visa_compelling_evidence_3"] });
  const staged = await stripe.disputes.update(id, { evidence: evidence(prior), submit: false });
  assert.deepEqual(staged.evidence_details.enhanced_eligibility.visa_compelling_evidence_3, {
    required_actions: ["missing_prior_undisputed_transactions"],
    status: "requires_action",
  });
  assert.match((await refusal(stripe.disputes.update(id, { submit: true }))).message, /incomplete/);
  const unknown = await refusal(stripe.disputes.update(id, { evidence: evidence(["ch_1", "ch_2"]) }));
  assert.equal(unknown.code, "resource_missing");
  const submitted = await stripe.disputes.update(id, { evidence: evidence(prior.slice(1)) });
  assert.equal(submitted.status, "under_review");
  assert.equal(
    submitted.evidence_details.enhanced_eligibility.visa_compelling_evidence_3?.status,
    "qualified",
  );
});

test("compliance: evidence is not submitted before the fee is acknowledged", async () => {
  await using stand = await standIn();
  const { id, payment_method_details } = await disputed(stand, { eligible: ["visa_compliance"] });
  assert.equal(payment_method_details?.card?.case_type, "compliance");
  const update = (params: Stripe.DisputeUpdateParams) => stand.stripe.disputes.update(id, params);
  const refused = await refusal(update({ evidence: { uncategorized_text: "mine" } }));
  assert.match(refused.message, /acknowledge the fee/);
  const submitted = await update({
    evidence: { enhanced_evidence: { visa_compliance: { fee_acknowledged: true } } },
  });
  assert.equal(submitted.status, "under_review");
});

const day = 24 * 3600;
for (
  const [what, packet, method, evidence, end] of [
    ["nothing staged: Smart Disputes", true, undefined, false, "smart_disputes"],
    ["staged by default: nobody", true, undefined, true, "not_submitted"],
    [
      "staged, Smart Disputes preferred: Smart Disputes",
      true,
      "prefer_smart_disputes",
      true,
      "smart_disputes",
    ],
    ["Smart Disputes preferred and no packet: nobody", false, "prefer_smart_disputes", true, "not_submitted"],
    ["manual: nobody", true, "manual", false, "not_submitted"],
  ] as const
) {
  test(`Smart Disputes: who answers at the deadline when there is ${what}`, async () => {
    await using stand = await standIn();
    const { id } = await disputed(stand, { packet });
    await stand.stripe.disputes.update(id, {
      ...(method === undefined ? {} : { intended_submission_method: method }),
      ...(evidence ? { evidence: { uncategorized_text: "thin" } } : {}),
      submit: false,
    });
    await stand.control("POST", "advance", { seconds: 10 * day });
    const { evidence_details, status } = await stand.stripe.disputes.retrieve(id);
    assert.equal(evidence_details.submission_method, end);
    assert.equal(status, end === "smart_disputes" ? "under_review" : "lost");
  });
}

test("Smart Disputes: asked to submit a packet that is not there, Stripe refuses and saves nothing", async () => {
  await using stand = await standIn();
  const { id } = await disputed(stand, { packet: false });
  const refused = await refusal(stand.stripe.disputes.update(id, {
    evidence: { uncategorized_text: "mine" },
    intended_submission_method: "smart_disputes",
    submit: true,
  }));
  assert.equal(refused.code, "smart_disputes_not_available");
  const { evidence, intended_submission_method } = await stand.stripe.disputes.retrieve(id);
  assert.deepEqual([evidence.uncategorized_text, intended_submission_method], [null, "prefer_manual"]);
});

test("a dispute says how it was paid; Klarna takes no evidence of an inquiry", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const dispute = async (type: "klarna" | "paypal", kind: string) => {
    const session = (await stripe.checkout.sessions.create(shirt())).id;
    const paid = await stand.control("POST", "pay", { session, payment_method: type });
    const { payment_intent } = paid.body;
    return (await stand.control<Stripe.Dispute>("POST", "dispute", { payment_intent, kind })).body;
  };
  const paypal = await dispute("paypal", "product_not_received");
  assert.deepEqual(
    [paypal.payment_method_details?.type, paypal.payment_method_details?.paypal?.reason_code],
    ["paypal", "MERCHANDISE_OR_SERVICE_NOT_RECEIVED"],
  );
  const inquiry = await dispute("klarna", "inquiry");
  const evidence = { uncategorized_text: "It was delivered." };
  const refused = await refusal(stripe.disputes.update(inquiry.id, { evidence, submit: false }));
  assert.match(refused.message, /^Klarna takes no evidence/);
  const chargeback = await dispute("klarna", "product_unacceptable");
  assert.equal(chargeback.payment_method_details?.type, "klarna");
  assert.equal((await stripe.disputes.update(chargeback.id, { evidence })).status, "under_review");
});
