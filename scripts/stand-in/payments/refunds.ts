import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { checkUnits } from "../core/money.ts";
import { isRedirect } from "./other_methods.ts";
import { recordBalance } from "./balance.ts";
import { endInquiriesOf } from "./disputes.ts";
import { settleWarningsOf } from "./early_fraud_warnings.ts";
import { closeReviewOf } from "./reviews.ts";
import { formatMoney } from "../core/currencies.ts";
import { partOf } from "./presentment.ts";

export interface RefundInput {
  amount?: number;
  charge?: string;
  metadata: Record<string, string>;
  payment_intent?: string;
  reason: Stripe.Refund.Reason | null;
}

function chargeToRefund(context: Context, input: RefundInput): Stripe.Charge {
  if (input.charge !== undefined) return need(context, "charge", input.charge, "charge");
  if (input.payment_intent === undefined) {
    throw invalidRequest(
      "One of the following params should be provided for this request: payment_intent or charge.",
    );
  }
  const intent = need(context, "payment_intent", input.payment_intent, "payment_intent");
  const charge = context.store.get("charge", idOf(intent.latest_charge) ?? "");
  if (charge === undefined || charge.status !== "succeeded") {
    throw invalidRequest(
      `This PaymentIntent (${intent.id}) does not have a successful charge to refund.`,
      "payment_intent",
      "payment_intent_unexpected_state",
    );
  }
  return charge;
}

/** Throws Stripe's refusal when this much cannot be refunded. */
function refundableAmount(context: Context, charge: Stripe.Charge, wanted: number | undefined): number {
  if (charge.status !== "succeeded" || !charge.captured) {
    throw invalidRequest(`Charge ${charge.id} has not been captured and cannot be refunded.`, "charge");
  }
  // The money of a dispute that was won is back.
  const blocking = charge.disputed &&
    context.store.all("dispute", ["charge", charge.id]).some((dispute) =>
      !dispute.is_charge_refundable && dispute.status !== "won"
    );
  if (blocking) {
    throw invalidRequest(
      `Charge ${charge.id} has been charged back; cannot issue a refund.`,
      "charge",
      "charge_disputed",
    );
  }
  const left = charge.amount - charge.amount_refunded;
  if (left <= 0) {
    throw invalidRequest(
      `Charge ${charge.id} has already been refunded.`,
      "charge",
      "charge_already_refunded",
    );
  }
  const amount = wanted ?? left;
  if (amount > left) {
    throw invalidRequest(
      `Refund amount (${formatMoney(amount, charge.currency)}) is greater than unrefunded amount on charge (${
        formatMoney(left, charge.currency)
      })`,
      "amount",
      "amount_too_large",
    );
  }
  checkUnits(amount, charge.currency, "amount");
  return amount;
}

function returned(context: Context, charge: Stripe.Charge, change: number): Stripe.Charge {
  const amountRefunded = charge.amount_refunded + change;
  const saved: Stripe.Charge = {
    ...charge,
    amount_refunded: amountRefunded,
    refunded: amountRefunded >= charge.amount,
  };
  context.store.put("charge", saved);
  return saved;
}

/** Gives money back. Some test cards take their time, or change their mind. */
export function createRefund(context: Context, input: RefundInput): Stripe.Refund {
  const charge = chargeToRefund(context, input);
  const amount = refundableAmount(context, charge, input.amount);
  const behaviour = context.store.internals("payment_method", charge.payment_method ?? "");
  const card = behaviour?.type === "card" ? behaviour.card : null;
  const other = behaviour?.type === "other" && isRedirect(behaviour.method) ? behaviour.refund : null;
  const status = other === "requires_action"
    ? other
    : card?.refund === "pending" || behaviour?.type === "bank" || other !== null
    ? "pending"
    : "succeeded";
  const id = newId("refund");
  const presented = partOf(charge.presentment_details, {
    before: charge.amount_refunded,
    part: amount,
    whole: charge.amount,
  });
  const balance = recordBalance(context, {
    amount: -amount,
    currency: charge.currency,
    fee: 0,
    source: id,
    type: "refund",
    reportingCategory: "refund",
    description: "REFUND FOR CHARGE",
  });
  const refund: Stripe.Refund = {
    id,
    object: "refund",
    amount,
    balance_transaction: balance.id,
    charge: charge.id,
    created: context.now,
    currency: charge.currency,
    customer: idOf(charge.customer),
    customer_account: null,
    ...(card === null ? {} : {
      destination_details: {
        card: { reference_status: "pending", reference_type: "acquirer_reference_number", type: "refund" },
        type: "card",
      },
    }),
    metadata: input.metadata,
    payment_intent: idOf(charge.payment_intent),
    payment_method: charge.payment_method,
    ...waitingFor(context, status, charge),
    ...(presented === undefined ? {} : { presentment_details: presented }),
    reason: input.reason,
    receipt_number: null,
    source_transfer_reversal: null,
    status,
    transfer_reversal: null,
  };
  context.store.put("refund", refund);
  const changed = returned(context, charge, amount);
  context.emit("refund.created", refund);
  context.emit("charge.refunded", changed, charge);
  if (status === "pending" && other !== "held") context.schedule("succeed_refund", id, context.pace.refundMs);
  if (card?.refund === "fails") context.schedule("fail_refund", id, context.pace.refundMs);
  if (changed.refunded) {
    settleWarningsOf(context, charge.id);
    endInquiriesOf(context, charge.id);
    closeReviewOf(context, charge.id, input.reason === "fraudulent" ? "refunded_as_fraud" : "refunded");
  }
  return refund;
}

function announce(context: Context, refund: Stripe.Refund, before: Stripe.Refund): void {
  context.emit("refund.updated", refund, before);
  context.emit("charge.refund.updated", refund, before);
}

/** A pending refund arrives. */
export function succeedRefund(context: Context, id: string): void {
  const refund = context.store.get("refund", id);
  if (refund === undefined || refund.status !== "pending") return;
  const { pending_reason: _reason, ...rest } = refund;
  const succeeded: Stripe.Refund = { ...rest, status: "succeeded" };
  context.store.put("refund", succeeded);
  announce(context, succeeded, refund);
}

/** What a refund says of why it is not there yet. */
function waitingFor(
  context: Context,
  status: string,
  charge: Stripe.Charge,
): Pick<Stripe.Refund, "next_action" | "pending_reason"> {
  if (status === "pending") return { pending_reason: "processing" };
  if (status !== "requires_action") return {};
  return {
    next_action: {
      type: "display_details",
      display_details: {
        email_sent: { email_sent_at: context.now, email_sent_to: charge.billing_details.email ?? "" },
        expires_at: context.now + DETAILS_S,
      },
    },
  };
}

/** Where a refund can be brought by hand, as banks and customers do. */
export const REFUND_MOVES = ["canceled", "failed", "pending", "requires_action", "succeeded"] as const;

/** How long a customer has to say where the money should go. */
const DETAILS_S = 45 * 24 * 3600;

/** The bank, or the customer, moves a refund that has not ended. */
export function moveRefund(
  context: Context,
  refund: Stripe.Refund,
  status: typeof REFUND_MOVES[number],
): Stripe.Refund {
  if (refund.status === "failed" || refund.status === "canceled") {
    throw invalidRequest(`Refund ${refund.id} with status ${refund.status} has ended.`, "refund");
  }
  if (refund.status === "succeeded" && status !== "failed") {
    throw invalidRequest(`Refund ${refund.id} has succeeded, and can only bounce.`, "refund");
  }
  if (status === "failed" || status === "canceled") {
    failRefund(context, refund.id, status);
    return need(context, "refund", refund.id);
  }
  const { pending_reason: _reason, next_action: _action, ...rest } = refund;
  const charge = need(context, "charge", idOf(refund.charge) ?? "");
  const moved: Stripe.Refund = { ...rest, ...waitingFor(context, status, charge), status };
  context.store.put("refund", moved);
  announce(context, moved, refund);
  return moved;
}

/** A refund bounces: the bank sends it back, and the charge counts it no more. */
export function failRefund(
  context: Context,
  id: string,
  status: "canceled" | "failed" = "failed",
): void {
  const refund = context.store.get("refund", id);
  if (refund === undefined || refund.status === "failed" || refund.status === "canceled") return;
  const balance = recordBalance(context, {
    amount: refund.amount,
    currency: refund.currency,
    fee: 0,
    source: refund.id,
    type: "refund_failure",
    reportingCategory: "refund_failure",
  });
  const { pending_reason: _reason, next_action: _action, ...rest } = refund;
  const failed: Stripe.Refund = {
    ...rest,
    failure_balance_transaction: balance.id,
    failure_reason: status === "canceled" ? "merchant_request" : "expired_or_canceled_card",
    status,
  };
  context.store.put("refund", failed);
  const charge = context.store.get("charge", idOf(refund.charge) ?? "");
  if (charge !== undefined) {
    const changed = returned(context, charge, -refund.amount);
    context.emit("charge.updated", changed, charge);
  }
  announce(context, failed, refund);
  if (status === "failed") context.emit("refund.failed", failed);
}

/** Changes a refund's metadata. */
export function updateRefund(
  context: Context,
  refund: Stripe.Refund,
  metadata: Record<string, string>,
): Stripe.Refund {
  const changed: Stripe.Refund = { ...refund, metadata };
  context.store.put("refund", changed);
  announce(context, changed, refund);
  return changed;
}
