/**
 * Gives money back, once. Three things stand in the way of a second refund: the idempotency key is the request's;
 * any try but the first looks for a refund that carries the request's id; and Stripe gives back no more than
 * there is.
 */
import type Stripe from "stripe";
import { callStripe, isReplayedFailure, stripeErrorOf } from "../stripe.ts";
import { refundFacts } from "../stripe_events/refund.ts";
import { done, type JobContext, type JobHandler, textField } from "./outcome.ts";

const stripeReasons: readonly string[] = ["duplicate", "fraudulent", "requested_by_customer"];

/** Stripe forgets idempotency keys after a day; a job brought back later must look first. */
const keyLifetimeMs = 20 * 3_600_000;
/** A refused key is tried under this many names: Stripe replays a stored 500 for as long as it knows the key. */
const keysMax = 3;

/** Payload: { payment_id, order_id, amount (null: all that is left), reason, refund_request_id }. */
export const refundPayment: JobHandler = async (job, context) => {
  const paymentId = textField(job, "payment_id");
  const requestId = textField(job, "refund_request_id");
  const { amount, reason } = job.payload;
  if (job.attempts > 1 || context.now() - Date.parse(job.created_at) > keyLifetimeMs) {
    if (await applyExisting(paymentId, requestId, context)) return done;
  }
  const params: Stripe.RefundCreateParams = {
    payment_intent: paymentId,
    ...(typeof amount === "number" ? { amount } : {}),
    ...(isStripeReason(reason) ? { reason } : {}),
    metadata: {
      order_id: textField(job, "order_id"),
      refund_request_id: requestId,
      ...(typeof reason === "string" ? { reason: reason.slice(0, 500) } : {}),
    },
  };
  try {
    const observedAt = new Date(context.now());
    const refund = await create(params, requestId, context);
    if (refund !== null) await context.rpc.applyStripeFacts(refundFacts(refund), "job", observedAt);
    return done;
  } catch (error) {
    if (stripeErrorOf(error)?.code !== "charge_already_refunded") throw error;
    // Somebody refunded by hand in the meantime: what was wanted is true.
    await applyExisting(paymentId, requestId, context);
    return { kind: "discard", reason: "the payment is refunded already" };
  }
};

/** Creates the refund; null when one of an earlier try came to light. */
async function create(params: Stripe.RefundCreateParams, requestId: string, context: JobContext) {
  for (let number = 1;; number++) {
    const idempotencyKey = number === 1 ? `refund_${requestId}` : `refund_${requestId}_${number}`;
    try {
      return await callStripe(() => context.stripe.refunds.create(params, { idempotencyKey }));
    } catch (error) {
      if (!isReplayedFailure(error) || number === keysMax) throw error;
      // That request is over and failed for good under its key. If it made a refund all the same, it shows.
      if (await applyExisting(textOf(params.payment_intent), requestId, context)) return null;
    }
  }
}

/** Applies all refunds of the payment; true when the one for this request is among them. */
async function applyExisting(
  paymentId: string,
  requestId: string,
  { stripe, rpc, now }: JobContext,
): Promise<boolean> {
  const observedAt = new Date(now());
  const refunds = await callStripe(() => stripe.refunds.list({ payment_intent: paymentId, limit: 100 }));
  if (refunds.data.length === 0) return false;
  await rpc.applyStripeFacts(refunds.data.flatMap(refundFacts), "job", observedAt);
  return refunds.data.some((refund) => refund.metadata?.["refund_request_id"] === requestId);
}

function textOf(value: string | undefined): string {
  return value ?? "";
}

function isStripeReason(reason: unknown): reason is Stripe.RefundCreateParams.Reason {
  return typeof reason === "string" && stripeReasons.includes(reason);
}
