import assert from "node:assert/strict";
import type Stripe from "stripe";
import type { StripeOptions } from "../../scripts/stand-in/server.ts";
import { eventually } from "../support/poll.ts";
import { eventTypes, FAST, idOf, payIntent, refusal, standIn } from "./stand_in.ts";

const { test } = Deno;

async function disputed(method = "pm_card_createDispute", pace: StripeOptions["pace"] = FAST) {
  const stand = await standIn({ pace });
  const intent = await payIntent(stand.stripe, method);
  const [dispute] = (await stand.stripe.disputes.list({ payment_intent: intent.id })).data;
  assert.ok(dispute !== undefined);
  return { stand, intent, dispute };
}

async function until(stripe: Stripe, id: string, status: string): Promise<Stripe.Dispute> {
  return await eventually(`the dispute to be ${status}`, async () => {
    const dispute = await stripe.disputes.retrieve(id);
    return dispute.status === status ? dispute : null;
  });
}

test("disputes: money and fee are withdrawn, evidence is due, and the charge cannot be refunded", async () => {
  const { stand, intent, dispute } = await disputed();
  await using _ = stand;
  assert.match(dispute.id, /^dp_1/);
  assert.equal(dispute.status, "needs_response");
  assert.equal(dispute.reason, "fraudulent");
  assert.equal(dispute.balance_transactions[0]?.net, -2000 - 1500);
  assert.ok((dispute.evidence_details.due_by ?? 0) > dispute.created + 7 * 24 * 3600);
  const refused = await refusal(stand.stripe.refunds.create({ payment_intent: intent.id }));
  assert.equal(refused.code, "charge_disputed");
});

test("disputes: staged evidence waits; winning_evidence submitted wins and returns the money", async () => {
  const { stand, dispute } = await disputed("pm_card_createDispute", { ...FAST, disputeMs: 60_000 });
  await using _ = stand;
  const { stripe } = stand;
  const staged = await stripe.disputes.update(dispute.id, {
    evidence: { product_description: "A shirt", customer_purchase_ip: "203.0.113.9" },
    submit: false,
  });
  assert.equal(staged.status, "needs_response");
  assert.equal(staged.evidence_details.has_evidence, true);
  assert.equal(staged.evidence_details.submission_count, 0);
  const submitted = await stripe.disputes.update(dispute.id, {
    evidence: { uncategorized_text: "winning_evidence" },
  });
  assert.equal(submitted.status, "under_review");
  assert.equal(submitted.evidence.product_description, "A shirt");
  const late = await refusal(stripe.disputes.update(dispute.id, { evidence: { service_date: "x" } }));
  assert.match(late.message, /already under_review/);
  await stand.control("POST", "advance", { seconds: 60 });
  const won = await until(stripe, dispute.id, "won");
  assert.equal(won.balance_transactions.reduce((sum, { net }) => sum + net, 0), 0);
  assert.deepEqual((await eventTypes(stripe)).slice(-4), [
    "charge.dispute.updated",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_reinstated",
  ]);
});

test("disputes: an empty text takes staged evidence back", async () => {
  const { stand, dispute } = await disputed("pm_card_createDispute");
  await using _ = stand;
  const stage = (uncategorized_text: string) =>
    stand.stripe.disputes.update(dispute.id, { evidence: { uncategorized_text }, submit: false });
  assert.equal((await stage("draft")).evidence.uncategorized_text, "draft");
  assert.equal((await stage("")).evidence.uncategorized_text, null);
});

test("disputes: losing_evidence loses, and so does closing it", async () => {
  const { stand, dispute } = await disputed("pm_card_createDisputeProductNotReceived");
  await using _ = stand;
  assert.equal(dispute.reason, "product_not_received");
  await stand.stripe.disputes.update(dispute.id, { evidence: { uncategorized_text: "losing_evidence" } });
  const lost = await until(stand.stripe, dispute.id, "lost");
  assert.equal(lost.balance_transactions.length, 1);
  const other = await disputed();
  await using __ = other.stand;
  assert.equal((await other.stand.stripe.disputes.close(other.dispute.id)).status, "lost");
  assert.match(
    (await refusal(other.stand.stripe.disputes.close(other.dispute.id))).message,
    /already closed/,
  );
});

test("disputes: unanswered at its deadline a chargeback is lost, an inquiry ends as a warning", async () => {
  await using stand = await standIn();
  const ids: string[] = [];
  for (const method of ["pm_card_createDispute", "pm_card_createDisputeInquiry"]) {
    const intent = await payIntent(stand.stripe, method, {});
    ids.push((await stand.stripe.disputes.list({ payment_intent: intent.id })).data[0]?.id ?? "");
  }
  const [chargeback = "", inquiry = ""] = ids;
  await stand.control("POST", "advance", { seconds: 8 * 24 * 3600 });
  assert.equal((await stand.stripe.disputes.retrieve(chargeback)).status, "needs_response");
  await stand.control("POST", "advance", { seconds: 21 * 24 * 3600 });
  const lost = await stand.stripe.disputes.retrieve(chargeback);
  assert.deepEqual([lost.status, lost.evidence_details.past_due], ["lost", true]);
  assert.equal((await stand.stripe.disputes.retrieve(inquiry)).status, "warning_closed");
});

test("disputes: a lost one goes to appeal, and can be won there", async () => {
  await using stand = await standIn();
  const intent = await payIntent(stand.stripe, "pm_card_createDispute", {});
  const [dispute] = (await stand.stripe.disputes.list({ payment_intent: intent.id })).data;
  const id = dispute?.id ?? "";
  assert.equal((await stand.control("POST", "appeal", { dispute: id })).status, 400);
  await stand.stripe.disputes.close(id);
  await stand.control("POST", "appeal", { dispute: id });
  const appealed = await stand.stripe.disputes.retrieve(id);
  assert.equal(appealed.status, "appeal_needs_response");
  const elsewhere = stand.stripe.disputes.update(id, {
    evidence: { uncategorized_text: "winning_evidence" },
  });
  assert.match((await refusal(elsewhere)).message, /Only appeal evidence/);
  const answered = await stand.stripe.disputes.update(id, {
    evidence: { appeal: { card: { reason_for_filing: "winning_evidence" } } },
  });
  assert.equal(answered.status, "appeal_under_review");
  assert.equal(answered.evidence.appeal?.card?.reason_for_filing, "winning_evidence");
  const won = await eventually("the appeal won", async () => {
    const now = await stand.stripe.disputes.retrieve(id);
    return now.status === "won" ? now : null;
  });
  assert.equal(won.balance_transactions.reduce((sum, { net }) => sum + net, 0), 0);
});

test("disputes: an inquiry moves no money until it is escalated", async () => {
  const { stand, dispute } = await disputed("pm_card_createDisputeInquiry");
  await using _ = stand;
  assert.equal(dispute.status, "warning_needs_response");
  assert.equal(dispute.balance_transactions.length, 0);
  assert.equal(dispute.is_charge_refundable, true);
  await stand.stripe.disputes.update(dispute.id, {
    evidence: { uncategorized_text: "escalate_inquiry_evidence" },
  });
  const escalated = await until(stand.stripe, dispute.id, "needs_response");
  assert.equal(escalated.balance_transactions.length, 1);
  assert.equal((await eventTypes(stand.stripe)).at(-1), "charge.dispute.funds_withdrawn");
});

test("disputes: an inquiry answered well is closed as a warning", async () => {
  const { stand, dispute } = await disputed("pm_card_createDisputeInquiry");
  await using _ = stand;
  await stand.stripe.disputes.update(dispute.id, { evidence: { uncategorized_text: "winning_evidence" } });
  await until(stand.stripe, dispute.id, "warning_closed");
});

test("disputes: an inquiry ends when the payment is given back in full, not before", async () => {
  const { stand, dispute } = await disputed("pm_card_createDisputeInquiry");
  await using _ = stand;
  const payment_intent = idOf(dispute.payment_intent);
  await stand.stripe.refunds.create({ payment_intent, amount: 1 });
  assert.equal((await stand.stripe.disputes.retrieve(dispute.id)).status, "warning_needs_response");
  await stand.stripe.refunds.create({ payment_intent });
  assert.equal((await stand.stripe.disputes.retrieve(dispute.id)).status, "warning_closed");
  assert.equal((await eventTypes(stand.stripe)).at(-1), "charge.dispute.closed");
});

test("early-fraud warnings are actionable until the charge is refunded", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const intent = await payIntent(stripe, "pm_card_createIssuerFraudRecord");
  const [warning] = (await stripe.radar.earlyFraudWarnings.list({ payment_intent: intent.id })).data;
  assert.ok(warning !== undefined);
  assert.equal(warning.actionable, true);
  assert.equal(warning.charge, intent.latest_charge);
  await stripe.refunds.create({ payment_intent: intent.id, reason: "fraudulent" });
  assert.equal((await stripe.radar.earlyFraudWarnings.retrieve(warning.id)).actionable, false);
  assert.equal((await eventTypes(stripe)).at(-1), "radar.early_fraud_warning.updated");
});

test("reviews open on elevated risk and close by approval, refund or dispute", async () => {
  await using stand = await standIn();
  const { stripe, control } = stand;
  const review = async () => {
    const intent = await payIntent(stripe, "pm_card_riskLevelElevated");
    assert.ok(intent.review !== null);
    return { intent, id: idOf(intent.review) };
  };
  const approved = await review();
  assert.equal((await stripe.reviews.approve(approved.id)).closed_reason, "approved");
  assert.equal((await stripe.paymentIntents.retrieve(approved.intent.id)).review, null);
  assert.match((await refusal(stripe.reviews.approve(approved.id))).message, /already closed/);
  const refunded = await review();
  await stripe.refunds.create({ payment_intent: refunded.intent.id, reason: "fraudulent" });
  assert.equal((await stripe.reviews.retrieve(refunded.id)).closed_reason, "refunded_as_fraud");
  const fought = await review();
  await control("POST", "dispute", { payment_intent: fought.intent.id });
  assert.equal((await stripe.reviews.retrieve(fought.id)).closed_reason, "disputed");
});

test("value lists for Radar rules: created, filled, listed, emptied", async () => {
  await using stand = await standIn();
  const { stripe } = stand;
  const list = await stripe.radar.valueLists.create({
    alias: "blocked_emails",
    name: "Blocked",
    item_type: "email",
  });
  const item = await stripe.radar.valueListItems.create({ value_list: list.id, value: "x@example.com" });
  const twice = stripe.radar.valueListItems.create({ value_list: list.id, value: "x@example.com" });
  assert.match((await refusal(twice)).message, /already in the list/);
  assert.equal((await stripe.radar.valueLists.list({ alias: "blocked_emails" })).data[0]?.id, list.id);
  assert.equal((await stripe.radar.valueListItems.list({ value_list: list.id })).data[0]?.id, item.id);
  await stripe.radar.valueListItems.del(item.id);
  await stripe.radar.valueLists.del(list.id);
  assert.equal((await stripe.radar.valueLists.list()).data.length, 0);
});
