/**
 * Reads an object again whose events cannot be put in order: two of them may carry the same second. What Stripe
 * says now is later than both.
 */
import { callStripe } from "../stripe.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import type { Fact } from "../stripe_events/facts.ts";
import { reviewFacts } from "../stripe_events/radar.ts";
import { refundFacts } from "../stripe_events/refund.ts";
import { done, type JobContext, type JobHandler, textField } from "./outcome.ts";

/** Payload: { dispute_id }. */
export const refreshDispute: JobHandler = (job, context) =>
  refresh(
    context,
    async () => disputeFacts(await context.stripe.disputes.retrieve(textField(job, "dispute_id"))),
  );

/** Payload: { refund_id }. */
export const refreshRefund: JobHandler = (job, context) =>
  refresh(
    context,
    async () => refundFacts(await context.stripe.refunds.retrieve(textField(job, "refund_id"))),
  );

/** Payload: { review_id }. */
export const refreshReview: JobHandler = (job, context) =>
  refresh(
    context,
    async () => reviewFacts(await context.stripe.reviews.retrieve(textField(job, "review_id"))),
  );

async function refresh({ rpc, now }: JobContext, read: () => Promise<Fact[]>) {
  const observedAt = new Date(now());
  await rpc.applyStripeFacts(await callStripe(read), "job", observedAt);
  return done;
}
