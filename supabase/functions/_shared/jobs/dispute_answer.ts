/**
 * Puts together what is sent to Stripe about a dispute, beside what stands there already: evidence that a person has
 * written in the dashboard is never overwritten.
 */
import type Stripe from "stripe";
import type { DisputedOrder } from "../database/disputes.ts";
import { callStripe, stripeErrorOf } from "../stripe/client.ts";
import { sha256 } from "../text/sha256.ts";
import { appealParams, evidenceParams, textMax } from "./dispute_evidence.ts";
import { filesKey, filesText, ourFiles, type StagedFile, withoutFiles } from "./dispute_files.ts";

/** Key of the dispute's metadata that tells our evidence from that of a person. */
const marksKey = "staged";

/** Who answers, and with what besides what the shop knows of the order. */
export interface Answer {
  /** In the words of staff. */
  note: string | null;
  /** False: staged only. */
  submit: boolean;
  /** Staff agree to pay for a compliance dispute. */
  acknowledgesFee: boolean;
  /** Ours, at Stripe already. */
  files: readonly StagedFile[];
}

export const waiting: readonly string[] = [
  "needs_response",
  "warning_needs_response",
  "appeal_needs_response",
];

/** Why a dispute is not fought without a person; null: it may be. The words are those of `dispute_decisions.reason`. */
export function obstacleOf(dispute: Stripe.Dispute): "fee" | "no_field" | null {
  const method = dispute.payment_method_details?.type;
  if (isAppeal(dispute)) return method === "card" ? null : "no_field";
  // https://docs.stripe.com/payments/klarna/disputes
  if (method === "klarna" && dispute.status === "warning_needs_response") return "no_field";
  return compliance(dispute).some(({ acknowledged }) => !acknowledged) ? "fee" : null;
}

/** The names of the fields of evidence that a person has written. */
export async function writtenByHand(dispute: Stripe.Dispute): Promise<string[]> {
  // Until something is staged, there is only what Stripe has filled in itself.
  if (!dispute.evidence_details.has_evidence) return [];
  const ours = new Set((dispute.metadata[marksKey] ?? "").split(" "));
  const fields = Object.entries(fieldsOf(dispute));
  const marks = await Promise.all(fields.map(([name, value]) => mark(name, value)));
  return fields.filter((_, index) => !ours.has(marks[index] ?? "")).map(([name]) => name);
}

/**
 * The parameters of `disputes.update`. `written` are the fields to leave alone; staff's note is added to the text that
 * a person has written (see `noteFits`).
 */
export async function answerParams(
  dispute: Stripe.Dispute,
  order: DisputedOrder,
  written: readonly string[],
  answer: Answer,
): Promise<Stripe.DisputeUpdateParams> {
  const ours = isAppeal(dispute) ? appealParams(order, answer.note) : {
    ...evidenceParams(order, answer.note, dispute, answer.submit && answer.acknowledgesFee),
    ...Object.fromEntries(answer.files.map(({ field, id }) => [field, id])),
  };
  const evidence: Stripe.DisputeUpdateParams.Evidence = Object.fromEntries(
    Object.entries(ours).filter(([name]) => !written.includes(name)),
  );
  const text = besideWritten(dispute, written, answer.note);
  if (text !== null) {
    if (isAppeal(dispute)) evidence.appeal = { card: { reason_for_filing: text } };
    else evidence.uncategorized_text = text;
  }
  if (isAppeal(dispute)) addSupport(evidence, dispute, answer.files);
  const staged = { ...dispute.evidence, ...evidence } as Stripe.Dispute.Evidence;
  const marks = Object.entries(fieldsOf({ ...dispute, evidence: staged })).filter(([name]) =>
    !written.includes(name)
  );
  return {
    evidence,
    // Stripe submits unless told not to.
    submit: answer.submit,
    metadata: {
      order_number: order.number,
      [filesKey]: filesText(answer.files),
      [marksKey]: (await Promise.all(marks.map(([name, value]) => mark(name, value)))).join(" "),
    },
    ...submissionMethod(dispute, answer.note !== null || written.length > 0),
  };
}

/** Puts our files beside those that a person has added to an appeal, whose reason is said again as it stands. */
function addSupport(
  evidence: Stripe.DisputeUpdateParams.Evidence,
  dispute: Stripe.Dispute,
  files: readonly StagedFile[],
): void {
  if (files.length === 0) return;
  const { reason_for_filing, supporting_files = [] } = dispute.evidence.appeal?.card ?? {};
  const before = new Set(ourFiles(dispute).map(({ id }) => id));
  const added = supporting_files.filter((id) => !before.has(id));
  evidence.appeal = {
    card: {
      ...(reason_for_filing === undefined ? {} : { reason_for_filing }),
      ...(evidence.appeal ? evidence.appeal.card : {}),
      supporting_files: [...added, ...files.map(({ id }) => id)],
    },
  };
}

/** Whether staff's note has room beside the text that a person has written in the dashboard. */
export function noteFits(dispute: Stripe.Dispute, written: readonly string[], note: string | null): boolean {
  return (besideWritten(dispute, written, note) ?? "").length <= textMax;
}

/** Staff's note above the text that a person has written in the dashboard; null unless there are both. */
function besideWritten(
  dispute: Stripe.Dispute,
  written: readonly string[],
  note: string | null,
): string | null {
  const kept = fieldsOf(dispute)[freeText(dispute)];
  if (note === null || kept === undefined || !written.includes(freeText(dispute))) return null;
  return `${note}\n\n${kept}`;
}

/**
 * Sends the parameters. Where a person has left the answer to Smart Disputes and there is no packet, ours goes instead,
 * and where Stripe refuses it with our files (a person's may leave no room for them) it goes without: better than none.
 */
export async function sendAnswer(
  stripe: Stripe,
  id: string,
  params: Stripe.DisputeUpdateParams,
  idempotencyKey: string,
): Promise<Stripe.Dispute> {
  try {
    return await callStripe(() => stripe.disputes.update(id, params, { idempotencyKey }));
  } catch (error) {
    const { code, statusCode } = stripeErrorOf(error) ?? {};
    if (code !== "smart_disputes_not_available" || params.intended_submission_method === "prefer_manual") {
      const bare = statusCode === 400 ? withoutFiles(params) : null;
      if (bare === null) throw error;
      return await sendAnswer(stripe, id, bare, `${idempotencyKey}_bare`);
    }
    const manual = { ...params, intended_submission_method: "prefer_manual" as const };
    return await sendAnswer(stripe, id, manual, `${idempotencyKey}_manual`);
  }
}

/**
 * Who responds: Smart Disputes where it has a packet, with what we know beside it; the words of a person are always
 * submitted as they are. A method that a person has chosen for good stays, and an account without Smart Disputes has
 * none (https://docs.stripe.com/disputes/set-up-smart-disputes).
 */
function submissionMethod(
  dispute: Stripe.Dispute,
  byPerson: boolean,
): Pick<Stripe.DisputeUpdateParams, "intended_submission_method"> {
  const wanted = byPerson ? "prefer_manual" : "prefer_smart_disputes";
  const chosen = dispute.intended_submission_method;
  const mayChange = chosen === "prefer_manual" || chosen === "prefer_smart_disputes";
  return mayChange && chosen !== wanted && !isAppeal(dispute) ? { intended_submission_method: wanted } : {};
}

function isAppeal(dispute: Stripe.Dispute): boolean {
  return dispute.status === "appeal_needs_response";
}

/** Where the story of the order stands. */
function freeText(dispute: Stripe.Dispute): "appeal" | "uncategorized_text" {
  return isAppeal(dispute) ? "appeal" : "uncategorized_text";
}

/** The fields of a round that are filled, as text: of an appeal the appeal alone, which is all that it takes. */
function fieldsOf(dispute: Stripe.Dispute): Record<string, string> {
  const { evidence } = dispute;
  if (isAppeal(dispute)) {
    const reason = evidence.appeal?.card?.reason_for_filing ?? "";
    return reason === "" ? {} : { appeal: reason };
  }
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(evidence)) {
    if (name === "appeal" || name === "enhanced_evidence") continue;
    const text = typeof value === "object" && value !== null && "id" in value ? value.id : value;
    if (typeof text === "string" && text !== "") fields[name] = text;
  }
  return fields;
}

/** A short hash of a field; Stripe may trim a text. */
async function mark(name: string, value: string): Promise<string> {
  return (await sha256(`${name}\n${value.replaceAll(/\s+/g, " ").trim()}`)).slice(0, 8);
}

/** The card networks' compliance cases that a dispute is, and whether their fee is acknowledged. */
function compliance(dispute: Stripe.Dispute) {
  const eligibility = dispute.evidence_details.enhanced_eligibility;
  return (["visa_compliance", "mastercard_compliance"] as const)
    .filter((name) => dispute.enhanced_eligibility_types.includes(name))
    .map((name) => ({ name, acknowledged: eligibility[name]?.status === "fee_acknowledged" }));
}
