import type Stripe from "stripe";
import { address, shipping } from "../core/address_fields.ts";
import {
  clearable,
  currency,
  decimalText,
  email,
  type Field,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  type ShapeValue,
  statementDescriptor,
  taxCode,
  text,
  timestamp,
  truth,
  url,
  whole,
} from "../core/fields.ts";
import { SHIPPING_COUNTRIES } from "../core/places.ts";
import { datedListParams, listParams } from "../core/router.ts";
import { FOREIGN_METHODS, METHOD_TYPES, PLAIN_METHODS } from "../payments/foreign_methods.ts";

export const productData = map({
  name: required(text(250)),
  description: text(40_000),
  images: list(url, 8),
  metadata,
  tax_code: taxCode,
  unit_label: text(12),
});

const priceData = map({
  currency: required(currency),
  product: text(),
  product_data: productData,
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  unit_amount: whole(0),
  unit_amount_decimal: decimalText,
}, { unsupported: ["recurring"] });

const lineItem = map({
  metadata,
  price: text(),
  price_data: priceData,
  quantity: whole(1, 999_999),
}, { unsupported: ["adjustable_quantity", "dynamic_tax_rates", "tax_rates"] });

const estimate = map({
  unit: required(oneOf("business_day", "day", "hour", "month", "week")),
  value: required(whole(1, 1000)),
});

export const shippingRateShape = {
  display_name: required(text(100)),
  delivery_estimate: map({ maximum: estimate, minimum: estimate }),
  fixed_amount: map({
    amount: required(whole(0)),
    currency: required(currency),
  }, { unsupported: ["currency_options"] }),
  metadata,
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  tax_code: taxCode,
  type: oneOf("fixed_amount"),
};

const customMessage = map({ message: required(text(1200)) });

/** Accepted and without any effect here, but not with every `ui_mode`. */
const given: Field<true> = { read: () => true };

const LOCALES =
  "auto,bg,cs,da,de,el,en,en-GB,es,es-419,et,fi,fil,fr,fr-CA,hi-IN,hr,hu,id,it,ja,ko,lt,lv,ms,mt,nb,nl,pl,pt,pt-BR,ro,ru,sk,sl,sv,th,tr,vi,zh,zh-HK,zh-TW"
    .split(",");

const methodTypes: Field<string[]> = list(oneOf(...METHOD_TYPES), 50);

/** `POST /v1/checkout/sessions`, for one-off payments of goods. */
export const sessionCreateParams = paramsOf<Stripe.Checkout.SessionCreateParams>()({
  adaptive_pricing: map({ enabled: truth }),
  after_expiration: map({
    recovery: map({ enabled: required(truth), allow_promotion_codes: truth }),
  }),
  allow_promotion_codes: truth,
  allowed_payment_method_types: methodTypes,
  automatic_tax: map({ enabled: required(truth) }, { unsupported: ["liability"] }),
  billing_address_collection: oneOf("auto", "required"),
  branding_settings: given,
  cancel_url: url,
  client_reference_id: text(200),
  consent_collection: map({
    promotions: oneOf("auto", "none"),
    terms_of_service: oneOf("none", "required"),
  }, { unsupported: ["payment_method_reuse_agreement"] }),
  currency,
  custom_text: map({
    after_submit: clearable(customMessage),
    shipping_address: clearable(customMessage),
    submit: clearable(customMessage),
    terms_of_service_acceptance: clearable(customMessage),
  }),
  customer: text(),
  customer_creation: oneOf("always", "if_required"),
  customer_email: email,
  customer_update: map({
    address: oneOf("auto", "never"),
    name: oneOf("auto", "never"),
    shipping: oneOf("auto", "never"),
  }),
  discounts: list(map({ coupon: text(), promotion_code: text() }, { unsupported: ["coupon_data"] }), 1),
  excluded_payment_method_types: methodTypes,
  expires_at: timestamp,
  line_items: list(lineItem, 100),
  locale: oneOf(...LOCALES),
  metadata,
  mode: oneOf("payment", "setup", "subscription"),
  origin_context: given,
  payment_intent_data: map({
    capture_method: oneOf("automatic", "automatic_async", "manual"),
    description: text(1000),
    metadata,
    receipt_email: email,
    setup_future_usage: oneOf("off_session", "on_session"),
    shipping,
    statement_descriptor: statementDescriptor,
    statement_descriptor_suffix: statementDescriptor,
    transfer_group: text(),
  }, { unsupported: ["application_fee_amount", "on_behalf_of", "transfer_data"] }),
  payment_method_options: map({
    card: map({
      request_three_d_secure: oneOf("any", "automatic", "challenge"),
      statement_descriptor_suffix_kana: text(22),
      statement_descriptor_suffix_kanji: text(17),
    }, {
      unsupported: ["capture_method", "installments", "restrictions", "setup_future_usage"],
      inert: [
        "request_extended_authorization",
        "request_incremental_authorization",
        "request_multicapture",
        "request_overcapture",
      ],
    }),
  }, { unsupported: [...FOREIGN_METHODS, ...PLAIN_METHODS] }),
  phone_number_collection: map({ enabled: required(truth) }),
  redirect_on_completion: oneOf("always", "if_required", "never"),
  return_url: url,
  saved_payment_method_options: map({
    allow_redisplay_filters: list(oneOf("always", "limited", "unspecified"), 3),
    payment_method_remove: oneOf("disabled", "enabled"),
    payment_method_save: oneOf("disabled", "enabled"),
  }),
  shipping_address_collection: map({ allowed_countries: required(list(oneOf(...SHIPPING_COUNTRIES), 250)) }),
  shipping_options: list(map({ shipping_rate: text(), shipping_rate_data: map(shippingRateShape) }), 5),
  submit_type: oneOf("auto", "book", "donate", "pay", "subscribe"),
  success_url: url,
  tax_id_collection: map({ enabled: required(truth), required: oneOf("if_supported", "never") }),
  ui_mode: oneOf("elements", "embedded_page", "form", "hosted_page"),
}, {
  unsupported: [
    "custom_fields",
    "customer_account",
    "invoice_creation",
    "name_collection",
    "optional_items",
    "payment_method_configuration",
    "permissions",
    "setup_intent_data",
    "subscription_data",
  ],
  inert: [
    "integration_identifier",
    "managed_payments",
    "payment_method_collection",
    "payment_method_data",
    "wallet_options",
  ],
  older: { payment_method_types: methodTypes },
});

export type SessionCreate = ShapeValue<typeof sessionCreateParams.shape> & {
  payment_method_types?: string[];
};
export type LineItemInput = NonNullable<SessionCreate["line_items"]>[number];
export type ShippingRateInput = ShapeValue<typeof shippingRateShape>;

/** `POST /v1/checkout/sessions/:id` */
export const sessionUpdateParams = paramsOf<Stripe.Checkout.SessionUpdateParams>()({
  metadata,
  collected_information: map({
    shipping_details: map({ address: required(address), name: required(text(255)) }),
  }),
  shipping_options: list(map({ shipping_rate: text(), shipping_rate_data: map(shippingRateShape) }), 5),
}, { unsupported: ["automatic_tax", "discounts", "invoice_creation", "line_items", "payment_intent_data"] });

/** `GET /v1/checkout/sessions` */
export const sessionListParams = paramsOf<Stripe.Checkout.SessionListParams>()({
  ...datedListParams,
  customer: text(),
  customer_details: map({ email: required(email) }),
  payment_intent: text(),
  status: oneOf("complete", "expired", "open"),
}, { unsupported: ["customer_account", "payment_link", "subscription"] });

export const lineItemListParams = paramsOf<Stripe.Checkout.SessionListLineItemsParams>()(listParams);
