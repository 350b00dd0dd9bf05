/**
 * What Stripe's objects looked like in older API versions. An endpoint keeps the version it was created with, and
 * `GET /v1/events` shows an event in the version it was made in, so the translators read every shape since 2018.
 * Told apart by shape, not by version number: a field is where it is. Each line names the version that changed it
 * (https://docs.stripe.com/changelog).
 */
import type Stripe from "stripe";
import type { Presentment } from "./facts.ts";
import { stripeApiVersion } from "../stripe/api_version.ts";

/** Name and address of a delivery. */
export interface Delivery {
  name?: string | null;
  address?: Partial<Stripe.Address> | null;
}

/** A session with the fields that older versions have beside or instead of today's. */
export type AnySession = Omit<Stripe.Checkout.Session, "status" | "payment_status" | "expires_at"> & {
  /** Since 2021. */
  status?: Stripe.Checkout.Session["status"];
  /** Since 2020. */
  payment_status?: Stripe.Checkout.Session["payment_status"];
  /** Since 2021; before, a session lived for a day. */
  expires_at?: number;
  /** The address before 2022-08-01. */
  shipping?: Delivery | null;
  /** The address before 2025-03-31. */
  shipping_details?: Delivery | null;
  /** The lines before 2020-08-27. */
  display_items?: { amount?: number | null; currency?: string | null; quantity?: number | null }[] | null;
  /** Before 2025-03-31 a session may be told in the shopper's currency; then the shop's own amounts are here. */
  currency_conversion?:
    | { amount_subtotal: number; amount_total: number; source_currency: string }
    | null;
};

/** A payment with the fields of older versions. */
export type AnyIntent = Stripe.PaymentIntent & {
  /** Newest first; `latest_charge` since 2022-11-15. */
  charges?: { data: Stripe.Charge[] } | null;
  last_payment_error?: { source?: CardSource | null } | null;
};

/** The card of a charge before `payment_method_details` (2019). */
export interface CardSource {
  object?: string;
  brand?: string | null;
  last4?: string | null;
  funding?: string | null;
  country?: string | null;
  fingerprint?: string | null;
}

/** A charge with the fields of older versions. */
export type AnyCharge = Stripe.Charge & { source?: CardSource | null };

/** Whether an event is in another version than these translators are made for: what it lacks, Stripe may know. */
export function isOtherVersion(event: { api_version?: string | null }): boolean {
  return event.api_version !== stripeApiVersion;
}

/** Where the parcel goes, wherever a version puts it. */
export function deliveryOf(session: AnySession): Delivery | null {
  return session.collected_information?.shipping_details ?? session.shipping_details ?? session.shipping ??
    null;
}

/** What a session costs, in the shop's own currency; null for what the session does not say. */
export interface SessionMoney {
  currency: string | null;
  subtotal: number | null;
  total: number | null;
  discount: number | null;
  shipping: number | null;
  tax: number | null;
}

/** Reads the money of a session, of whatever version. */
export function moneyOf(session: AnySession): SessionMoney {
  const parts = {
    discount: session.total_details?.amount_discount ?? null,
    shipping: session.total_details?.amount_shipping ?? session.shipping_cost?.amount_total ?? null,
    tax: session.total_details?.amount_tax ?? null,
  };
  const conversion = session.currency_conversion ?? null;
  if (conversion !== null) {
    const { amount_subtotal: subtotal, amount_total: total } = conversion;
    return {
      currency: conversion.source_currency,
      subtotal,
      total,
      ...convertedParts(parts, total - subtotal),
    };
  }
  const items = session.display_items ?? [];
  const subtotal = session.amount_subtotal ??
    (items.length === 0
      ? null
      : items.reduce((sum, item) => sum + (item.amount ?? 0) * (item.quantity ?? 1), 0));
  // When sessions had no total they had neither shipping, tax nor discounts.
  const total = session.amount_total ?? (session.amount_total === undefined ? subtotal : null);
  const plain = session.total_details === undefined && session.shipping_cost === undefined &&
    total === subtotal;
  return {
    currency: session.currency ?? items[0]?.currency ?? null,
    subtotal,
    total,
    ...(plain && total !== null ? { discount: 0, shipping: 0, tax: 0 } : parts),
  };
}

/** An object that may have been shown to its customer in another currency. */
interface Presented {
  currency?: string | null;
  presentment_details?: { presentment_amount: number; presentment_currency: string } | null;
  amount_total?: number | null;
  currency_conversion?: { source_currency: string } | null;
}

/**
 * What the customer was charged in a currency of their own. Before 2025-03-31 a session told its own amounts in it,
 * and the shop's beside them. (https://docs.stripe.com/changelog/basil/2025-03-31/add_presentment_details)
 */
export function presentmentOf(object: Presented): Presentment {
  const { presentment_details: details, currency_conversion: conversion } = object;
  const [amount, currency, own] = (conversion ?? null) === null
    ? [details?.presentment_amount, details?.presentment_currency, object.currency]
    : [object.amount_total, object.currency, conversion?.source_currency];
  const told = currency?.toLowerCase() ?? null;
  if (typeof amount !== "number" || told === null || told === own?.toLowerCase()) {
    return { presentment_amount: null, presentment_currency: null };
  }
  return { presentment_amount: amount, presentment_currency: told };
}

type Parts = Pick<SessionMoney, "discount" | "shipping" | "tax">;

/**
 * The parts between subtotal and total in the shop's currency, known in the shopper's. Exact or null: nothing stays
 * nothing, a single part is the whole difference, and of several nobody can say how each was rounded.
 */
function convertedParts({ discount, shipping, tax }: Parts, difference: number): Parts {
  const unknown = { discount: null, shipping: null, tax: null };
  if (discount === null || shipping === null || tax === null) return unknown;
  const some = [discount, shipping, tax].filter((amount) => amount !== 0).length;
  if (some === 0 && difference === 0) return { discount: 0, shipping: 0, tax: 0 };
  if (some !== 1) return unknown;
  if (discount !== 0 && difference < 0) return { discount: -difference, shipping: 0, tax: 0 };
  if (shipping !== 0 && difference > 0) return { discount: 0, shipping: difference, tax: 0 };
  // Tax that is inside the prices makes no difference.
  if (tax !== 0 && difference > 0) return { discount: 0, shipping: 0, tax: difference };
  return unknown;
}

/** Names of payment states before 2019-02-11. */
const olderIntentStatus: Record<string, Stripe.PaymentIntent.Status> = {
  requires_source: "requires_payment_method",
  requires_source_action: "requires_action",
};

/** A payment's state in today's words. */
export function intentStatusOf(intent: Pick<Stripe.PaymentIntent, "status">): Stripe.PaymentIntent.Status {
  return (Object.hasOwn(olderIntentStatus, intent.status) ? olderIntentStatus[intent.status] : undefined) ??
    intent.status;
}

/** The charges that a payment carries in full: expanded, or in the list of before 2022-11-15; newest first. */
export function chargesOf(intent: AnyIntent): Stripe.Charge[] {
  const latest = intent.latest_charge;
  const listed = intent.charges?.data ?? [];
  if (typeof latest !== "object" || latest === null) return listed;
  return [latest, ...listed.filter((charge) => charge.id !== latest.id)];
}

/** Brands as `source` writes them. */
const brandNames: Record<string, string> = {
  "American Express": "amex",
  "Diners Club": "diners",
  "Discover": "discover",
  "JCB": "jcb",
  "MasterCard": "mastercard",
  "UnionPay": "unionpay",
  "Visa": "visa",
};

/** What may be kept of a card, wherever a version puts it. */
export interface CardFacts {
  type: string | null;
  brand: string | null;
  last4: string | null;
  funding: string | null;
  country: string | null;
  fingerprint: string | null;
  threeDSecure: string | null;
}

/** The card of a `source`, from before payment methods. */
export function cardOfSource(source: CardSource | null | undefined): CardFacts | null {
  if (source?.object !== "card") return null;
  const brand = source.brand ?? null;
  return {
    type: "card",
    brand: brand === null
      ? null
      : (Object.hasOwn(brandNames, brand) ? brandNames[brand] : undefined) ?? brand,
    last4: source.last4 ?? null,
    funding: source.funding ?? null,
    country: source.country ?? null,
    fingerprint: source.fingerprint ?? null,
    threeDSecure: null,
  };
}

/** Outcome of 3-D Secure; before 2020-08-27 it was told in two truth values. */
export function threeDSecureOf(
  details:
    | { result?: string | null; authenticated?: boolean | null; succeeded?: boolean | null }
    | null
    | undefined,
): string | null {
  if (details === null || details === undefined) return null;
  if (details.result !== undefined) return details.result;
  if (details.authenticated === true) return "authenticated";
  if (details.succeeded === true) return "attempt_acknowledged";
  return details.succeeded === false ? "failed" : null;
}
