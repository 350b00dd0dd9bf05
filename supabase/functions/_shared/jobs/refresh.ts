/**
 * Reads an object again whose events cannot be put in order (two of them may carry the same second: what Stripe says
 * now is later than both), or which an event of another API version did not tell in full.
 */
import type Stripe from "stripe";
import { observe } from "../database/readings.ts";
import { callStripe } from "../stripe/client.ts";
import { readSession } from "../stripe/session.ts";
import { chargeFacts } from "../stripe_events/charge.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import type { Fact } from "../stripe_events/facts.ts";
import { paymentIntentFacts } from "../stripe_events/payment_intent.ts";
import { customerFacts } from "../stripe_events/customer.ts";
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

/** Payload: { customer_id }. */
export const refreshCustomer: JobHandler = async (job, context) =>
  await refresh(
    context,
    textField(job, "customer_id"),
    (id) => context.stripe.customers.retrieve(id),
    (customer) => customerFacts(customer, context.env.livemode),
  );

/** Payload: { checkout_session_id }. */
export const refreshCheckoutSession: JobHandler = async (job, context) =>
  await refresh(
    context,
    textField(job, "checkout_session_id"),
    (id) => readSession(context.stripe, id),
    (session) => checkoutSessionFacts(session),
  );

/** Payload: { payment_id }. */
export const refreshPayment: JobHandler = async (job, context) =>
  await refresh(
    context,
    textField(job, "payment_id"),
    (id) => context.stripe.paymentIntents.retrieve(id, { expand: ["latest_charge"] }),
    paymentIntentFacts,
  );

/** Payload: { charge_id }. */
export const refreshCharge: JobHandler = async (job, context) =>
  await refresh(
    context,
    textField(job, "charge_id"),
    (id) => readCharge(id, context),
    (charge) => charge,
  );

/** The facts of a charge and of all its refunds; expanded, it carries the newest ten only. */
async function readCharge(id: string, { stripe }: JobContext): Promise<Fact[]> {
  const charge = await stripe.charges.retrieve(id, { expand: ["refunds"] });
  if (charge.refunds?.has_more !== true) return chargeFacts(charge);
  const refunds: Stripe.Refund[] = [];
  for await (const refund of stripe.refunds.list({ charge: id, limit: 100 })) refunds.push(refund);
  return [...chargeFacts(charge), ...refunds.flatMap(refundFacts)];
}

async function refresh<T>(
  context: JobContext,
  id: string,
  read: (id: string) => Promise<T>,
  factsOf: (object: T) => Fact[],
): Promise<Outcome> {
  // Only the call is Stripe's to answer for: an object that we cannot read is no outage.
  await observe({ ...context, source: "job" }, () => callStripe(() => read(id)), factsOf);
  return done;
}
