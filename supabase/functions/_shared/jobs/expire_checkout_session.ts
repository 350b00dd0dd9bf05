/**
 * Ends an open session, so that nobody can pay what is cancelled, paid already or out of time. Stock goes back
 * only on Stripe's word: a session that turns out paid is settled instead, and while Stripe cannot be asked the
 * hold stays.
 */
import { callStripe, stripeErrorOf } from "../stripe/client.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import { done, type JobContext, type JobHandler, textField } from "./outcome.ts";

/** A session is read with its payment and that one's latest charge. */
export const sessionExpansion = ["payment_intent.latest_charge"];

/** Payload: { session_id, order_id }. */
export const expireCheckoutSession: JobHandler = async (job, context) => {
  const id = textField(job, "session_id");
  let reading = await readSession(id, context);
  if (reading.session.status === "open") {
    reading = await expire(id, `expire_${id}_job_${job.id}_${job.attempts}`, context);
  }
  await context.rpc.applyStripeFacts(checkoutSessionFacts(reading.session), "job", reading.observedAt);
  return done;
};

/** A session with its payment, and when it was asked for: what happens meanwhile is newer. */
export async function readSession(id: string, { stripe, now }: Pick<JobContext, "stripe" | "now">) {
  const observedAt = new Date(now());
  const session = await callStripe(() => stripe.checkout.sessions.retrieve(id, { expand: sessionExpansion }));
  return { session, observedAt };
}

async function expire(id: string, idempotencyKey: string, context: JobContext) {
  const observedAt = new Date(context.now());
  try {
    const session = await callStripe(() =>
      context.stripe.checkout.sessions.expire(id, { expand: sessionExpansion }, { idempotencyKey })
    );
    return { session, observedAt };
  } catch (error) {
    // Only open sessions can be expired: somebody paid between the two calls.
    if (stripeErrorOf(error)?.statusCode !== 400) throw error;
    const reading = await readSession(id, context);
    if (reading.session.status === "open") throw error;
    return reading;
  }
}
