/** PaymentIntents: whether the money for an order is on its way, here, or not coming. */
import type Stripe from "stripe";
import { chargeFacts } from "./charge.ts";
import type { Fact, PaymentAttemptFact, PaymentFact, Translation, UnreadFact } from "./facts.ts";
import { unknownValues } from "./known_values.ts";
import { type AnyIntent, cardOfSource, chargesOf, intentStatusOf, presentmentOf } from "./older_shapes.ts";
import { idOf, orderIdOf } from "./references.ts";

type PaymentIntentEvent =
  | Stripe.PaymentIntentSucceededEvent
  | Stripe.PaymentIntentPaymentFailedEvent
  | Stripe.PaymentIntentProcessingEvent
  | Stripe.PaymentIntentCanceledEvent;

/** All `payment_intent.*` events; a failed one may also carry an attempt that never became a charge. */
export function translatePaymentIntent(event: PaymentIntentEvent): Translation {
  const intent = event.data.object;
  if (orderIdOf(intent.metadata) === null) return { kind: "ignored", reason: "foreign_object" };
  const failed = event.type === "payment_intent.payment_failed";
  return {
    kind: "facts",
    facts: [
      ...paymentIntentFacts(intent),
      ...(failed ? chargelessAttempt(intent, event.created) : []),
      ...unreadPayment(intent),
    ],
  };
}

/** Money that came by no charge we know of: then neither its card nor, later, its refunds find their way. */
function unreadPayment(intent: AnyIntent): UnreadFact[] {
  if (intent.status !== "succeeded" || latestChargeOf(intent) !== null) return [];
  return [{
    fact: "unread",
    object: "payment",
    id: intent.id,
    order_id: orderIdOf(intent.metadata),
    payment_id: intent.id,
    recovered_from: null,
  }];
}

/** The facts in a PaymentIntent, from an event or from the API, with the charges that it carries. */
export function paymentIntentFacts(intent: AnyIntent): Fact[] {
  return [
    paymentFact(intent),
    ...unknownValues(intent.id, { "payment_intent.status": intentStatusOf(intent) }),
    ...chargesOf(intent).flatMap(chargeFacts),
  ];
}

function latestChargeOf(intent: AnyIntent): string | null {
  return idOf(intent.latest_charge) ?? chargesOf(intent)[0]?.id ?? null;
}

function paymentFact(intent: AnyIntent): PaymentFact {
  return {
    fact: "payment",
    id: intent.id,
    order_id: orderIdOf(intent.metadata),
    livemode: intent.livemode,
    status: intentStatusOf(intent),
    amount: intent.amount,
    amount_received: intent.amount_received ?? 0,
    currency: intent.currency.toLowerCase(),
    ...presentmentOf(intent),
    customer_id: idOf(intent.customer),
    charge_id: latestChargeOf(intent),
    failure_code: intent.last_payment_error?.code ?? null,
    decline_code: intent.last_payment_error?.decline_code ?? null,
  };
}

/** A confirmation that failed before there was a charge (authentication, validation). */
function chargelessAttempt(intent: AnyIntent, at: number): PaymentAttemptFact[] {
  const error = intent.last_payment_error;
  // With a charge, `charge.failed` tells the same attempt in full.
  if (error === null || error === undefined || error.charge !== undefined) return [];
  const card = error.payment_method?.card ?? cardOfSource(error.source);
  return [{
    fact: "payment_attempt",
    id: `${intent.id}:${at}`,
    payment_id: intent.id,
    order_id: orderIdOf(intent.metadata),
    livemode: intent.livemode,
    outcome: "failed",
    amount: null,
    currency: null,
    presentment_amount: null,
    presentment_currency: null,
    failure_code: error.code ?? null,
    decline_code: error.decline_code ?? null,
    advice_code: error.advice_code ?? null,
    payment_method_type: error.payment_method?.type ?? error.payment_method_type ??
      (error.source?.object === "card" ? "card" : null),
    card_brand: card?.brand ?? null,
    card_last4: card?.last4 ?? null,
    card_funding: card?.funding ?? null,
    card_country: card?.country ?? null,
    card_fingerprint: card?.fingerprint ?? null,
    three_d_secure_result: null,
    risk_level: null,
    risk_score: null,
    seller_message: null,
    receipt_url: null,
    created: at,
  }];
}
