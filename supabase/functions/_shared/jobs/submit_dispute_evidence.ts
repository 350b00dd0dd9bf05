/**
 * Answers a dispute with what the shop knows of the order. Staged, it waits at Stripe for a person; submitted, it
 * goes to the bank, and only once (https://docs.stripe.com/disputes/api).
 */
import { observe } from "../database/readings.ts";
import { callStripe } from "../stripe/client.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import { answerParams, noteFits, obstacleOf, sendAnswer, waiting, writtenByHand } from "./dispute_answer.ts";
import { uploadFiles } from "./dispute_files.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

/** Payload: { dispute_id, note, submit, acknowledge_fee }. */
export const submitDisputeEvidence: JobHandler = async (job, context) => {
  const { stripe, rpc, now } = context;
  const id = textField(job, "dispute_id");
  const submit = job.payload["submit"] === true;
  const acknowledgesFee = job.payload["acknowledge_fee"] === true;
  const note = typeof job.payload["note"] === "string" ? job.payload["note"] : null;

  const observer = { rpc, now, source: "job" } as const;
  const dispute = await observe(observer, () => callStripe(() => stripe.disputes.retrieve(id)), disputeFacts);
  if (!waiting.includes(dispute.status)) {
    return { kind: "discard", reason: `the dispute does not wait for evidence (${dispute.status})` };
  }
  // What a person has written already counts more than what can be put together by itself.
  if (!submit && dispute.evidence_details.has_evidence) {
    return { kind: "discard", reason: "the dispute has evidence already" };
  }
  const obstacle = obstacleOf(dispute);
  if (obstacle === "no_field" || (obstacle === "fee" && submit && !acknowledgesFee)) {
    return {
      kind: "discard",
      reason: obstacle === "fee"
        ? "fighting this dispute costs a fee, which nobody has acknowledged (p_acknowledge_fee)"
        : "Stripe's API takes no evidence in this round of such a payment: see the dashboard",
      ...(submit ? { alert: "critical" as const } : {}),
    };
  }
  const known = await rpc.getDisputeEvidence(id);
  if (known === null || known.order === null) {
    return { kind: "discard", reason: "the dispute is not about an order of this shop" };
  }

  const written = await writtenByHand(dispute);
  if (!noteFits(dispute, written, note)) {
    return {
      kind: "discard",
      reason: "the note does not fit beside the text that stands at Stripe: shorten it, or submit there",
      alert: "critical",
    };
  }
  const files = await uploadFiles(dispute, known.order, written, job, context);
  const params = await answerParams(dispute, known.order, written, { note, submit, acknowledgesFee, files });
  // A key for each try: what is known may have grown since the last one, and Stripe itself submits once.
  const key = `job_${job.id}_${job.lease_id}`;
  await observe(observer, () => sendAnswer(stripe, id, params, key), disputeFacts);
  return done;
};
