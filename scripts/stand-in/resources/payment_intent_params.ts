/** What may be said of a PaymentIntent that is made, changed or confirmed. */
import type Stripe from "stripe";
import { shipping } from "../core/address_fields.ts";
import { ENDIVE } from "../core/api_version.ts";
import { invalidRequest } from "../core/errors.ts";
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
  type Rule,
  type ShapeNotes,
  text,
  timestamp,
  truth,
  until,
  whole,
} from "../core/fields.ts";
import { offSession, returnUrl, statementDescriptor, statementDescriptorSuffix } from "../core/kinds.ts";
import { onlyOneOf, onlyWhere } from "../core/rules.ts";
import { ALLOWED_TYPES, FOREIGN_METHODS, METHOD_TYPES, PLAIN_METHODS } from "../payments/foreign_methods.ts";
import { OTHER_METHODS } from "../payments/other_methods.ts";
import { methodInputShape, methodRules, radarOptions } from "./payment_methods.ts";

const methodOptions = map({
  card: clearable(map({ request_three_d_secure: oneOf("any", "automatic", "challenge") }, {
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
  })),
}, { unsupported: [...FOREIGN_METHODS, ...PLAIN_METHODS] });
/** An acceptance online says where it came from, one offline does not. */
const onlineDetails: Rule = ({ type, online }, at) => {
  if (type === "online" && online === undefined) {
    throw invalidRequest(`Missing required param: ${at("online")}.`, at("online"), "parameter_missing");
  }
  if (type === "offline" && online !== undefined) {
    throw invalidRequest("`online` can only be given when `type` is `online`.", at("online"));
  }
};

export const mandateData = map({
  customer_acceptance: required(map({
    accepted_at: timestamp,
    offline: map({}),
    online: map({ ip_address: required(text()), user_agent: required(text()) }),
    type: required(oneOf("offline", "online")),
  }, { rules: [onlineDetails] })),
});
const methodTypes = list(oneOf(...METHOD_TYPES), 100);

/** What an account of older versions named its ways to pay by. */
const older: ShapeNotes["older"] = {
  payment_method_types: until(ENDIVE, methodTypes, "payment_method_types_no_longer_supported"),
};

const oneMethod = onlyOneOf("payment_method", "payment_method_data");
const oneChoice = onlyOneOf("payment_method_types", "allowed_payment_method_types");
const notWithOwnList = onlyWhere(
  ({ automatic_payment_methods: automatic }) => (automatic as { enabled?: boolean })?.enabled !== true,
  (name) => `You may only specify one of these parameters: automatic_payment_methods, ${name}.`,
  "payment_method_types",
);
/** What belongs to confirming and means nothing before. */
const confirming = onlyWhere(
  ({ confirm }) => confirm === true,
  (name) =>
    `The parameter \`${name}\` cannot be passed when creating a PaymentIntent unless \`confirm\` is set to true.`,
  "error_on_requires_action",
  "mandate_data",
  "off_session",
  "return_url",
);
export const methodData = map(methodInputShape, {
  unsupported: [...FOREIGN_METHODS, ...OTHER_METHODS],
  rules: methodRules,
});

export const createParams = paramsOf<Stripe.PaymentIntentCreateParams>()({
  amount: required(whole(1)),
  currency: required(currency),
  allowed_payment_method_types: list(oneOf(...ALLOWED_TYPES), 100),
  automatic_payment_methods: map({ enabled: required(truth), allow_redirects: oneOf("always", "never") }),
  capture_method: oneOf("automatic", "automatic_async", "manual"),
  confirm: truth,
  confirmation_method: oneOf("automatic", "manual"),
  customer: text(),
  description: text(1000),
  error_on_requires_action: truth,
  excluded_payment_method_types: methodTypes,
  mandate_data: clearable(mandateData),
  metadata,
  off_session: offSession,
  payment_method: text(),
  payment_method_data: methodData,
  payment_method_options: methodOptions,
  radar_options: radarOptions,
  receipt_email: email,
  return_url: returnUrl,
  setup_future_usage: oneOf("off_session", "on_session"),
  shipping,
  statement_descriptor: statementDescriptor,
  statement_descriptor_suffix: statementDescriptorSuffix,
  transfer_group: text(),
  use_stripe_sdk: truth,
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
  older,
  rules: [confirming, oneMethod, oneChoice, notWithOwnList],
});

export const updateParams = paramsOf<Stripe.PaymentIntentUpdateParams>()({
  amount: whole(1),
  currency,
  customer: text(),
  description: text(1000),
  metadata,
  payment_method: clearable(text()),
  receipt_email: clearable(email),
  shipping: clearable(shipping),
  statement_descriptor: statementDescriptor,
  statement_descriptor_suffix: statementDescriptorSuffix,
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
  older,
});

export const confirmParams = paramsOf<Stripe.PaymentIntentConfirmParams>()({
  error_on_requires_action: truth,
  mandate_data: clearable(mandateData),
  off_session: offSession,
  payment_method: text(),
  payment_method_data: methodData,
  radar_options: radarOptions,
  receipt_email: clearable(email),
  return_url: returnUrl,
  shipping: clearable(shipping),
  use_stripe_sdk: truth,
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
  older,
  rules: [oneMethod],
});
