import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { createSession } from "./create_session.ts";

/** What the address of a link may say of who comes. https://docs.stripe.com/payment-links/url-parameters */
export interface LinkVisit {
  clientReferenceId: string | null;
  email: string | null;
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
