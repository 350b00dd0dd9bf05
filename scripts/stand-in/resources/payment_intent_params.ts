/** What may be said of a PaymentIntent that is made, changed or confirmed. */
import type Stripe from "stripe";
import { shipping } from "../core/address_fields.ts";
import {
  clearable,
  currency,
  email,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  statementDescriptor,
  text,
  timestamp,
  truth,
  url,
  whole,
} from "../core/fields.ts";
import { FOREIGN_METHODS, METHOD_TYPES, PLAIN_METHODS } from "../payments/foreign_methods.ts";
import { OTHER_METHODS } from "../payments/other_methods.ts";
import { methodInputShape } from "./payment_methods.ts";

const methodOptions = map({
  card: map({ request_three_d_secure: oneOf("any", "automatic", "challenge") }, {
    unsupported: [
      "capture_method",
      "cvc_token",
      "installments",
      "mandate_options",
      "moto",
      "network",
      "request_extended_authorization",
      "request_incremental_authorization",
      "request_multicapture",
      "request_overcapture",
      "require_cvc_recollection",
      "setup_future_usage",
      "statement_descriptor_suffix_kana",
      "statement_descriptor_suffix_kanji",
      "three_d_secure",
    ],
  }),
}, { unsupported: [...FOREIGN_METHODS, ...PLAIN_METHODS] });
export const mandateData = map({
  customer_acceptance: required(map({ accepted_at: timestamp, type: required(oneOf("offline", "online")) }, {
    inert: ["offline", "online"],
  })),
});
export const methodData = map(methodInputShape, {
  unsupported: [...FOREIGN_METHODS, ...OTHER_METHODS],
  inert: ["radar_options"],
});

export const createParams = paramsOf<Stripe.PaymentIntentCreateParams>()({
  amount: required(whole(1)),
  currency: required(currency),
  allowed_payment_method_types: list(oneOf(...METHOD_TYPES)),
  automatic_payment_methods: map({ enabled: required(truth), allow_redirects: oneOf("always", "never") }),
  capture_method: oneOf("automatic", "automatic_async", "manual"),
  confirm: truth,
  confirmation_method: oneOf("automatic", "manual"),
  customer: text(),
  description: text(1000),
  error_on_requires_action: truth,
  excluded_payment_method_types: list(oneOf(...METHOD_TYPES)),
  mandate_data: clearable(mandateData),
  metadata,
  off_session: truth,
  payment_method: text(),
  payment_method_data: methodData,
  payment_method_options: methodOptions,
  receipt_email: email,
  return_url: url,
  setup_future_usage: oneOf("off_session", "on_session"),
  shipping,
  statement_descriptor: statementDescriptor,
  statement_descriptor_suffix: statementDescriptor,
  transfer_group: text(),
}, {
  unsupported: [
    "amount_details",
    "application_fee_amount",
    "confirmation_token",
    "customer_account",
    "hooks",
    "mandate",
    "on_behalf_of",
    "payment_details",
    "payment_method_configuration",
    "transfer_data",
  ],
  inert: ["radar_options", "use_stripe_sdk"],
  older: { payment_method_types: list(oneOf(...METHOD_TYPES)) },
});

export const updateParams = paramsOf<Stripe.PaymentIntentUpdateParams>()({
  amount: whole(1),
  currency,
  customer: text(),
  description: text(1000),
  metadata,
  payment_method: text(),
  receipt_email: clearable(email),
  shipping: clearable(shipping),
  statement_descriptor: statementDescriptor,
  statement_descriptor_suffix: statementDescriptor,
}, {
  unsupported: [
    "allowed_payment_method_types",
    "amount_details",
    "application_fee_amount",
    "capture_method",
    "customer_account",
    "excluded_payment_method_types",
    "hooks",
    "payment_details",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "setup_future_usage",
    "transfer_data",
    "transfer_group",
  ],
});

export const confirmParams = paramsOf<Stripe.PaymentIntentConfirmParams>()({
  error_on_requires_action: truth,
  mandate_data: clearable(mandateData),
  off_session: truth,
  payment_method: text(),
  payment_method_data: methodData,
  receipt_email: clearable(email),
  return_url: url,
  shipping: clearable(shipping),
}, {
  unsupported: [
    "allowed_payment_method_types",
    "amount_details",
    "amount_to_confirm",
    "capture_method",
    "client_secret",
    "confirmation_token",
    "excluded_payment_method_types",
    "hooks",
    "mandate",
    "payment_details",
    "payment_method_options",
    "setup_future_usage",
  ],
  inert: ["radar_options", "use_stripe_sdk"],
});
