/**
 * Ends an open session, so that nobody can pay what is cancelled, paid already or out of time. Stock goes back
 * only on Stripe's word: a session that turns out paid is settled instead.
 */
import { callStripe, stripeErrorOf } from "../stripe.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import { paymentIntentFacts } from "../stripe_events/payment_intent.ts";
import { expandedOf } from "../stripe_events/references.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

const expanded = { expand: ["payment_intent.latest_charge"] };

/** Payload: { session_id, order_id }. */
export const expireCheckoutSession: JobHandler = async (job, { stripe, rpc, now }) => {
  const id = textField(job, "session_id");
  let observedAt = new Date(now());
  let session = await callStripe(() => stripe.checkout.sessions.retrieve(id, expanded));
  if (session.status === "open") {
    observedAt = new Date(now());
    try {
      session = await callStripe(() =>
        stripe.checkout.sessions.expire(id, expanded, {
          idempotencyKey: `job_${job.id}_expire_${job.attempts}`,
        })
      );
    } catch (error) {
      if (stripeErrorOf(error)?.statusCode !== 400) throw error;
      // Paid or expired since we looked: the next try reads which.
      return {
        kind: "retry",
        error: "the session changed while it was to be expired",
        after: new Date(now() + 1000),
      };
    }
  }
  const intent = expandedOf(session.payment_intent);
  const facts = [...checkoutSessionFacts(session), ...(intent === null ? [] : paymentIntentFacts(intent))];
  await rpc.applyStripeFacts(facts, "job", observedAt);
  return done;
};
