/** Sessions at Stripe as the orders that they were made for. */
import type Stripe from "stripe";
import { bestLocale, readLocale } from "../../../supabase/functions/_shared/text/locale.ts";
import type { RescuedRefund, RescuedSession } from "../../../supabase/functions/_shared/database/rescue.ts";
import type { ShippingRate } from "../../../supabase/functions/_shared/database/checkout.ts";
import { checkoutSessionFact } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import type { CheckoutSessionFact } from "../../../supabase/functions/_shared/stripe_events/facts.ts";
import { idOf, orderIdOf } from "../../../supabase/functions/_shared/stripe_events/references.ts";
import {
  readRefundedLines,
  readSoldLines,
} from "../../../supabase/functions/_shared/stripe/metadata_lines.ts";

/** The installation that made a session; null: it was made before sessions told. */
export function shopIdOf({ metadata }: Stripe.Checkout.Session): string | null {
  return metadata?.["shop_id"] ?? null;
}

/** Which payment page of its order a session is, from 1 on. */
export function attemptOf({ metadata }: Stripe.Checkout.Session): number {
  return Number(metadata?.["attempt"] ?? "1");
}

/** Why a session of ours cannot become an order. */
class UnreadableOrder extends Error {
  override name = "UnreadableOrder";
}

/**
 * The order of a session, with `items` as Stripe lists its lines.
 * @throws UnreadableOrder when its metadata does not tell it.
 */
export function orderOfSession(session: Stripe.Checkout.Session, items: Stripe.LineItem[]): RescuedSession {
  const { metadata } = session;
  const id = orderIdOf(metadata);
  const number = metadata?.["order_number"];
  const sold = readSoldLines(metadata);
  if (id === null || number === undefined || number === "" || sold === null) {
    throw new UnreadableOrder("its metadata has no number or no lines");
  }
  return {
    id,
    number,
    attempt: attemptOf(session),
    account_id: metadata?.["account_id"] ?? null,
    // A session with the one has the other, where there was one.
    ...(shopIdOf(session) === null ? {} : { terms_version: metadata?.["terms_version"] ?? null }),
    currency: session.currency ?? "",
    livemode: session.livemode,
    email: session.customer_details?.email ?? session.customer_email ?? null,
    locale: localeOf(session.locale),
    ui_mode: session.ui_mode ?? "hosted_page",
    prices_include_tax: items.some(({ price }) => price?.tax_behavior === "inclusive"),
    shipping_rates: (session.shipping_options ?? []).flatMap(({ shipping_rate: rate, shipping_amount }) =>
      typeof rate === "string" ? [] : [shippingRate(rate, shipping_amount)]
    ),
    created: session.created,
    expires_at: session.expires_at,
    open: session.status === "open",
    lines: sold.map((line, at) => ({ ...line, ...described(items[at], line) })),
  };
}

/** What Stripe's own line says of the same goods. */
function described(
  item: Stripe.LineItem | undefined,
  { quantity, unit_amount }: { quantity: number; unit_amount: number },
): { name: string | null; tax_code: string | null } {
  const same = item?.quantity === quantity && item.price?.unit_amount === unit_amount;
  const product = same ? item.price?.product : null;
  const taxCode = typeof product === "object" && product !== null && !product.deleted
    ? product.tax_code
    : null;
  return { name: same ? item.description : null, tax_code: idOf(taxCode) };
}

/** Where Stripe was to look at the browser, nobody had named a language. */
function localeOf(locale: string | null): string | null {
  return readLocale(locale) === null ? null : bestLocale(locale, [locale ?? ""]);
}

function shippingRate(rate: Stripe.ShippingRate, amount: number): ShippingRate {
  return {
    id: rate.metadata["shipping_rate_id"] ?? rate.id,
    name: rate.display_name ?? "",
    amount,
    countries: null,
    delivery_days_min: rate.delivery_estimate?.minimum?.value ?? null,
    delivery_days_max: rate.delivery_estimate?.maximum?.value ?? null,
    tax_code: idOf(rate.tax_code),
  };
}

/** A session as it was when it was made: all that came later is told by events and by what it says now. */
export function sessionAtFirst(session: Stripe.Checkout.Session): CheckoutSessionFact {
  return {
    ...checkoutSessionFact(session),
    status: "open",
    payment_status: "unpaid",
    async_payment_failed: false,
    awaited_payment: false,
    payment_id: null,
    amount_discount: 0,
    amount_shipping: 0,
    amount_tax: 0,
    amount_total: session.amount_subtotal,
    email: session.customer_email,
    name: null,
    phone: null,
    shipping_name: null,
    shipping_address: null,
    billing_address: null,
    business: null,
    terms_consent: null,
    promotions_consent: null,
  };
}

/** A refund as the request of ours that it answers; null: it was made in Stripe's dashboard, or is none of ours. */
export function requestOfRefund(refund: Stripe.Refund): RescuedRefund | null {
  const { metadata } = refund;
  const requestId = metadata?.["refund_request_id"];
  const orderId = orderIdOf(metadata);
  const paymentId = idOf(refund.payment_intent);
  if (requestId === undefined || orderId === null || paymentId === null) return null;
  const cause = metadata?.["cause"] ?? causeOf(requestId);
  return {
    request_id: requestId,
    order_id: orderId,
    payment_id: paymentId,
    amount: refund.amount,
    created: refund.created,
    cause,
    // What the shop gives back by its own decision is always all that is left.
    whole: metadata?.["whole"] === "true" || cause !== "requested",
    restock: metadata?.["restock"] === "true",
    lines: readRefundedLines(metadata ?? null) ?? [],
  };
}

/** What a request's id says of its cause: `oversold:pi_…`, or the id of a member of staff's command. */
function causeOf(requestId: string): string {
  const [, word] = /^(oversold|cancelled|duplicate|shop):/.exec(requestId) ?? [];
  return word === "shop" ? "fraudulent" : word ?? "requested";
}
