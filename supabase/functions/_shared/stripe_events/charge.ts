/** Charges: single attempts to collect money, with what Radar and the issuer said about them. */
import type Stripe from "stripe";
import type { Fact, PaymentAttemptFact, Translation } from "./facts.ts";
import { unknownValues } from "./known_values.ts";
import { idOf, orderIdOf } from "./references.ts";
import { refundFacts } from "./refund.ts";

type ChargeEvent =
  | Stripe.ChargeSucceededEvent
  | Stripe.ChargeFailedEvent
  | Stripe.ChargeRefundedEvent
  | Stripe.ChargeUpdatedEvent;

/** All `charge.*` events about the charge itself. Stripe copies our metadata from the PaymentIntent. */
export function translateCharge(event: ChargeEvent): Translation {
  const charge = event.data.object;
  if (orderIdOf(charge.metadata) === null) return { kind: "ignored", reason: "foreign_object" };
  return { kind: "facts", facts: chargeFacts(charge) };
}

/** The facts in a charge, with its refunds when they are included. */
export function chargeFacts(charge: Stripe.Charge): Fact[] {
  const attempt = paymentAttemptFact(charge);
  return [
    ...(attempt === null ? [] : [attempt]),
    ...unknownValues(charge.id, {
      "charge.status": charge.status,
      "charge.outcome.type": charge.outcome?.type ?? null,
    }),
    ...(charge.refunds?.data ?? []).flatMap(refundFacts),
  ];
}

function paymentAttemptFact(charge: Stripe.Charge): PaymentAttemptFact | null {
  const paymentId = idOf(charge.payment_intent);
  // Only very old integrations charge without a PaymentIntent; ours never does.
  if (paymentId === null) return null;
  const { outcome, payment_method_details: method } = charge;
  const card = method?.card;
  return {
    fact: "payment_attempt",
    id: charge.id,
    payment_id: paymentId,
    order_id: orderIdOf(charge.metadata),
    livemode: charge.livemode,
    outcome: outcome?.type === "blocked" ? "blocked" : charge.status,
    amount: charge.amount,
    currency: charge.currency.toLowerCase(),
    failure_code: charge.failure_code ?? null,
    // For card declines Stripe puts the decline code into the outcome's reason.
    decline_code: charge.status === "failed" ? outcome?.reason ?? null : null,
    advice_code: outcome?.advice_code ?? null,
    payment_method_type: method?.type ?? null,
    card_brand: card?.brand ?? null,
    card_last4: card?.last4 ?? null,
    card_funding: card?.funding ?? null,
    card_country: card?.country ?? null,
    card_fingerprint: card?.fingerprint ?? null,
    three_d_secure_result: card?.three_d_secure?.result ?? null,
    risk_level: outcome?.risk_level ?? null,
    risk_score: outcome?.risk_score ?? null,
    seller_message: outcome?.seller_message ?? null,
    receipt_url: charge.receipt_url ?? null,
    created: charge.created,
  };
}
