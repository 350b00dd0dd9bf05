/** Checkout Sessions: the bridge between an order and the money paid for it. */
import type Stripe from "stripe";
import type { Address, Business, CheckoutSessionFact, Fact, Translation, UnreadFact } from "./facts.ts";
import { unknownValues } from "./known_values.ts";
import { type AnySession, deliveryOf, isOtherVersion, moneyOf, presentmentOf } from "./older_shapes.ts";
import { paymentIntentFacts } from "./payment_intent.ts";
import { expandedOf, idOf, orderIdOf } from "./references.ts";

type SessionEvent =
  | Stripe.CheckoutSessionCompletedEvent
  | Stripe.CheckoutSessionAsyncPaymentSucceededEvent
  | Stripe.CheckoutSessionAsyncPaymentFailedEvent
  | Stripe.CheckoutSessionExpiredEvent;

/** All `checkout.session.*` events. Whether the money is there follows from `payment_status` in SQL. */
export function translateCheckoutSession(event: SessionEvent): Translation {
  const session: AnySession = event.data.object;
  if (isForeignSession(session)) return { kind: "ignored", reason: "foreign_object" };
  const failed = event.type === "checkout.session.async_payment_failed";
  const told = { ...session, status: session.status ?? statusAfter[event.type] };
  if (event.type === "checkout.session.async_payment_succeeded") told.payment_status ??= "paid";
  const unread = isOtherVersion(event) ? unreadSession(told) : [];
  // A paid session that does not say what was paid must not be compared with its order: Stripe is asked first.
  const facts = unread.length > 0 && !isMoneyKnown(told) ? [] : checkoutSessionFacts(told, failed);
  return { kind: "facts", facts: [...facts, ...unread] };
}

/** What the event says where the session has no `status`. */
const statusAfter = {
  "checkout.session.completed": "complete",
  "checkout.session.async_payment_succeeded": "complete",
  "checkout.session.async_payment_failed": "complete",
  "checkout.session.expired": "expired",
} as const;

/** Asks for a session whose version leaves out what a complete one must have. */
function unreadSession(session: AnySession): UnreadFact[] {
  const told = session.status !== "complete" ||
    (isMoneyKnown(session) && session.payment_status !== undefined &&
      (session.customer_details ?? null) !== null &&
      (deliveryOf(session)?.address ?? null) !== null);
  if (told) return [];
  return [{
    fact: "unread",
    object: "checkout_session",
    id: session.id,
    order_id: orderIdOf(session.metadata),
    payment_id: idOf(session.payment_intent),
    recovered_from: session.recovered_from ?? null,
  }];
}

function isMoneyKnown(session: AnySession): boolean {
  return Object.values(moneyOf(session)).every((value) => value !== null);
}

/** Whether a session is none of an order's: one that was recovered is its order's also without metadata of its own. */
export function isForeignSession(session: Pick<AnySession, "metadata" | "recovered_from">): boolean {
  return orderIdOf(session.metadata) === null && (session.recovered_from ?? null) === null;
}

/** The facts in a session, from an event or from the API, and in its payment where that is expanded. */
export function checkoutSessionFacts(session: AnySession, asyncPaymentFailed = false): Fact[] {
  const intent = expandedOf(session.payment_intent);
  const fact = checkoutSessionFact(session, asyncPaymentFailed || hasBounced(session, intent));
  return [
    fact,
    ...unknownValues(session.id, {
      "checkout_session.status": fact.status,
      "checkout_session.payment_status": fact.payment_status,
    }),
    ...(intent === null ? [] : paymentIntentFacts(intent)),
  ];
}

/**
 * Whether a slow payment did not deliver, read off session and payment together: only one event says so, and that one
 * may never come. An event carries the session without its payment, so this is for what is read from the API.
 */
function hasBounced(session: AnySession, intent: Stripe.PaymentIntent | null): boolean {
  return session.status === "complete" && session.payment_status === "unpaid" && intent !== null &&
    ["requires_payment_method", "canceled"].includes(intent.status);
}

/** The one fact that a session itself is. */
export function checkoutSessionFact(
  session: AnySession,
  asyncPaymentFailed = false,
): CheckoutSessionFact {
  const customer = session.customer_details;
  const shipping = deliveryOf(session);
  const money = moneyOf(session);
  return {
    fact: "checkout_session",
    id: session.id,
    order_id: orderIdOf(session.metadata),
    attempt: attemptOf(session.metadata?.["attempt"]),
    cart_hash: session.metadata?.["cart_hash"] ?? null,
    livemode: session.livemode,
    // A session that was never opened by anybody has no status yet.
    status: session.status ?? "open",
    payment_status: session.payment_status ?? paymentStatusOf(session),
    async_payment_failed: asyncPaymentFailed,
    awaited_payment: session.status === "complete" && session.payment_status === "unpaid",
    payment_id: idOf(session.payment_intent),
    customer_id: idOf(session.customer),
    currency: money.currency?.toLowerCase() ?? null,
    amount_subtotal: money.subtotal,
    amount_total: money.total,
    amount_discount: money.discount,
    amount_shipping: money.shipping,
    amount_tax: money.tax,
    ...presentmentOf(session),
    email: customer?.email ?? session.customer_email ?? null,
    name: customer?.name ?? null,
    phone: customer?.phone ?? null,
    shipping_name: shipping?.name ?? null,
    shipping_address: addressOf(shipping?.address),
    billing_address: addressOf(customer?.address),
    business: businessOf(customer ?? null),
    recovered_from: session.recovered_from ?? null,
    terms_consent: session.consent?.terms_of_service ?? null,
    promotions_consent: session.consent?.promotions ?? null,
    url: session.url ?? null,
    expires_at: session.expires_at ?? session.created + olderLifetimeSeconds,
  };
}

/** How long a session could be paid when it did not say so itself. */
const olderLifetimeSeconds = 86_400;

/** Before there was a payment status: nothing to pay, or the payment itself has to say that it succeeded. */
function paymentStatusOf(session: AnySession): "unpaid" | "no_payment_required" {
  const free = moneyOf(session).total === 0 && idOf(session.payment_intent) === null;
  return free ? "no_payment_required" : "unpaid";
}

function attemptOf(value: string | undefined): number | null {
  return value !== undefined && /^[1-9]\d{0,5}$/.test(value) ? Number(value) : null;
}

/** Versions before tax ids were collected have neither field. */
function businessOf(customer: Partial<Stripe.Checkout.Session.CustomerDetails> | null): Business | null {
  const name = customer?.business_name ?? null;
  const ids = (customer?.tax_ids ?? []).flatMap(({ type, value }) => value === null ? [] : [{ type, value }]);
  return name === null && ids.length === 0 ? null : { name, tax_ids: ids };
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
