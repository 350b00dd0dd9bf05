import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { attachToCustomer } from "../payments/payment_methods.ts";
import { createCustomer } from "../resources/customers.ts";
import type { SessionInternals } from "./session_internals.ts";

/** Where the parcel goes, as a customer keeps it. */
function shippingOf(session: Stripe.Checkout.Session): Stripe.Customer.Shipping | null {
  const details = session.collected_information?.shipping_details ?? null;
  const phone = session.customer_details?.phone ?? null;
  return details === null ? null : {
    address: details.address,
    name: details.name,
    ...(phone === null ? {} : { phone }),
  };
}

/** The session with its customer: made now when asked for, or brought up to date when that was allowed. */
export function withCustomer(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Stripe.Checkout.Session {
  const details = session.customer_details;
  const id = idOf(session.customer);
  if (id !== null) {
    updateCustomer(context, session, id, internals);
    return session;
  }
  const required = session.customer_creation === "always" ||
    internals.paymentIntentData.setup_future_usage !== null;
  if (!required) return session;
  const customer = createCustomer(context, {
    email: details?.email ?? null,
    name: details?.name ?? null,
    phone: details?.phone ?? null,
    address: details?.address ?? null,
    metadata: {},
    shipping: shippingOf(session),
  });
  return { ...session, customer: customer.id };
}

/** What `customer_update` lets the page write back. */
function updateCustomer(
  context: Context,
  session: Stripe.Checkout.Session,
  id: string,
  { customerUpdate }: SessionInternals,
): void {
  const customer = need(context, "customer", id);
  if (customer.deleted === true) return;
  const address = session.customer_details?.address ?? null;
  const name = session.customer_details?.name ?? null;
  const shipping = shippingOf(session);
  const changed: Stripe.Customer = {
    ...customer,
    ...(customerUpdate.address && address !== null ? { address } : {}),
    ...(customerUpdate.name && name !== null ? { name } : {}),
    ...(customerUpdate.shipping && shipping !== null ? { shipping } : {}),
  };
  context.store.put("customer", changed);
  context.emit("customer.updated", changed, customer);
}

/** The payment method becomes the customer's when it is to be used again. */
export function keepMethod(
  context: Context,
  intent: Stripe.PaymentIntent,
  customer: string,
  savesMethod: boolean,
): void {
  const method = context.store.get("payment_method", idOf(intent.payment_method) ?? "");
  if (method === undefined || method.customer !== null) return;
  if (savesMethod) attachToCustomer(context, { ...method, allow_redisplay: "always" }, customer);
  else if (intent.setup_future_usage !== null) {
    attachToCustomer(context, { ...method, allow_redisplay: "limited" }, customer);
  }
}

/** The customer's cards that the page may offer again. */
export function savedCards(
  context: Context,
  session: Stripe.Checkout.Session,
): Stripe.PaymentMethod[] {
  const customer = idOf(session.customer);
  if (customer === null) return [];
  const shown = session.saved_payment_method_options?.allow_redisplay_filters ?? ["always"];
  return context.store.all("payment_method", ["customer", customer]).filter((method) =>
    method.type === "card" && shown.some((filter) => filter === method.allow_redisplay)
  );
}
