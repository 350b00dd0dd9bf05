/**
 * Ends an open session, so that nobody can pay what is cancelled, paid already or out of time. Stock goes back
 * only on Stripe's word: a session that turns out paid is settled instead, and while Stripe cannot be asked the
 * hold stays. A session that Stripe does not know any more is given up a day after its end.
 */
import type Stripe from "stripe";
import { observe } from "../database/readings.ts";
import { callStripe, stripeErrorOf } from "../stripe/client.ts";
import { expireSession, readSession } from "../stripe/session.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import { done, type JobContext, type JobHandler, textField } from "./outcome.ts";

/** Payload: { session_id, order_id }. */
export const expireCheckoutSession: JobHandler = async (job, context) => {
  const id = textField(job, "session_id");
  // A key for each try: Stripe would replay a stored 500 for a day, and a try while Stripe is down costs no attempt.
  const key = `expire_${id}_job_${job.id}_${job.lease_id}`;
  try {
    await observe(
      { ...context, source: "job" },
      () => end(id, key, context),
      (session) => checkoutSessionFacts(session),
    );
  } catch (error) {
    const unknown = stripeErrorOf(error)?.code === "resource_missing";
    if (!unknown || !(await context.rpc.forgetCheckoutSession(id))) throw error;
    context.log.warn("checkout_session_forgotten", { session_id: id });
  }
  return done;
};

/** The session as it is once it can no longer be paid. */
async function end(
  id: string,
  idempotencyKey: string,
  { stripe }: JobContext,
): Promise<Stripe.Checkout.Session> {
  const session = await callStripe(() => readSession(stripe, id));
  if (session.status !== "open") return session;
  try {
    return await callStripe(() => expireSession(stripe, id, { idempotencyKey }));
  } catch (error) {
    // Only open sessions can be expired: somebody paid between the two calls.
    if (stripeErrorOf(error)?.statusCode !== 400) throw error;
    const now = await callStripe(() => readSession(stripe, id));
    if (now.status === "open") throw error;
    return now;
  }
}
