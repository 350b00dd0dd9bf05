/** Accepts a dispute at Stripe, which ends it as lost (https://docs.stripe.com/api/disputes/close). */
import { callStripe } from "../stripe/client.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

const waiting: readonly string[] = ["needs_response", "warning_needs_response", "appeal_needs_response"];
const ended: readonly string[] = ["lost", "warning_closed"];

/** Payload: { dispute_id, round }: the status in which staff accepted it. */
export const closeDispute: JobHandler = async (job, { stripe, rpc, now }) => {
  const id = textField(job, "dispute_id");
  let observedAt = new Date(now());
  const dispute = await callStripe(() => stripe.disputes.retrieve(id));
  await rpc.applyStripeFacts(disputeFacts(dispute), "job", observedAt);
  // Closed by a try whose answer was lost, or by a person.
  if (ended.includes(dispute.status)) return done;
  if (!waiting.includes(dispute.status)) {
    return { kind: "discard", reason: `the dispute does not wait for an answer (${dispute.status})` };
  }
  // An inquiry costs nothing to accept; the chargeback that has come of it meanwhile does.
  if (job.payload["round"] !== undefined && job.payload["round"] !== dispute.status) {
    return {
      kind: "discard",
      reason: `the dispute was accepted before it went on to ${dispute.status}: accept it anew`,
      alert: "critical",
    };
  }
  observedAt = new Date(now());
  // A key for each try: Stripe would replay a stored 500 for a day, and closes a dispute once anyway.
  const idempotencyKey = `job_${job.id}_${job.lease_id}`;
  const closed = await callStripe(() => stripe.disputes.close(id, {}, { idempotencyKey }));
  await rpc.applyStripeFacts(disputeFacts(closed), "job", observedAt);
  return done;
};
