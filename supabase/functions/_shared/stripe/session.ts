import type Stripe from "stripe";

/** A session is read with its payment and that one's latest charge. */
const expand = ["payment_intent.latest_charge"];

/** Reads a Checkout Session. */
export function readSession(
  stripe: Stripe,
  id: string,
  options: Stripe.RequestOptions = {},
): Promise<Stripe.Checkout.Session> {
  return stripe.checkout.sessions.retrieve(id, { expand }, options);
}

/** Ends an open Checkout Session, so that nobody can pay it any more; Stripe refuses it for any other. */
export function expireSession(
  stripe: Stripe,
  id: string,
  options: Stripe.RequestOptions = {},
): Promise<Stripe.Checkout.Session> {
  return stripe.checkout.sessions.expire(id, { expand }, options);
}
