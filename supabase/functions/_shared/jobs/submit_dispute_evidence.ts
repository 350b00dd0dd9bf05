/**
 * Answers a dispute with what the shop knows of the order. Staged, it waits at Stripe for a person; submitted, it
 * goes to the bank, and only once (https://docs.stripe.com/disputes/api).
 */
import type Stripe from "stripe";
import { observe } from "../database/readings.ts";
import { callStripe } from "../stripe/client.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import { evidenceParams } from "./dispute_evidence.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

const waiting: readonly string[] = ["needs_response", "warning_needs_response", "appeal_needs_response"];

/** Payload: { dispute_id, note, submit }. */
export const submitDisputeEvidence: JobHandler = async (job, { stripe, rpc, now }) => {
  const id = textField(job, "dispute_id");
  const submit = job.payload["submit"] === true;
  const note = typeof job.payload["note"] === "string" ? job.payload["note"] : null;

  const observer = { rpc, now, source: "job" } as const;
  const dispute = await observe(observer, () => callStripe(() => stripe.disputes.retrieve(id)), disputeFacts);
  if (!waiting.includes(dispute.status)) {
    return { kind: "discard", reason: `the dispute does not wait for evidence (${dispute.status})` };
  }
  // What a person has written already counts more than what can be put together by itself.
  if (!submit && (dispute.evidence_details?.has_evidence ?? false)) {
    return { kind: "discard", reason: "the dispute has evidence already" };
  }
  const known = await rpc.getDisputeEvidence(id);
  if (known === null || known.order === null) {
    return { kind: "discard", reason: "the dispute is not about an order of this shop" };
  }

  const params: Stripe.DisputeUpdateParams = {
    evidence: evidenceParams(known.order, note, dispute.enhanced_eligibility_types),
    // Stripe submits unless told not to.
    submit,
    metadata: { order_number: known.order.number },
  };
  await observe(
    observer,
    () => callStripe(() => stripe.disputes.update(id, params, { idempotencyKey: `job_${job.id}_evidence` })),
    disputeFacts,
  );
  return done;
};
