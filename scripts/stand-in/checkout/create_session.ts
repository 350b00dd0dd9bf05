import type Stripe from "stripe";
import { AUGUST_2022, isBefore } from "../core/api_version.ts";
import { type Context, needCustomer } from "../core/context.ts";
import { fullShipping } from "../core/address_fields.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { checkAmount } from "../core/money.ts";
import { readLines, readShippingOptions } from "./cart_input.ts";
import { applyDiscount } from "./discounts.ts";
import type { SessionCreate } from "./session_params.ts";
import { FOREIGN_METHODS } from "../payments/foreign_methods.ts";
import { canWait, isRedirect, methodsFor } from "../payments/other_methods.ts";
import { changedMetadata, type SessionInternals } from "./session_internals.ts";
import { placeOf, readUiMode } from "./ui_mode.ts";
import { intentFor } from "./pay_session.ts";
import { withTotals } from "./totals.ts";

const MIN_LIFE_S = 30 * 60;
const MAX_LIFE_S = 24 * 3600;
/** Between the caller's clock and this one, and for the request's own time. */
const CLOCK_SLACK_S = 5;

function readExpiry(context: Context, wanted: number | undefined): number {
  if (wanted === undefined) return context.now + MAX_LIFE_S;
  if (wanted < context.now + MIN_LIFE_S - CLOCK_SLACK_S) {
    throw invalidRequest(
      "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
      "expires_at",
    );
  }
  if (wanted > context.now + MAX_LIFE_S + CLOCK_SLACK_S) {
    throw invalidRequest(
      "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
      "expires_at",
    );
  }
  return wanted;
}

function checkMode(params: SessionCreate): void {
  if (params.mode === undefined) {
    throw invalidRequest("Missing required param: mode.", "mode", "parameter_missing");
  }
  if (params.managed_payments?.enabled === true) throw unsupported("Managed Payments");
  if (params.mode !== "payment") throw unsupported(`Checkout Sessions in \`${params.mode}\` mode`);
  const foreign = (["subscription_data", "setup_intent_data"] as const).find((name) =>
    params[name] !== undefined
  );
  if (foreign !== undefined) {
    throw invalidRequest(`You can not pass \`${foreign}\` in \`payment\` mode.`, foreign);
  }
  if (params.payment_method_collection !== undefined) {
    throw invalidRequest(
      "You can only set `payment_method_collection` if there are recurring prices.",
      "payment_method_collection",
    );
  }
  if (params.submit_type === "subscribe") {
    throw invalidRequest("`submit_type` can only be `subscribe` in `subscription` mode.", "submit_type");
  }
  if (params.customer !== undefined && params.customer_creation !== undefined) {
    throw invalidRequest("`customer_creation` can not be set when `customer` is given.", "customer_creation");
  }
  if (
    params.customer !== undefined && params.tax_id_collection?.enabled === true &&
    params.customer_update?.name !== "auto"
  ) {
    throw invalidRequest(
      "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an " +
        "existing customer, please set `customer_update[name]` to `auto`.",
      "tax_id_collection",
    );
  }
  if (
    params.discounts !== undefined && params.discounts.length > 0 &&
    params.allow_promotion_codes !== undefined
  ) {
    throw invalidRequest(
      "You may only specify one of these parameters: allow_promotion_codes, discounts.",
      "allow_promotion_codes",
    );
  }
}

/** Refuses automatic tax for a customer whose place is not known and would not be kept. */
function checkTaxable(params: SessionCreate, customer: Stripe.Customer): void {
  const { address, shipping } = params.customer_update ?? {};
  const known = (customer.address?.country ?? customer.shipping?.address?.country ?? null) !== null;
  if (params.automatic_tax?.enabled !== true || known || address === "auto" || shipping === "auto") return;
  throw invalidRequest(
    "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' to save the address entered in Checkout to the Customer.",
    "automatic_tax",
    "customer_tax_location_invalid",
  );
}

function paymentIntentData(
  input: SessionCreate["payment_intent_data"],
): SessionInternals["paymentIntentData"] {
  return {
    capture_method: input?.capture_method ?? "automatic",
    description: input?.description ?? null,
    metadata: changedMetadata({}, input?.metadata),
    receipt_email: input?.receipt_email ?? null,
    setup_future_usage: input?.setup_future_usage ?? null,
    shipping: input?.shipping === undefined ? null : fullShipping(input.shipping),
    statement_descriptor: input?.statement_descriptor ?? null,
    statement_descriptor_suffix: input?.statement_descriptor_suffix ?? null,
    transfer_group: input?.transfer_group ?? null,
  };
}

function consentCollection(
  input: SessionCreate["consent_collection"],
): Stripe.Checkout.Session.ConsentCollection | null {
  if (input === undefined) return null;
  return {
    payment_method_reuse_agreement: null,
    promotions: input.promotions ?? null,
    terms_of_service: input.terms_of_service ?? null,
  };
}

/** The ways to pay that the page offers. */
function methodTypes(params: SessionCreate, currency: string): string[] {
  const own = methodsFor(currency);
  const foreign = params.payment_method_types?.find((type) => FOREIGN_METHODS.includes(type));
  if (foreign !== undefined) throw unsupported(`the payment method type \`${foreign}\``);
  const given = params.payment_method_types ?? own;
  const wrong = given.find((type) => !own.includes(type));
  if (wrong !== undefined) {
    throw invalidRequest(
      `The currency \`${currency}\` is not supported by \`${wrong}\`.`,
      "payment_method_types",
    );
  }
  const allowed = params.allowed_payment_method_types;
  const offered = given.filter((type) =>
    (allowed === undefined || allowed.includes(type)) &&
    !(params.excluded_payment_method_types ?? []).includes(type) &&
    !(params.redirect_on_completion === "never" && isRedirect(type)) &&
    (params.payment_intent_data?.capture_method !== "manual" || canWait(type))
  );
  if (offered.length === 0) throw invalidRequest("No valid payment method types for this Checkout Session.");
  return offered;
}

/** Creates an open session with its page. */
export function createSession(context: Context, params: SessionCreate): Stripe.Checkout.Session {
  const paysFromTheStart = isBefore(context.version, AUGUST_2022);
  checkMode(params);
  const uiMode = readUiMode(params);
  const { lines, currency } = readLines(context, params);
  if (params.customer !== undefined) checkTaxable(params, needCustomer(context, params.customer));
  const types = methodTypes(params, currency);
  if (params.payment_intent_data?.statement_descriptor !== undefined && types.includes("card")) {
    throw invalidRequest(
      "The `statement_descriptor` parameter is not supported for payments that can be made by card. Use `statement_descriptor_suffix` instead.",
      "payment_intent_data[statement_descriptor]",
    );
  }
  const options = readShippingOptions(context, params.shipping_options, currency);
  const recovery = params.after_expiration?.recovery;
  const id = newId("checkout_session");
  const internals: SessionInternals = {
    lines,
    paymentIntentData: paymentIntentData(params.payment_intent_data),
    requestThreeDSecure: params.payment_method_options?.card?.request_three_d_secure ?? "automatic",
    allowedMethods: params.allowed_payment_method_types ?? null,
    excludedMethods: params.excluded_payment_method_types ?? [],
    shippingRate: typeof options[0]?.shipping_rate === "string" ? options[0].shipping_rate : null,
    taxAddress: null,
    recoveryToken: null,
    customerUpdate: {
      address: params.customer_update?.address === "auto",
      name: params.customer_update?.name === "auto",
      shipping: params.customer_update?.shipping === "auto",
    },
    offersSaving: params.saved_payment_method_options?.payment_method_save === "enabled",
    savesMethod: false,
  };
  const base: Stripe.Checkout.Session = {
    id,
    object: "checkout.session",
    adaptive_pricing: { enabled: params.adaptive_pricing?.enabled ?? false },
    after_expiration: recovery === undefined ? null : {
      recovery: {
        allow_promotion_codes: recovery.allow_promotion_codes ?? false,
        enabled: recovery.enabled,
        expires_at: null,
        url: null,
      },
    },
    allow_promotion_codes: params.allow_promotion_codes ?? null,
    allowed_payment_method_types: params.allowed_payment_method_types ?? null,
    amount_subtotal: 0,
    amount_total: 0,
    automatic_tax: {
      enabled: params.automatic_tax?.enabled ?? false,
      liability: params.automatic_tax?.enabled === true ? { type: "self" } : null,
      provider: params.automatic_tax?.enabled === true ? "stripe" : null,
      status: null,
    },
    billing_address_collection: params.billing_address_collection ?? null,
    cancel_url: params.cancel_url ?? null,
    client_reference_id: params.client_reference_id ?? null,
    collected_information: null,
    consent: null,
    consent_collection: consentCollection(params.consent_collection),
    created: context.now,
    currency,
    currency_conversion: null,
    custom_fields: [],
    custom_text: {
      after_submit: params.custom_text?.after_submit ?? null,
      shipping_address: params.custom_text?.shipping_address ?? null,
      submit: params.custom_text?.submit ?? null,
      terms_of_service_acceptance: params.custom_text?.terms_of_service_acceptance ?? null,
    },
    customer: params.customer ?? null,
    customer_account: null,
    customer_creation: params.customer === undefined
      ? params.customer_creation ?? (paysFromTheStart ? "always" : "if_required")
      : null,
    customer_details: initialDetails(context, params),
    customer_email: params.customer_email ?? null,
    discounts: [],
    ...(params.excluded_payment_method_types === undefined
      ? {}
      : { excluded_payment_method_types: params.excluded_payment_method_types }),
    expires_at: readExpiry(context, params.expires_at),
    integration_identifier: params.integration_identifier ?? null,
    invoice: null,
    invoice_creation: {
      enabled: false,
      invoice_data: {
        account_tax_ids: null,
        custom_fields: null,
        description: null,
        footer: null,
        issuer: null,
        metadata: {},
        rendering_options: null,
      },
    },
    livemode: false,
    locale: params.locale ?? null,
    managed_payments: params.managed_payments === undefined ? null : { enabled: false },
    metadata: changedMetadata({}, params.metadata),
    mode: "payment",
    origin_context: params.origin_context ?? null,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: "if_required",
    payment_method_configuration_details: null,
    payment_method_options: { card: { request_three_d_secure: internals.requestThreeDSecure } },
    payment_method_types: types,
    payment_status: "unpaid",
    permissions: null,
    phone_number_collection: { enabled: params.phone_number_collection?.enabled ?? false },
    recovered_from: null,
    saved_payment_method_options: savedMethodOptions(params),
    setup_intent: null,
    shipping_address_collection: params.shipping_address_collection === undefined ? null : {
      allowed_countries: params.shipping_address_collection
        .allowed_countries as Stripe.Checkout.Session.ShippingAddressCollection.AllowedCountry[],
    },
    shipping_cost: null,
    shipping_options: options,
    status: "open",
    submit_type: params.submit_type ?? null,
    subscription: null,
    success_url: params.success_url ?? null,
    ...(params.tax_id_collection === undefined ? {} : {
      tax_id_collection: {
        enabled: params.tax_id_collection.enabled,
        required: params.tax_id_collection.required ?? "never",
      },
    }),
    total_details: null,
    wallet_options: params.wallet_options ?? null,
    ...placeOf(context, id, uiMode, params),
  };
  // A coupon looks at the lines.
  context.store.setInternals("session", id, internals);
  const discounted = applyDiscount(context, withTotals(context, base, internals), params.discounts?.[0]);
  const priced = withTotals(context, discounted, internals);
  if (priced.amount_total !== 0) checkAmount(priced.amount_total ?? 0, currency);
  // Versions before August 2022 make the payment with the session; it is the attempt's since.
  const session = paysFromTheStart && priced.amount_total !== 0
    ? { ...priced, payment_intent: intentFor(context, { session: priced, internals }).id }
    : priced;
  context.store.put("checkout.session", session);
  context.schedule("expire_session", id, (session.expires_at - context.now) * 1000);
  return session;
}

function savedMethodOptions(
  params: SessionCreate,
): Stripe.Checkout.Session.SavedPaymentMethodOptions | null {
  const options = params.saved_payment_method_options;
  if (params.customer === undefined && options === undefined) return null;
  return {
    allow_redisplay_filters: options?.allow_redisplay_filters ?? ["always"],
    payment_method_remove: options?.payment_method_remove ?? null,
    payment_method_save: options?.payment_method_save ?? null,
  };
}

function initialDetails(
  context: Context,
  params: SessionCreate,
): Stripe.Checkout.Session.CustomerDetails | null {
  const customer = params.customer === undefined ? undefined : context.store.get("customer", params.customer);
  const email = customer === undefined || customer.deleted === true ? params.customer_email : customer.email;
  if (email === undefined || email === null) return null;
  return {
    address: null,
    business_name: null,
    email,
    individual_name: null,
    name: null,
    phone: null,
    tax_exempt: "none",
    tax_ids: null,
  };
}
