/**
 * Reads an object again whose events cannot be put in order: two of them may carry the same second. What Stripe
 * says now is later than both.
 */
import { callStripe } from "../stripe.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import type { Fact } from "../stripe_events/facts.ts";
import { reviewFacts } from "../stripe_events/radar.ts";
import { refundFacts } from "../stripe_events/refund.ts";
import { done, type JobContext, type JobHandler, type Outcome, textField } from "./outcome.ts";

/** Payload: { dispute_id }. */
export const refreshDispute: JobHandler = async (job, context) =>
  await refresh(
    context,
    textField(job, "dispute_id"),
    (id) => context.stripe.disputes.retrieve(id),
    disputeFacts,
  );

/** Payload: { refund_id }. */
export const refreshRefund: JobHandler = async (job, context) =>
  await refresh(
    context,
    textField(job, "refund_id"),
    (id) => context.stripe.refunds.retrieve(id),
    refundFacts,
  );

/** Payload: { review_id }. */
export const refreshReview: JobHandler = async (job, context) =>
  await refresh(
    context,
    textField(job, "review_id"),
    (id) => context.stripe.reviews.retrieve(id),
    reviewFacts,
  );

async function refresh<T>(
  { rpc, now }: JobContext,
  id: string,
  read: (id: string) => Promise<T>,
  factsOf: (object: T) => Fact[],
): Promise<Outcome> {
  const observedAt = new Date(now());
  // Only the call is Stripe's to answer for: an object that we cannot read is no outage.
  const object = await callStripe(() => read(id));
  await rpc.applyStripeFacts(factsOf(object), "job", observedAt);
  return done;
}
