import type Stripe from "stripe";
import { type AddressInput, fullAddress } from "../core/address_fields.ts";
import { type Context, idOf, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import { checkAmount } from "../core/money.ts";
import { type Attempt, completeChallenge, confirmIntent } from "../payments/confirm.ts";
import { createIntent, saveIntent, sessionOfIntent } from "../payments/intents.ts";
import { settleMethod } from "../payments/payment_methods.ts";
import { presentmentOf } from "../payments/presentment.ts";
import { type BusinessInput, collectedBusiness } from "./business.ts";
import { redeem } from "./discounts.ts";
import { countCompleted } from "./link_limits.ts";
import { keepMethod, withCustomer } from "./session_customer.ts";
import type { SessionInternals } from "./session_internals.ts";
import { CLOSED } from "./ui_mode.ts";
import { withTotals } from "./totals.ts";

/** What the shopper told the page. */
export interface ShopperDetails {
  email?: string;
  name?: string;
  phone?: string;
  billingAddress?: AddressInput;
  shippingName?: string;
  shippingAddress?: AddressInput;
  acceptsTerms?: boolean;
  acceptsPromotions?: boolean;
  /** Keep the payment method for the customer's next purchase. */
  savesMethod?: boolean;
  business?: BusinessInput;
  /** The currency to pay in, of those that the page offers; the session's own where it is left out. */
  currency?: string;
}

/** What remains of the shopper's details between the challenge and its end. */
interface Prepared {
  session: Stripe.Checkout.Session;
  internals: SessionInternals;
}

/** The session and its internals; refuses what is no longer open. */
export function needOpenSession(context: Context, id: string): Prepared {
  const session = need(context, "checkout.session", id);
  if (session.status !== "open") {
    throw invalidRequest(
      session.status === "complete"
        ? "This Checkout Session has already been completed."
        : "This Checkout Session has expired.",
      "session",
      "checkout_session_not_open",
    );
  }
  return { session, internals: needInternals(context, id) };
}

export function needInternals(context: Context, id: string): SessionInternals {
  const internals = context.store.internals("session", id);
  if (internals === undefined) throw new Error(`the session ${id} lost its internals`);
  return internals;
}

/** Writes what the shopper typed into the session. */
function writeDetails(context: Context, { session, internals }: Prepared, details: ShopperDetails): Prepared {
  const email = session.customer_details?.email ?? details.email ?? null;
  const ships = session.shipping_address_collection !== null;
  const shippingAddress = ships ? details.shippingAddress ?? details.billingAddress ?? {} : undefined;
  const billing = details.billingAddress ?? shippingAddress;
  const address = billing === undefined ? null : fullAddress(billing);
  const allowed = session.shipping_address_collection?.allowed_countries;
  if (
    shippingAddress?.country !== undefined &&
    allowed?.some((code) => code === shippingAddress.country) === false
  ) {
    throw invalidRequest(`The shop does not ship to ${shippingAddress.country}.`, "shipping_address");
  }
  const next: SessionInternals = {
    ...internals,
    taxAddress: shippingAddress === undefined ? address : fullAddress(shippingAddress),
    savesMethod: internals.offersSaving && details.savesMethod === true,
  };
  const name = details.name ?? details.shippingName ?? null;
  const business = collectedBusiness(session, details.business ?? {});
  const changed: Stripe.Checkout.Session = {
    ...session,
    collected_information: shippingAddress === undefined ? session.collected_information : {
      business_name: business.business_name,
      individual_name: null,
      shipping_details: {
        address: fullAddress(shippingAddress),
        name: details.shippingName ?? details.name ?? "",
      },
    },
    consent: session.consent_collection === null ? null : {
      promotions: session.consent_collection.promotions === "auto"
        ? (details.acceptsPromotions === true ? "opt_in" : "opt_out")
        : null,
      terms_of_service: details.acceptsTerms === true ? "accepted" : null,
    },
    customer_details: {
      address,
      ...business,
      email,
      individual_name: null,
      name,
      phone: session.phone_number_collection?.enabled === true ? details.phone ?? null : null,
      tax_exempt: "none",
    },
  };
  const { presentment_details: _, ...total } = withTotals(context, changed, next);
  const presented = presentmentOf(total, next.paymentIntentData.capture_method, details.currency);
  return {
    session: { ...total, ...(presented === undefined ? {} : { presentment_details: presented }) },
    internals: next,
  };
}

function save(context: Context, { session, internals }: Prepared): void {
  context.store.put("checkout.session", session);
  context.store.setInternals("session", session.id, internals);
}

/** The payment of a session: the one of an earlier attempt brought up to date, or a new one. */
export function intentFor(context: Context, { session, internals }: Prepared): Stripe.PaymentIntent {
  const data = internals.paymentIntentData;
  const details = session.collected_information?.shipping_details ?? null;
  const shipping = details === null ? data.shipping : {
    address: details.address,
    carrier: null,
    name: details.name,
    phone: session.customer_details?.phone ?? null,
    tracking_number: null,
  };
  const amount = session.amount_total ?? 0;
  const presented = session.presentment_details;
  const known = context.store.get("payment_intent", idOf(session.payment_intent) ?? "");
  if (known !== undefined) {
    const { presentment_details: _, ...existing } = known;
    return saveIntent(context, existing, {
      ...(presented === undefined ? {} : { presentment_details: presented }),
      amount,
      customer: idOf(session.customer),
      shipping,
      status: "requires_payment_method",
    });
  }
  return createIntent(context, {
    amount,
    currency: session.currency ?? "usd",
    allowedMethods: internals.allowedMethods,
    excludedMethods: internals.excludedMethods.length === 0 ? null : internals.excludedMethods,
    automaticMethods: null,
    captureMethod: data.capture_method,
    confirmationMethod: "automatic",
    customer: idOf(session.customer),
    description: data.description,
    metadata: data.metadata,
    methodTypes: session.payment_method_types,
    presentment: presented ?? null,
    receiptEmail: data.receipt_email,
    requestThreeDSecure: internals.requestThreeDSecure,
    session: session.id,
    setupFutureUsage: data.setup_future_usage,
    shipping,
    statementDescriptor: data.statement_descriptor,
    statementDescriptorSuffix: data.statement_descriptor_suffix,
    transferGroup: data.transfer_group,
  });
}

/** Requirements the page checks before it sends anything, held here for every other way in. */
function checkConsent(session: Stripe.Checkout.Session, details: ShopperDetails): void {
  if (session.consent_collection?.terms_of_service === "required" && details.acceptsTerms !== true) {
    throw invalidRequest("You must accept the terms of service to continue.", "consent[terms_of_service]");
  }
}

/** A free order needs no payment. */
function completeWithoutPayment(context: Context, prepared: Prepared): Stripe.Checkout.Session {
  const session: Stripe.Checkout.Session = {
    ...prepared.session,
    payment_status: "no_payment_required",
    status: "complete",
    ...CLOSED,
  };
  save(context, { ...prepared, session });
  redeem(context, session);
  countCompleted(context, session);
  context.emit("checkout.session.completed", session);
  return session;
}

/** What paying a session led to. */
export type SessionAttempt =
  | { kind: "free"; session: Stripe.Checkout.Session }
  | (Attempt & { session: Stripe.Checkout.Session });

/** The shopper presses "Pay". `makeMethod` runs after the session was checked. */
export function paySession(
  context: Context,
  id: string,
  details: ShopperDetails,
  makeMethod: () => Stripe.PaymentMethod,
): SessionAttempt {
  const open = needOpenSession(context, id);
  checkConsent(open.session, details);
  const detailed = writeDetails(context, open, details);
  // Stripe makes the customer when payment is attempted, so that the payment is the customer's from the start.
  const prepared = {
    ...detailed,
    session: withCustomer(context, detailed.session, detailed.internals),
  };
  if (prepared.session.amount_total === 0) {
    return { kind: "free", session: completeWithoutPayment(context, prepared) };
  }
  // The page's choices (code, shipping, tax) may have moved the total since the session was made.
  checkAmount(prepared.session.amount_total ?? 0, prepared.session.currency ?? "usd");
  const method = makeMethod();
  const taken = prepared.session.payment_method_types.includes(method.type) &&
    // A bank debit is made in the currency of its bank.
    (prepared.session.presentment_details === undefined || method.type === "card");
  if (!taken) {
    throw invalidRequest(`This Checkout Session does not take \`${method.type}\`.`, "payment_method");
  }
  const intent = intentFor(context, prepared);
  const session: Stripe.Checkout.Session = { ...prepared.session, payment_intent: intent.id };
  save(context, { ...prepared, session });
  const attempt = confirmIntent(context, intent, method, {
    returnUrl: pageUrl(context, session),
    unattended: false,
  });
  return { ...attempt, session: concludeAttempt(context, session, attempt) };
}

/** Where a shopper comes back to from the bank: the page they were on. */
function pageUrl(context: Context, session: Stripe.Checkout.Session): string | null {
  if (session.ui_mode === "hosted_page") return `${context.baseUrl}/c/pay/${session.id}`;
  return session.return_url?.replaceAll("{CHECKOUT_SESSION_ID}", session.id) ?? null;
}

/** The shopper ended the challenge of an intent, whether or not it belongs to a session. */
export function endChallenge(
  context: Context,
  intentId: string,
  passed: boolean,
): { attempt: Attempt; session: Stripe.Checkout.Session | undefined } {
  const intent = need(context, "payment_intent", intentId);
  const attempt = completeChallenge(context, intent, passed);
  const session = sessionOfIntent(context, intentId);
  return { attempt, session: session === undefined ? undefined : concludeAttempt(context, session, attempt) };
}

/** Completes the session when its attempt went through. */
function concludeAttempt(
  context: Context,
  session: Stripe.Checkout.Session,
  attempt: Attempt,
): Stripe.Checkout.Session {
  if (attempt.kind === "declined" || attempt.kind === "action_required") return session;
  const internals = needInternals(context, session.id);
  const customer = idOf(session.customer);
  if (customer !== null) keepMethod(context, attempt.intent, customer, internals.savesMethod);
  settleMethod(context, attempt.intent);
  const completed: Stripe.Checkout.Session = {
    ...session,
    payment_status: attempt.kind === "succeeded" ? "paid" : "unpaid",
    status: "complete",
    ...CLOSED,
  };
  context.store.put("checkout.session", completed);
  redeem(context, completed);
  countCompleted(context, completed);
  context.emit("checkout.session.completed", completed);
  return completed;
}

/** An asynchronous payment of a session was decided. */
export function concludeAsync(context: Context, intent: Stripe.PaymentIntent): void {
  const session = sessionOfIntent(context, intent.id);
  if (session === undefined) return;
  if (intent.status === "succeeded") {
    const paid: Stripe.Checkout.Session = { ...session, payment_status: "paid" };
    context.store.put("checkout.session", paid);
    context.emit("checkout.session.async_payment_succeeded", paid);
  } else {
    context.emit("checkout.session.async_payment_failed", session);
  }
}
