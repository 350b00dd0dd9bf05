/** Gives money back, once: the idempotency key is the job's, and Stripe refuses to refund more than there is. */
import type Stripe from "stripe";
import type { Job } from "../rpc.ts";
import { callStripe, isReplayedFailure, stripeErrorOf } from "../stripe.ts";
import { refundFacts } from "../stripe_events/refund.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

const stripeReasons: readonly string[] = ["duplicate", "fraudulent", "requested_by_customer"];

/** Payload: { payment_id, order_id, amount (null: all that is left), reason, refund_request_id }. */
export const refundPayment: JobHandler = async (job, { stripe, rpc, now }) => {
  const { amount, reason } = job.payload;
  const params: Stripe.RefundCreateParams = {
    payment_intent: textField(job, "payment_id"),
    ...(typeof amount === "number" ? { amount } : {}),
    ...(isStripeReason(reason) ? { reason } : {}),
    metadata: {
      order_id: textField(job, "order_id"),
      refund_request_id: textField(job, "refund_request_id"),
      ...(typeof reason === "string" ? { reason: reason.slice(0, 500) } : {}),
    },
  };
  try {
    const observedAt = new Date(now());
    const refund = await earlierRefund(job, stripe) ?? await createRefund(job, params, stripe);
    await rpc.applyStripeFacts(refundFacts(refund), "job", observedAt);
    return done;
  } catch (error) {
    // Somebody refunded by hand in the meantime: what was wanted is true.
    if (stripeErrorOf(error)?.code === "charge_already_refunded") {
      return { kind: "discard", reason: "the payment is refunded already" };
    }
    throw error;
  }
};

/** What an earlier attempt of this job achieved; its idempotency key is forgotten after a day, its refund is not. */
async function earlierRefund(job: Job, stripe: Stripe): Promise<Stripe.Refund | null> {
  if (job.attempts <= 1) return null;
  const list = await callStripe(() =>
    stripe.refunds.list({ payment_intent: textField(job, "payment_id"), limit: 100 })
  );
  return list.data.find((refund) =>
    refund.metadata?.["refund_request_id"] === job.payload["refund_request_id"]
  ) ?? null;
}

async function createRefund(
  job: Job,
  params: Stripe.RefundCreateParams,
  stripe: Stripe,
): Promise<Stripe.Refund> {
  const create = (idempotencyKey: string) =>
    callStripe(() => stripe.refunds.create(params, { idempotencyKey }));
  try {
    return await create(`job_${job.id}_refund`);
  } catch (error) {
    // We have just seen that there is no such refund, so a new key cannot make a second one.
    if (job.attempts > 1 && isReplayedFailure(error)) {
      return await create(`job_${job.id}_refund_${job.attempts}`);
    }
    throw error;
  }
}

function isStripeReason(reason: unknown): reason is Stripe.RefundCreateParams.Reason {
  return typeof reason === "string" && stripeReasons.includes(reason);
}
