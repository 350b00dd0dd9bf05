/** Charges: single attempts to collect money, with what Radar and the issuer said about them. */
import type Stripe from "stripe";
import type { Fact, PaymentAttemptFact, Translation, UnreadFact } from "./facts.ts";
import { unknownValues } from "./known_values.ts";
import {
  type AnyCharge,
  type CardFacts,
  cardOfSource,
  presentmentOf,
  threeDSecureOf,
} from "./older_shapes.ts";
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
  return { kind: "facts", facts: [...chargeFacts(charge), ...unreadCharge(charge)] };
}

/**
 * Since 2022-11-15 a charge says that money went back and not by which refund, and for years no other event told of
 * a refund made in the dashboard. What the list does not account for is read from Stripe; so is a charge whose
 * version does not tell how it was paid.
 */
function unreadCharge(charge: AnyCharge): UnreadFact[] {
  const refunds = charge.refunds?.data ?? [];
  const told = refunds.filter(({ status }) => status !== "failed" && status !== "canceled")
    .reduce((sum, { amount }) => sum + amount, 0);
  const given = charge.amount_refunded ?? 0;
  const methodTold = (charge.payment_method_details ?? charge.source ?? null) !== null;
  if (given <= told && methodTold) return [];
  return [{
    fact: "unread",
    object: "charge",
    id: charge.id,
    order_id: orderIdOf(charge.metadata),
    payment_id: idOf(charge.payment_intent),
    recovered_from: null,
  }];
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
  const { outcome } = charge;
  const method = methodOf(charge);
  return {
    fact: "payment_attempt",
    id: charge.id,
    payment_id: paymentId,
    order_id: orderIdOf(charge.metadata),
    livemode: charge.livemode,
    outcome: outcome?.type === "blocked" ? "blocked" : charge.status,
    amount: charge.amount,
    currency: charge.currency.toLowerCase(),
    ...presentmentOf(charge),
    failure_code: charge.failure_code ?? null,
    // For card declines Stripe puts the decline code into the outcome's reason.
    decline_code: charge.status === "failed" ? outcome?.reason ?? null : null,
    advice_code: outcome?.advice_code ?? null,
    payment_method_type: method?.type ?? null,
    card_brand: method?.brand ?? null,
    card_last4: method?.last4 ?? null,
    card_funding: method?.funding ?? null,
    card_country: method?.country ?? null,
    card_fingerprint: method?.fingerprint ?? null,
    three_d_secure_result: method?.threeDSecure ?? null,
    risk_level: outcome?.risk_level ?? null,
    risk_score: outcome?.risk_score ?? null,
    seller_message: outcome?.seller_message ?? null,
    receipt_url: charge.receipt_url ?? null,
    created: charge.created,
  };
}

function methodOf(charge: AnyCharge): CardFacts | null {
  const method = charge.payment_method_details;
  if (method === null || method === undefined) return cardOfSource(charge.source);
  const card = method.card;
  return {
    type: method.type,
    brand: card?.brand ?? null,
    last4: card?.last4 ?? null,
    funding: card?.funding ?? null,
    country: card?.country ?? null,
    fingerprint: card?.fingerprint ?? null,
    threeDSecure: threeDSecureOf(card?.three_d_secure),
  };
}
