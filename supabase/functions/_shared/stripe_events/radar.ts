/** Radar: early fraud warnings from the card networks, and payments held for review. */
import type Stripe from "stripe";
import type { Fact, Translation } from "./facts.ts";
import { idOf } from "./references.ts";

type WarningEvent = Stripe.RadarEarlyFraudWarningCreatedEvent | Stripe.RadarEarlyFraudWarningUpdatedEvent;
type ReviewEvent = Stripe.ReviewOpenedEvent | Stripe.ReviewClosedEvent;

/** `radar.early_fraud_warning.*`: open while a refund can still prevent the dispute. */
export function translateEarlyFraudWarning(event: WarningEvent): Translation {
  return { kind: "facts", facts: earlyFraudWarningFacts(event.data.object) };
}

/** `review.*`: open while a person has to decide. */
export function translateReview(event: ReviewEvent): Translation {
  return { kind: "facts", facts: reviewFacts(event.data.object) };
}

/** The fact in an early fraud warning, from an event or from the API. */
export function earlyFraudWarningFacts(warning: Stripe.Radar.EarlyFraudWarning): Fact[] {
  return [{
    fact: "fraud_signal",
    id: warning.id,
    kind: "early_fraud_warning",
    payment_id: idOf(warning.payment_intent),
    charge_id: idOf(warning.charge),
    livemode: warning.livemode,
    open: warning.actionable,
    reason: warning.fraud_type,
    created: warning.created,
  }];
}

/** The fact in a review, from an event or from the API. */
export function reviewFacts(review: Stripe.Review): Fact[] {
  return [{
    fact: "fraud_signal",
    id: review.id,
    kind: "review",
    payment_id: idOf(review.payment_intent),
    charge_id: idOf(review.charge),
    livemode: review.livemode,
    open: review.open,
    reason: review.open ? review.reason : review.closed_reason ?? review.reason,
    created: review.created,
  }];
}
