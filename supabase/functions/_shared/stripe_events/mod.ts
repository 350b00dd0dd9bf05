/**
 * The registry of Stripe events: one line per type, with the reason why we listen. It also drives the
 * endpoint's enabled events, so that code and Stripe agree. A new event is a line here, a translator, a
 * fixture and a test.
 */
import type Stripe from "stripe";
import { translateCharge } from "./charge.ts";
import { translateCheckoutSession } from "./checkout_session.ts";
import { translateCustomer } from "./customer.ts";
import { translateDispute } from "./dispute.ts";
import type { Translation } from "./facts.ts";
import { translatePaymentIntent } from "./payment_intent.ts";
import { translateEarlyFraudWarning, translateReview } from "./radar.ts";
import { translateRefund } from "./refund.ts";

export type { Fact, Translation } from "./facts.ts";

type Translators = {
  [Event in Stripe.Event as Event["type"]]?: (event: Event) => Translation;
};

const registry = {
  // The shopper finished the page: paid, free, or waiting for a slow payment method.
  "checkout.session.completed": translateCheckoutSession,
  // A slow payment method delivered after all.
  "checkout.session.async_payment_succeeded": translateCheckoutSession,
  // A slow payment method did not deliver: the only place where this is said.
  "checkout.session.async_payment_failed": translateCheckoutSession,
  // Nobody paid in time: the stock can go back.
  "checkout.session.expired": translateCheckoutSession,

  // The money is there, also when the session's event is late.
  "payment_intent.succeeded": translatePaymentIntent,
  // A decline, with the reason that support and fraud rules need.
  "payment_intent.payment_failed": translatePaymentIntent,
  // A slow payment is on its way: hold the stock.
  "payment_intent.processing": translatePaymentIntent,
  // This money will not come.
  "payment_intent.canceled": translatePaymentIntent,

  // Card, risk score and receipt of a payment.
  "charge.succeeded": translateCharge,
  // Attempts of card testers, and what Radar blocked.
  "charge.failed": translateCharge,
  // A refund's effect on the charge.
  "charge.refunded": translateCharge,
  // Late corrections of risk and settlement data.
  "charge.updated": translateCharge,

  // Refunds made in the dashboard, beside our own.
  "refund.created": translateRefund,
  // Pending refunds that succeed, and succeeded ones that bounce.
  "refund.updated": translateRefund,
  // Money that came back to us: the customer still waits for it.
  "refund.failed": translateRefund,
  // The same from accounts whose payment methods still send the older event.
  "charge.refund.updated": translateRefund,

  // The clock for evidence starts: hold the parcel, tell staff.
  "charge.dispute.created": translateDispute,
  // Status and deadline move.
  "charge.dispute.updated": translateDispute,
  // Won, lost, or the inquiry ended.
  "charge.dispute.closed": translateDispute,
  // The disputed money left the balance.
  "charge.dispute.funds_withdrawn": translateDispute,
  // The disputed money came back.
  "charge.dispute.funds_reinstated": translateDispute,

  // Four in five become disputes unless refunded while actionable.
  "radar.early_fraud_warning.created": translateEarlyFraudWarning,
  // No longer actionable, or actionable again.
  "radar.early_fraud_warning.updated": translateEarlyFraudWarning,
  // Radar wants a person to look before anything ships.
  "review.opened": translateReview,
  // The person decided.
  "review.closed": translateReview,

  // A corrected e-mail address or name.
  "customer.updated": translateCustomer,
  // A checkout must not name a customer that is gone.
  "customer.deleted": translateCustomer,
} satisfies Translators;

/** The events our endpoint subscribes to. */
export const enabledEvents: string[] = Object.keys(registry);

/** Whether we listen to a type of snapshot events. */
export function isWanted(type: string): boolean {
  return Object.hasOwn(registry, type);
}

/**
 * Translates a snapshot event into facts, or says why there is nothing to do.
 * @throws whatever a translator throws on an object of unexpected shape; the event is then stored as failed.
 */
export function translate(event: Stripe.Event): Translation {
  if (!isWanted(event.type)) return { kind: "ignored", reason: "unsubscribed_type" };
  // The type of the event selects the translator made for it, which the compiler cannot follow.
  const translator = registry[event.type as keyof typeof registry] as (event: Stripe.Event) => Translation;
  return translator(event);
}
