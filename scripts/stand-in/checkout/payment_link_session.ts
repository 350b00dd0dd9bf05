import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { createSession } from "./create_session.ts";

/** What the address of a link may say of who comes. https://docs.stripe.com/payment-links/url-parameters */
export interface LinkVisit {
  clientReferenceId: string | null;
  email: string | null;
}

/** Why a link leads nowhere, as its page says it; null when it can be paid by. */
export function linkProblem(link: Stripe.PaymentLink): string | null {
  const { count, limit } = link.restrictions?.completed_sessions ?? { count: 0, limit: Infinity };
  if (link.active && count < limit) return null;
  return link.inactive_message ??
    "This link is no longer active. If you believe this is an error, contact the shop.";
}

/** Opens a session for a shopper who follows a payment link. */
export function openLink(context: Context, id: string, visit: LinkVisit): Stripe.Checkout.Session {
  const link = need(context, "payment_link", id);
  const lines = context.store.internals("payment_link", id)?.lines ?? [];
  const target = link.after_completion.redirect?.url;
  const session = createSession(context, {
    allow_promotion_codes: link.allow_promotion_codes,
    automatic_tax: { enabled: link.automatic_tax.enabled },
    billing_address_collection: link.billing_address_collection === "required" ? "required" : "auto",
    ...(visit.clientReferenceId === null ? {} : { client_reference_id: visit.clientReferenceId }),
    currency: link.currency,
    customer_creation: link.customer_creation === "always" ? "always" : "if_required",
    ...(visit.email === null ? {} : { customer_email: visit.email }),
    line_items: lines.map(({ adjustable, price, quantity }) => ({
      ...(adjustable === undefined ? {} : { adjustable_quantity: { enabled: true, ...adjustable } }),
      price: price.id,
      quantity,
    })),
    metadata: link.metadata,
    mode: "payment",
    phone_number_collection: link.phone_number_collection,
    ...(link.shipping_address_collection === null
      ? {}
      : { shipping_address_collection: link.shipping_address_collection }),
    shipping_options: link.shipping_options.map(({ shipping_rate }) => ({
      shipping_rate: typeof shipping_rate === "string" ? shipping_rate : shipping_rate.id,
    })),
    success_url: target ?? context.baseUrl,
  });
  const linked: Stripe.Checkout.Session = { ...session, payment_link: id, success_url: target ?? null };
  context.store.put("checkout.session", linked);
  return linked;
}

/** Counts a session of a link that was completed; the last one that it allows closes it. */
export function countCompleted(context: Context, session: Stripe.Checkout.Session): void {
  const link = context.store.get(
    "payment_link",
    typeof session.payment_link === "string" ? session.payment_link : "",
  );
  const restriction = link?.restrictions?.completed_sessions;
  if (link === undefined || restriction === undefined) return;
  const count = restriction.count + 1;
  const changed: Stripe.PaymentLink = {
    ...link,
    active: link.active && count < restriction.limit,
    restrictions: { completed_sessions: { ...restriction, count } },
  };
  context.store.put("payment_link", changed);
  context.emit("payment_link.updated", changed, link);
}
