import type Stripe from "stripe";
import { address, fullAddress } from "../core/address_fields.ts";
import { type Context, idOf, need, needCustomer } from "../core/context.ts";
import { ApiError, invalidRequest, unsupported } from "../core/errors.ts";
import {
  clearable,
  email,
  type Field,
  map,
  metadata,
  type MetadataChange,
  oneOf,
  paramsOf,
  required,
  type Rule,
  text,
  whole,
} from "../core/fields.ts";
import { listParams, listRoute, type Route, route } from "../core/router.ts";
import { needs, onlyOneOf, someOf } from "../core/rules.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { FOREIGN_METHODS, METHOD_TYPES } from "../payments/foreign_methods.ts";
import { OTHER_METHODS } from "../payments/other_methods.ts";
import {
  attachToCustomer,
  checkAttachable,
  checkUnspent,
  createPaymentMethod,
  spend,
  usePaymentMethod,
} from "../payments/payment_methods.ts";

const billingDetails = map({
  address: clearable(address),
  email: clearable(email),
  name: clearable(text()),
  phone: clearable(text()),
}, { unsupported: ["tax_id"] });

const methodType: Field<"card" | "sepa_debit" | "us_bank_account"> = {
  read(node, context) {
    const value = oneOf(...METHOD_TYPES).read(node, context);
    if (value === "card" || value === "sepa_debit" || value === "us_bank_account") return value;
    throw unsupported(`the payment method type \`${value}\``);
  },
};

/** A session of Radar; nothing here depends on it. */
export const radarOptions = map({ session: text(), referrer: clearable(text()) });

/** What describes a payment method, in its own call and inside a payment intent's. */
export const methodInputShape = {
  type: required(methodType),
  allow_redisplay: oneOf("always", "limited", "unspecified"),
  billing_details: {
    read: (node, context) => {
      const { address: place, ...rest } = billingDetails.read(node, context);
      return place === undefined || place === null ? rest : { ...rest, address: place };
    },
  } satisfies Field<object>,
  card: map({
    cvc: text(4),
    exp_month: whole(),
    exp_year: whole(),
    networks: map({ preferred: oneOf("cartes_bancaires", "mastercard", "visa") }),
    number: text(23),
    token: text(),
  }, { rules: [onlyOneOf("number", "token"), needs("number", "exp_month"), needs("number", "exp_year")] }),
  metadata: {
    takesEmpty: true,
    read: (node, context): Record<string, string> =>
      changedMetadata({}, metadata.read(node, context) as MetadataChange),
  } satisfies Field<Record<string, string>>,
  sepa_debit: map({ iban: required(text(42)) }),
  radar_options: radarOptions,
  us_bank_account: map({
    account_holder_type: oneOf("company", "individual"),
    account_number: text(20),
    account_type: oneOf("checking", "savings"),
    routing_number: text(9),
  }, {
    unsupported: ["financial_connections_account"],
    rules: [
      needs("account_number", "routing_number"),
      needs("account_number", "account_holder_type"),
      someOf("Missing required param: us_bank_account[account_number].", "account_number"),
    ],
  }),
};

/** What must be known of the holder of an account. */
const HOLDER: Readonly<Record<string, readonly string[]>> = {
  sepa_debit: ["name", "email"],
  us_bank_account: ["name"],
};

/** Details are those of the type that is named. */
export const methodRules: readonly Rule[] = [
  ({ type, ...value }, at) => {
    const foreign = ["card", "sepa_debit", "us_bank_account"].find((name) =>
      name !== type && value[name] !== undefined
    );
    if (foreign === undefined) return;
    throw invalidRequest(
      `You provided \`${foreign}\`, which can only be used when \`type\` is \`${foreign}\`.`,
      at(foreign),
    );
  },
  ({ type, billing_details: billing }, at) => {
    const details = (billing ?? {}) as Record<string, unknown>;
    const missing = (HOLDER[String(type)] ?? []).find((name) => (details[name] ?? null) === null);
    if (missing === undefined) return;
    const param = `${at("billing_details")}[${missing}]`;
    throw invalidRequest(`Missing required param: ${param}.`, param, "parameter_missing");
  },
  ({ type, ...value }, at) => {
    if (value[String(type)] !== undefined) return;
    throw invalidRequest(
      `Missing required param: ${at(String(type))}.`,
      at(String(type)),
      "parameter_missing",
    );
  },
];

/** Refuses to let a card end in the past. */
function checkExpiry(
  context: Context,
  { card }: Stripe.PaymentMethod,
  change: { exp_month?: number; exp_year?: number } | undefined,
): void {
  if (card === undefined || change === undefined) return;
  const today = new Date(context.now * 1000);
  const year = change.exp_year ?? card.exp_year;
  const months = year * 12 + (change.exp_month ?? card.exp_month);
  if (months >= today.getUTCFullYear() * 12 + today.getUTCMonth() + 1) return;
  const part = year < today.getUTCFullYear() ? "year" : "month";
  throw new ApiError(402, {
    type: "card_error",
    code: `invalid_expiry_${part}`,
    message: `Your card's expiration ${part} is invalid.`,
    param: `exp_${part}`,
  });
}

/** `/v1/payment_methods` */
export const paymentMethodRoutes: Route[] = [
  route(
    "POST",
    "/v1/payment_methods",
    paramsOf<Stripe.PaymentMethodCreateParams>()(methodInputShape, {
      unsupported: ["customer", "payment_method", ...FOREIGN_METHODS, ...OTHER_METHODS],
      rules: methodRules,
    }),
    (context, params) => createPaymentMethod(context, params),
  ),
  route(
    "GET",
    "/v1/payment_methods/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => usePaymentMethod(context, id, 404),
  ),
  route(
    "POST",
    "/v1/payment_methods/:id",
    paramsOf<Stripe.PaymentMethodUpdateParams>()({
      allow_redisplay: oneOf("always", "limited", "unspecified"),
      billing_details: billingDetails,
      card: map({ exp_month: whole(1, 12), exp_year: whole(0, 9999) }, { unsupported: ["networks"] }),
      metadata,
    }, { unsupported: ["payto", "us_bank_account"] }),
    (context, params, id) => {
      const method = need(context, "payment_method", id);
      if (method.customer === null) {
        throw invalidRequest("You must save this PaymentMethod to a customer before you can update it.");
      }
      checkExpiry(context, method, params.card);
      const billing = params.billing_details;
      const changed: Stripe.PaymentMethod = {
        ...method,
        billing_details: {
          ...method.billing_details,
          ...(billing === undefined ? {} : {
            address: billing.address === undefined || billing.address === null
              ? method.billing_details.address
              : fullAddress(billing.address),
            email: billing.email ?? method.billing_details.email,
            name: billing.name ?? method.billing_details.name,
            phone: billing.phone ?? method.billing_details.phone,
          }),
        },
        ...(method.card === undefined ? {} : { card: { ...method.card, ...params.card } }),
        metadata: changedMetadata(method.metadata ?? {}, params.metadata),
      };
      context.store.put("payment_method", changed);
      context.emit("payment_method.updated", changed, method);
      return changed;
    },
  ),
  route(
    "POST",
    "/v1/payment_methods/:id/attach",
    paramsOf<Stripe.PaymentMethodAttachParams>()({ customer: required(text()) }, {
      unsupported: ["customer_account"],
    }),
    (context, params, id) => {
      needCustomer(context, params.customer);
      const method = usePaymentMethod(context, id, 404);
      if (method.customer === params.customer) return method;
      if (method.customer !== null) {
        throw invalidRequest("The payment method you provided has already been attached to a customer.");
      }
      checkUnspent(context, method);
      checkAttachable(context, method);
      return attachToCustomer(context, method, params.customer);
    },
  ),
  route("POST", "/v1/payment_methods/:id/detach", paramsOf<unknown>()({}), (context, _params, id) => {
    const method = need(context, "payment_method", id);
    if (method.customer === null) {
      throw invalidRequest(
        "The payment method you provided is not attached to a customer so detachment is impossible.",
      );
    }
    const detached: Stripe.PaymentMethod = { ...method, customer: null };
    context.store.put("payment_method", detached);
    spend(context, id);
    const customer = context.store.get("customer", idOf(method.customer) ?? "");
    if (
      customer !== undefined && customer.deleted !== true &&
      customer.invoice_settings.default_payment_method === id
    ) {
      const invoice_settings = { ...customer.invoice_settings, default_payment_method: null };
      context.store.put("customer", { ...customer, invoice_settings });
      context.emit("customer.updated", { ...customer, invoice_settings }, customer);
    }
    context.emit("payment_method.detached", detached, method);
    return detached;
  }),
  listRoute(
    "/v1/payment_methods",
    "payment_method",
    paramsOf<Stripe.PaymentMethodListParams>()({
      ...listParams,
      customer: text(),
      type: oneOf(...METHOD_TYPES),
    }, {
      unsupported: ["allow_redisplay", "customer_account"],
    }),
  ),
];
