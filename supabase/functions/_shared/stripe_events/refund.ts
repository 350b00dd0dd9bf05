/** Refunds, whoever asked for them. They carry no metadata of ours when made in the dashboard, so all count. */
import type Stripe from "stripe";
import type { Fact, Translation } from "./facts.ts";
import { unknownValues } from "./known_values.ts";
import { presentmentOf } from "./older_shapes.ts";
import { idOf } from "./references.ts";

type RefundEvent =
  | Stripe.RefundCreatedEvent
  | Stripe.RefundUpdatedEvent
  | Stripe.RefundFailedEvent
  | Stripe.ChargeRefundUpdatedEvent;

/** All refund events, the older `charge.refund.updated` included. */
export function translateRefund(event: RefundEvent): Translation {
  return { kind: "facts", facts: refundFacts(event.data.object) };
}

/** The facts in a refund, from an event or from the API. */
export function refundFacts(refund: Stripe.Refund): Fact[] {
  // Stripe leaves the status out for some payment methods; then the money has left at once.
  const status = refund.status ?? "succeeded";
  return [{
    fact: "refund",
    id: refund.id,
    payment_id: idOf(refund.payment_intent),
    charge_id: idOf(refund.charge),
    amount: refund.amount,
    currency: refund.currency.toLowerCase(),
    ...presentmentOf(refund),
    status,
    reason: refund.reason ?? null,
    failure_reason: refund.failure_reason ?? null,
    request_id: refund.metadata?.["refund_request_id"] ?? null,
    created: refund.created,
  }, ...unknownValues(refund.id, { "refund.status": status })];
}
