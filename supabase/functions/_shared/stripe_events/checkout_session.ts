/** Checkout Sessions: the bridge between an order and the money paid for it. */
import type Stripe from "stripe";
import type { Address, CheckoutSessionFact, Fact, Translation } from "./facts.ts";
import { unknownValues } from "./known_values.ts";
import { paymentIntentFacts } from "./payment_intent.ts";
import { expandedOf, idOf, orderIdOf } from "./references.ts";

type SessionEvent =
  | Stripe.CheckoutSessionCompletedEvent
  | Stripe.CheckoutSessionAsyncPaymentSucceededEvent
  | Stripe.CheckoutSessionAsyncPaymentFailedEvent
  | Stripe.CheckoutSessionExpiredEvent;

/** All `checkout.session.*` events. Whether the money is there follows from `payment_status` in SQL. */
export function translateCheckoutSession(event: SessionEvent): Translation {
  const session = event.data.object;
  if (isForeignSession(session)) return { kind: "ignored", reason: "foreign_object" };
  const failed = event.type === "checkout.session.async_payment_failed";
  return { kind: "facts", facts: checkoutSessionFacts(session, failed) };
}

/** Whether a session is none of an order's: one that was recovered is its order's also without metadata of its own. */
export function isForeignSession(session: Stripe.Checkout.Session): boolean {
  return orderIdOf(session.metadata) === null && (session.recovered_from ?? null) === null;
}

/** The facts in a session, from an event or from the API, and in its payment where that is expanded. */
export function checkoutSessionFacts(session: Stripe.Checkout.Session, asyncPaymentFailed = false): Fact[] {
  const intent = expandedOf(session.payment_intent);
  return [
    checkoutSessionFact(session, asyncPaymentFailed),
    ...unknownValues(session.id, {
      "checkout_session.status": session.status,
      "checkout_session.payment_status": session.payment_status,
    }),
    ...(intent === null ? [] : paymentIntentFacts(intent)),
  ];
}

/** The one fact that a session itself is. */
export function checkoutSessionFact(
  session: Stripe.Checkout.Session,
  asyncPaymentFailed = false,
): CheckoutSessionFact {
  const customer = session.customer_details;
  const shipping = session.collected_information?.shipping_details;
  return {
    fact: "checkout_session",
    id: session.id,
    order_id: orderIdOf(session.metadata),
    attempt: attemptOf(session.metadata?.["attempt"]),
    cart_hash: session.metadata?.["cart_hash"] ?? null,
    livemode: session.livemode,
    // A session that was never opened by anybody has no status yet.
    status: session.status ?? "open",
    payment_status: session.payment_status,
    async_payment_failed: asyncPaymentFailed,
    payment_id: idOf(session.payment_intent),
    customer_id: idOf(session.customer),
    currency: session.currency?.toLowerCase() ?? null,
    amount_subtotal: session.amount_subtotal,
    amount_total: session.amount_total,
    amount_discount: session.total_details?.amount_discount ?? null,
    amount_shipping: session.total_details?.amount_shipping ?? session.shipping_cost?.amount_total ?? null,
    amount_tax: session.total_details?.amount_tax ?? null,
    email: customer?.email ?? session.customer_email ?? null,
    name: customer?.name ?? null,
    phone: customer?.phone ?? null,
    shipping_name: shipping?.name ?? null,
    shipping_address: addressOf(shipping?.address),
    billing_address: addressOf(customer?.address),
    recovered_from: session.recovered_from ?? null,
    url: session.url ?? null,
    expires_at: session.expires_at,
  };
}

function attemptOf(value: string | undefined): number | null {
  return value !== undefined && /^[1-9]\d{0,5}$/.test(value) ? Number(value) : null;
}

function addressOf(address: Partial<Stripe.Address> | null | undefined): Address | null {
  if (address === null || address === undefined) return null;
  return {
    line1: address.line1 ?? null,
    line2: address.line2 ?? null,
    city: address.city ?? null,
    state: address.state ?? null,
    postal_code: address.postal_code ?? null,
    country: address.country ?? null,
  };
}
