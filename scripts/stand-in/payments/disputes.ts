import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { recordBalance } from "./balance.ts";
import {
  addEvidence,
  eligibilityOf,
  type EvidenceInput,
  isAppeal,
  type Programme,
  refuseSubmission,
} from "./dispute_evidence.ts";
import { type DisputeReason, methodDetails, refuseKlarnaInquiry } from "./dispute_methods.ts";
import { EVIDENCE_FILES, requireRoom } from "./evidence_files.ts";
import { settleWarningsOf } from "./early_fraud_warnings.ts";
import { closeReviewOf } from "./reviews.ts";

const FEE = 1500;
const RESPONSE_S = 9 * 24 * 3600;
const INQUIRY_RESPONSE_S = 20 * 24 * 3600;

/** Evidence Stripe's test mode reads as a decision. */
const WINNING = "winning_evidence";
const LOSING = "losing_evidence";
const ESCALATING = "escalate_inquiry_evidence";

const NO_EVIDENCE: Stripe.Dispute.Evidence = {
  access_activity_log: null,
  billing_address: null,
  cancellation_policy: null,
  cancellation_policy_disclosure: null,
  cancellation_rebuttal: null,
  customer_communication: null,
  customer_email_address: null,
  customer_name: null,
  customer_purchase_ip: null,
  customer_signature: null,
  duplicate_charge_documentation: null,
  duplicate_charge_explanation: null,
  duplicate_charge_id: null,
  enhanced_evidence: {},
  product_description: null,
  receipt: null,
  refund_policy: null,
  refund_policy_disclosure: null,
  refund_refusal_explanation: null,
  service_date: null,
  service_documentation: null,
  shipping_address: null,
  shipping_carrier: null,
  shipping_date: null,
  shipping_documentation: null,
  shipping_tracking_number: null,
  uncategorized_file: null,
  uncategorized_text: null,
};

/** Evidence that is plain text. */
export const EVIDENCE_TEXTS = Object.keys(NO_EVIDENCE).filter((name) =>
  name !== "enhanced_evidence" && !EVIDENCE_FILES.some((file) => file === name)
);

export type DisputeKind = DisputeReason | "inquiry";

/** What a dispute is beside its kind. */
export interface DisputeTraits {
  /** Programmes of the card networks; one that is named compliance makes it such a case. */
  eligible?: Programme[];
  /** Whether Smart Disputes has a packet; absent: the account has no Smart Disputes. */
  packet?: boolean;
}

/** The cardholder disputes a charge; an inquiry moves no money yet. */
export function openDispute(
  context: Context,
  charge: Stripe.Charge,
  kind: DisputeKind,
  { eligible = [], packet }: DisputeTraits = {},
): Stripe.Dispute {
  if (!charge.captured) {
    throw invalidRequest(`Charge ${charge.id} took no money that could be disputed.`, "charge");
  }
  const paidBy = charge.payment_method_details?.type ?? "card";
  // Of a bank debit the customer's bank has decided already: it is told as lost, and cannot be answered.
  const final = paidBy === "sepa_debit" || paidBy === "us_bank_account";
  const inquiry = kind === "inquiry" && !final;
  const compliance = eligible.some((name) => name.endsWith("_compliance"));
  const reason = final ? "debit_not_authorized" : compliance ? "noncompliant" : inquiry ? "fraudulent" : kind;
  const dispute: Stripe.Dispute = {
    id: newId("dispute"),
    object: "dispute",
    amount: charge.amount_captured,
    balance_transactions: [],
    charge: charge.id,
    created: context.now,
    currency: charge.currency,
    enhanced_eligibility_types: eligible,
    evidence: {
      ...NO_EVIDENCE,
      billing_address: addressText(charge.billing_details.address),
      customer_email_address: charge.billing_details.email,
      customer_name: charge.billing_details.name,
    },
    evidence_details: {
      due_by: context.now + (inquiry ? INQUIRY_RESPONSE_S : RESPONSE_S),
      enhanced_eligibility: eligibilityOf(eligible, NO_EVIDENCE),
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: "not_submitted",
    },
    intended_submission_method: packet === undefined ? null : "prefer_manual",
    is_charge_refundable: inquiry,
    livemode: false,
    metadata: {},
    payment_intent: idOf(charge.payment_intent),
    ...methodDetails(charge, reason, compliance ? "compliance" : inquiry ? "inquiry" : "chargeback"),
    reason,
    status: final ? "lost" : inquiry ? "warning_needs_response" : "needs_response",
  };
  if (!inquiry) dispute.balance_transactions = [withdraw(context, dispute)];
  context.store.put("dispute", dispute);
  context.store.setInternals("dispute", dispute.id, { packet: packet ?? false });
  context.store.put("charge", { ...need(context, "charge", charge.id), disputed: true });
  if (!final) awaitDeadline(context, dispute);
  context.emit("charge.dispute.created", dispute);
  if (!inquiry) context.emit("charge.dispute.funds_withdrawn", dispute);
  if (final) context.emit("charge.dispute.closed", dispute);
  settleWarningsOf(context, charge.id);
  closeReviewOf(context, charge.id, "disputed");
  return dispute;
}

function addressText(address: Stripe.Address | null): string | null {
  if (address === null) return null;
  const parts = [
    address.line1,
    address.line2,
    address.city,
    address.state,
    address.postal_code,
    address.country,
  ];
  const text = parts.filter((part) => part !== null && part !== "").join(", ");
  return text === "" ? null : text;
}

function withdraw(context: Context, dispute: Stripe.Dispute): Stripe.BalanceTransaction {
  return recordBalance(context, {
    amount: -dispute.amount,
    currency: dispute.currency,
    fee: FEE,
    source: dispute.id,
    type: "adjustment",
    reportingCategory: "dispute",
    description: `Chargeback withdrawal for ${idOf(dispute.charge)}`,
  });
}

function save(context: Context, dispute: Stripe.Dispute, change: Partial<Stripe.Dispute>): Stripe.Dispute {
  const saved = { ...dispute, ...change };
  context.store.put("dispute", saved);
  return saved;
}

const OPEN = ["needs_response", "warning_needs_response", "appeal_needs_response"];
const UNDER_REVIEW = ["under_review", "warning_under_review", "appeal_under_review"];
const REVIEW_OF: Record<string, Stripe.Dispute.Status> = {
  appeal_needs_response: "appeal_under_review",
  needs_response: "under_review",
  warning_needs_response: "warning_under_review",
};

function isInquiry(dispute: Stripe.Dispute): boolean {
  return dispute.status.startsWith("warning_");
}

/** Stages or submits evidence. Submitted, the bank decides after the pace's time when the text says how. */
export function submitEvidence(
  context: Context,
  dispute: Stripe.Dispute,
  input: EvidenceInput,
  submit: boolean,
  intended: Stripe.Dispute.IntendedSubmissionMethod | undefined,
): Stripe.Dispute {
  if (!OPEN.includes(dispute.status)) {
    throw invalidRequest(
      `This dispute is already ${dispute.status}: evidence can only be changed while it needs a response.`,
      "evidence",
    );
  }
  refuseKlarnaInquiry(dispute);
  const evidence = addEvidence(context, dispute, input);
  requireRoom(context, evidence);
  const given = Object.keys({ ...input.texts, ...input.files }).length > 0 || input.appeal !== undefined ||
    input.enhanced !== undefined;
  const changed: Stripe.Dispute = {
    ...dispute,
    evidence,
    evidence_details: {
      ...dispute.evidence_details,
      has_evidence: dispute.evidence_details.has_evidence || given,
      enhanced_eligibility: eligibilityOf(dispute.enhanced_eligibility_types, evidence),
    },
    // An account without Smart Disputes has no such method.
    intended_submission_method: dispute.intended_submission_method === null
      ? null
      : intended ?? dispute.intended_submission_method,
  };
  if (submit) refuseSubmission(changed, hasPacket(context, dispute));
  const staged = save(context, changed, {});
  if (!submit) {
    context.emit("charge.dispute.updated", staged, dispute);
    return staged;
  }
  return send(context, staged, dispute);
}

function hasPacket(context: Context, dispute: Stripe.Dispute): boolean {
  return context.store.internals("dispute", dispute.id)?.packet ?? false;
}

/** Evidence goes to the bank: Smart Disputes' packet where it is preferred and there is one. */
function send(context: Context, staged: Stripe.Dispute, before: Stripe.Dispute): Stripe.Dispute {
  const { status, intended_submission_method: method, evidence_details: details } = staged;
  const smart = hasPacket(context, staged) &&
    (method === "smart_disputes" || method === "prefer_smart_disputes" ||
      (method === "prefer_manual" && !details.has_evidence));
  const submitted = save(context, staged, {
    evidence_details: {
      ...details,
      submission_count: details.submission_count + 1,
      // Of the chargeback, whatever becomes of an appeal.
      submission_method: isAppeal(staged) ? details.submission_method : smart ? "smart_disputes" : "manual",
    },
    status: REVIEW_OF[status] ?? "under_review",
  });
  context.emit("charge.dispute.updated", submitted, before);
  const verdict = verdictOf(submitted);
  if (verdict === WINNING || verdict === LOSING || verdict === ESCALATING) {
    context.schedule("decide_dispute", staged.id, context.pace.disputeMs);
  }
  return submitted;
}

/** The text that test mode reads as a decision. */
function verdictOf({ evidence, status }: Stripe.Dispute): string | null {
  if (!status.startsWith("appeal_")) return evidence.uncategorized_text;
  return evidence.appeal?.card?.reason_for_filing ?? null;
}

/** The bank's decision on submitted evidence. */
export function decideDispute(context: Context, id: string): void {
  const dispute = context.store.get("dispute", id);
  if (dispute === undefined || !UNDER_REVIEW.includes(dispute.status)) return;
  const verdict = verdictOf(dispute);
  if (isInquiry(dispute) && verdict === ESCALATING) escalate(context, dispute);
  else closeDispute(context, dispute, verdict === WINNING ? "won" : "lost");
}

/** Names a dispute and the deadline it has now. */
function alarmOf(dispute: Stripe.Dispute): string {
  return `${dispute.id} ${dispute.evidence_details.due_by}`;
}

function awaitDeadline(context: Context, dispute: Stripe.Dispute): void {
  const due = dispute.evidence_details.due_by ?? context.now;
  context.schedule("lapse_dispute", alarmOf(dispute), (due - context.now) * 1000);
}

/** Nobody answered in time: Smart Disputes does if it may; else a chargeback is lost, an inquiry ends as a warning. */
export function lapseDispute(context: Context, alarm: string): void {
  const dispute = context.store.get("dispute", alarm.split(" ")[0] ?? "");
  // A deadline that was moved since (an inquiry escalated, an appeal) has an alarm of its own.
  if (dispute === undefined || !OPEN.includes(dispute.status) || alarmOf(dispute) !== alarm) return;
  const { intended_submission_method: method, evidence_details: details } = dispute;
  const mayAnswer = method === "prefer_manual"
    ? !details.has_evidence
    : method !== "manual" && method !== null;
  if (mayAnswer && hasPacket(context, dispute)) {
    send(context, dispute, dispute);
    return;
  }
  const late = { ...dispute, evidence_details: { ...dispute.evidence_details, past_due: true } };
  closeDispute(context, late, "lost");
}

/** A lost dispute is appealed: it can be answered once more, and a second time be won. */
export function appealDispute(context: Context, dispute: Stripe.Dispute): Stripe.Dispute {
  if (dispute.status !== "lost") {
    throw invalidRequest(
      `Only a lost dispute can be appealed; this one is ${dispute.status}.`,
      "dispute",
    );
  }
  const appealed = save(context, dispute, {
    evidence: { ...dispute.evidence, appeal: null },
    evidence_details: {
      ...dispute.evidence_details,
      due_by: context.now + RESPONSE_S,
      has_evidence: false,
      past_due: false,
    },
    status: "appeal_needs_response",
  });
  awaitDeadline(context, appealed);
  context.emit("charge.dispute.updated", appealed, dispute);
  return appealed;
}

/** An inquiry becomes a chargeback: the money is withdrawn now, and a new deadline runs. */
function escalate(context: Context, dispute: Stripe.Dispute): void {
  const escalated = save(context, dispute, {
    balance_transactions: [withdraw(context, dispute)],
    evidence_details: { ...dispute.evidence_details, due_by: context.now + RESPONSE_S, has_evidence: false },
    is_charge_refundable: false,
    status: "needs_response",
  });
  awaitDeadline(context, escalated);
  context.emit("charge.dispute.updated", escalated, dispute);
  context.emit("charge.dispute.funds_withdrawn", escalated);
}

/** A payment given back in full leaves nothing to inquire about. */
export function endInquiriesOf(context: Context, charge: string): void {
  for (const dispute of context.store.all("dispute", ["charge", charge])) {
    if (dispute.status === "warning_needs_response" || dispute.status === "warning_under_review") {
      closeDispute(context, dispute, "lost");
    }
  }
}

/** Ends a dispute. Winning returns what was withdrawn. */
export function closeDispute(
  context: Context,
  dispute: Stripe.Dispute,
  outcome: "lost" | "won",
): Stripe.Dispute {
  if (!OPEN.includes(dispute.status) && !UNDER_REVIEW.includes(dispute.status)) {
    throw invalidRequest("This dispute is already closed.", "dispute");
  }
  const inquiry = isInquiry(dispute);
  const reinstated = outcome === "won" && !inquiry
    ? [recordBalance(context, {
      amount: dispute.amount,
      currency: dispute.currency,
      fee: -FEE,
      source: dispute.id,
      type: "adjustment",
      reportingCategory: "dispute_reversal",
      description: `Chargeback reversal for ${idOf(dispute.charge)}`,
    })]
    : [];
  const closed = save(context, dispute, {
    balance_transactions: [...dispute.balance_transactions, ...reinstated],
    status: inquiry ? "warning_closed" : outcome,
  });
  context.emit("charge.dispute.closed", closed, dispute);
  if (reinstated.length > 0) context.emit("charge.dispute.funds_reinstated", closed);
  return closed;
}
