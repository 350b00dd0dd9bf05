import type Stripe from "stripe";
import { type Context, idOf } from "../core/context.ts";
import { newId } from "../core/ids.ts";

/** Puts a payment in the manual review queue. The event is the caller's, after the payment's own. */
export function openReview(context: Context, charge: Stripe.Charge): Stripe.Review {
  const review: Stripe.Review = {
    id: newId("review"),
    object: "review",
    billing_zip: charge.billing_details.address?.postal_code ?? null,
    charge: charge.id,
    closed_reason: null,
    created: context.now,
    ip_address: null,
    ip_address_location: null,
    livemode: false,
    open: true,
    opened_reason: "rule",
    payment_intent: idOf(charge.payment_intent) ?? "",
    reason: "rule",
    session: null,
  };
  context.store.put("review", review);
  return review;
}

/** Closes a review for this reason and says so. */
export function closeReview(
  context: Context,
  review: Stripe.Review,
  reason: Stripe.Review.ClosedReason,
): Stripe.Review {
  const closed: Stripe.Review = { ...review, closed_reason: reason, open: false, reason };
  context.store.put("review", closed);
  const charge = context.store.get("charge", idOf(review.charge) ?? "");
  if (charge !== undefined) context.store.put("charge", { ...charge, review: null });
  const intent = context.store.get("payment_intent", idOf(review.payment_intent) ?? "");
  if (intent !== undefined) context.store.put("payment_intent", { ...intent, review: null });
  context.emit("review.closed", closed);
  return closed;
}

/** Closes the open review of a charge, if there is one. */
export function closeReviewOf(context: Context, charge: string, reason: Stripe.Review.ClosedReason): void {
  for (const review of context.store.all("review", ["charge", charge])) {
    if (review.open) closeReview(context, review, reason);
  }
}
