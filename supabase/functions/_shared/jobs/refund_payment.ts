/**
 * Gives money back, once. What stands in the way of a second refund: Stripe's list of the payment's refunds is read
 * before every try, and the database judges the request against it; the idempotency key is the request's; and Stripe
 * gives back no more than there is. What a bank decides about waits until it has.
 */
import type Stripe from "stripe";
import { observe } from "../database/readings.ts";
import { callStripe, classifyStripeFailure, isReplayedFailure, stripeErrorOf } from "../stripe/client.ts";
import { beginningOf } from "../text/outside_text.ts";
import { refundedLinesMetadata } from "../stripe/metadata_lines.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import { refundFacts } from "../stripe_events/refund.ts";
import { done, type JobContext, type JobHandler, type Outcome, outcomeOf, textField } from "./outcome.ts";

const stripeReasons: readonly string[] = ["duplicate", "fraudulent", "requested_by_customer"];

/** A refused key is tried under this many names: Stripe replays a stored 500 for as long as it knows the key. */
const keysMax = 3;

/**
 * Refusals that stay refusals (https://docs.stripe.com/error-codes): the bank has taken the money, there is no such
 * payment, or it has less left.
 */
const finalCodes: readonly string[] = [
  "charge_disputed",
  "charge_not_refundable",
  "resource_missing",
  "amount_too_large",
  "amount_too_small",
  "parameter_invalid_integer",
];
/** The next sales fill the balance again. */
const emptyBalanceCodes: readonly string[] = ["balance_insufficient", "insufficient_balance_for_refund"];

/** Payload: { payment_id, order_id, amount (null: all that is left), reason, cause, refund_request_id }. */
export const refundPayment: JobHandler = async (job, context) => {
  const paymentId = textField(job, "payment_id");
  const requestId = textField(job, "refund_request_id");
  const { amount, reason, cause } = job.payload;
  await applyExisting(paymentId, context);
  const judgement = await context.rpc.judgeRefund(requestId);
  if (judgement.outcome === "made") return done;
  if (judgement.outcome === "overtaken") {
    return { kind: "discard", reason: `${judgement.by} was made or asked for meanwhile`, alert: "warning" };
  }
  if (judgement.outcome === "disputed") return disputed;
  const params: Stripe.RefundCreateParams = {
    payment_intent: paymentId,
    ...(typeof amount === "number" ? { amount } : {}),
    ...(isStripeReason(reason) ? { reason } : {}),
    metadata: {
      order_id: textField(job, "order_id"),
      refund_request_id: requestId,
      ...(typeof reason === "string" ? { reason: beginningOf(reason, 500) } : {}),
      // What a database that was restored cannot know otherwise: `deno task rescue`.
      ...(typeof cause === "string" ? { cause } : {}),
      ...(typeof amount === "number" ? {} : { whole: "true" }),
      ...(judgement.restock ? { restock: "true" } : {}),
      ...refundedLinesMetadata(judgement.lines ?? []),
    },
  };
  const refusals = judgement.refusals === 0 ? "" : `_after_${judgement.refusals}`;
  try {
    await observe(
      { ...context, source: "job" },
      () => create(params, requestId, `refund_${requestId}${refusals}`, context),
      (refund) => refund === null ? [] : refundFacts(refund),
    );
    return done;
  } catch (error) {
    if (stripeErrorOf(error)?.code === "charge_already_refunded") {
      // Somebody refunded by hand in the meantime: what was wanted is true.
      await applyExisting(paymentId, context);
      return { kind: "discard", reason: "the payment is refunded already", provider: "up" };
    }
    if (stripeErrorOf(error)?.code === "charge_disputed") {
      // News of the dispute is on its way, perhaps.
      await applyDisputes(paymentId, context);
      if ((await context.rpc.judgeRefund(requestId)).outcome === "disputed") return disputed;
    }
    return refusalOutcome(error, cause, context.now());
  }
};

/** It comes back by itself when the bank has decided for the shop: `resume_disputed_refunds()`. */
const disputed: Outcome = { kind: "discard", reason: "a bank has the money, or decides about it" };

/**
 * What to make of a failure. What passes by nature is tried again for days; so is a refusal nobody knows, when the
 * shop owes the money by its own decision. A person who asked can ask again, and hears of it at once.
 */
function refusalOutcome(error: unknown, cause: unknown, now: number): Outcome {
  const outcome = outcomeOf(error, now);
  // Replayed under each of its names, so all of those requests are over: as a refusal it gets another key next time.
  if (outcome.kind === "retry" && isReplayedFailure(error)) return { ...outcome, alert: "warning" };
  const failure = stripeErrorOf(error);
  if (failure === null || classifyStripeFailure(error) !== "discard") return outcome;
  const code = failure.code ?? "";
  const passes = emptyBalanceCodes.includes(code) ||
    /insufficient (available )?(funds|balance)/i.test(failure.message);
  if (!passes && (finalCodes.includes(code) || cause === "requested")) return outcome;
  const reason = outcome.kind === "discard" ? outcome.reason : failure.message;
  return { kind: "retry", error: reason, alert: "warning", provider: "up" };
}

/** Creates the refund; null when one of an earlier try came to light. */
async function create(
  params: Stripe.RefundCreateParams,
  requestId: string,
  key: string,
  context: JobContext,
): Promise<Stripe.Refund | null> {
  for (let number = 1;; number++) {
    const idempotencyKey = number === 1 ? key : `${key}_${number}`;
    try {
      return await callStripe(() => context.stripe.refunds.create(params, { idempotencyKey }));
    } catch (error) {
      if (!isReplayedFailure(error) || number === keysMax) throw error;
      // That request is over and failed for good under its key. If it made a refund all the same, it shows.
      if (await applyExisting(params.payment_intent ?? "", context, requestId)) return null;
    }
  }
}

/** Applies all refunds of the payment; true when the one for this request is among them. */
async function applyExisting(
  paymentId: string,
  context: JobContext,
  requestId?: string,
): Promise<boolean> {
  const list = () =>
    callStripe(async () => {
      const refunds: Stripe.Refund[] = [];
      const all = context.stripe.refunds.list({ payment_intent: paymentId, limit: 100 });
      for await (const refund of all) refunds.push(refund);
      return refunds;
    });
  const refunds = await observe({ ...context, source: "job" }, list, (found) => found.flatMap(refundFacts));
  return refunds.some((refund) => refund.metadata?.["refund_request_id"] === requestId);
}

async function applyDisputes(paymentId: string, context: JobContext): Promise<void> {
  const list = () =>
    callStripe(() => context.stripe.disputes.list({ payment_intent: paymentId, limit: 100 }));
  await observe(
    { ...context, source: "job" },
    list,
    ({ data }) => data.flatMap((dispute) => disputeFacts(dispute)),
  );
}

function isStripeReason(reason: unknown): reason is Stripe.RefundCreateParams.Reason {
  return typeof reason === "string" && stripeReasons.includes(reason);
}
