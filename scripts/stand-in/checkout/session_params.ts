import type Stripe from "stripe";
import { byCurrency } from "../core/currency_options.ts";
import { address, shipping } from "../core/address_fields.ts";
import { AUGUST_2022, DAHLIA, ENDIVE, isBefore } from "../core/api_version.ts";
import {
  clearable,
  clearableList,
  currency,
  email,
  type Field,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  type Rule,
  type ShapeValue,
  text,
  timestamp,
  truth,
  until,
  url,
  whole,
} from "../core/fields.ts";
import { decimalText, statementDescriptor, statementDescriptorSuffix, taxCode } from "../core/kinds.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import { SHIPPING_COUNTRIES } from "../core/places.ts";
import { datedListParams, listParams } from "../core/router.ts";
import { needs, onlyOneOf, someOf } from "../core/rules.ts";
import { FOREIGN_METHODS, METHOD_TYPES, PLAIN_METHODS } from "../payments/foreign_methods.ts";

const productData = map({
  name: required(text(250)),
  description: text(40_000),
  images: list(url, 8),
  metadata,
  tax_code: taxCode,
  unit_label: text(12),
}, { unsupported: ["tax_details"] });

const priceData = map({
  currency: required(currency),
  product: text(),
  product_data: productData,
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  unit_amount: whole(0),
  unit_amount_decimal: decimalText,
}, {
  unsupported: ["recurring"],
  rules: [
    onlyOneOf("product", "product_data"),
    someOf(
      "You must specify either `product` or `product_data` when creating a price.",
      "product",
      "product_data",
    ),
    onlyOneOf("unit_amount", "unit_amount_decimal"),
  ],
});

export const adjustableQuantity = map({
  enabled: required(truth),
  maximum: whole(1, 999_999),
  minimum: whole(0, 999_998),
});

/** Lines had no prices once. */
const withoutPrice: Field<never> = {
  read(_node, context) {
    throw unsupported(
      `line items without a price (the parameter \`${context.path}\` of ${context.operation})`,
    );
  },
};

const lineItem = map({
  adjustable_quantity: adjustableQuantity,
  metadata,
  price: text(),
  price_data: priceData,
  quantity: whole(1, 999_999),
}, {
  unsupported: ["tax_rates"],
  older: Object.fromEntries(
    ["amount", "currency", "description", "images", "name"].map((
      name,
    ) => [name, until(AUGUST_2022, withoutPrice)]),
  ),
  rules: [
    onlyOneOf("price", "price_data"),
    someOf("You must specify either `price` or `price_data` for each line item.", "price", "price_data"),
  ],
});

const estimate = map({
  unit: required(oneOf("business_day", "day", "hour", "month", "week")),
  value: required(whole(1, 1000)),
});

const HOURS: Readonly<Record<string, number>> = {
  hour: 1,
  day: 24,
  business_day: 24,
  week: 7 * 24,
  month: 30 * 24,
};

function hours(bound: unknown): number {
  const { unit, value } = bound as { unit: string; value: number };
  return (HOURS[unit] ?? 1) * value;
}

/** Refuses an estimate whose end comes before its beginning. */
const inOrder: Rule = ({ minimum, maximum }, at) => {
  if (minimum === undefined || maximum === undefined || hours(minimum) <= hours(maximum)) return;
  throw invalidRequest("The minimum of a delivery estimate cannot be above its maximum.", at("minimum"));
};

export const shippingRateShape = {
  display_name: required(text(100)),
  delivery_estimate: map({ maximum: estimate, minimum: estimate }, { rules: [inOrder] }),
  fixed_amount: map({
    amount: required(whole(0)),
    currency: required(currency),
    currency_options: byCurrency(map({
      amount: required(whole(0)),
      tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
    })),
  }),
  metadata,
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  tax_code: taxCode,
  type: oneOf("fixed_amount"),
};

/** One way to ship, known or made now. */
const shippingOption = map({ shipping_rate: text(), shipping_rate_data: map(shippingRateShape) }, {
  rules: [
    onlyOneOf("shipping_rate", "shipping_rate_data"),
    someOf(
      "You must specify either `shipping_rate` or `shipping_rate_data`.",
      "shipping_rate",
      "shipping_rate_data",
    ),
  ],
});

const customMessage = map({ message: required(text(1200)) });

const FONTS =
  "be_vietnam_pro,bitter,chakra_petch,default,hahmlet,inconsolata,inter,lato,lora,m_plus_1_code,montserrat,noto_sans,noto_sans_jp,noto_serif,nunito,open_sans,pridi,pt_sans,pt_serif,raleway,roboto,roboto_slab,source_sans_pro,titillium_web,ubuntu_mono,zen_maru_gothic"
    .split(",");

const picture = map({ type: required(oneOf("file", "url")), file: text(), url });

/** How the page looks; nothing here looks different for it. */
const branding = map({
  background_color: clearable(text()),
  border_style: clearable(oneOf("pill", "rectangular", "rounded")),
  button_color: clearable(text()),
  display_name: text(),
  font_family: clearable(oneOf(...FONTS)),
  icon: picture,
  logo: picture,
});

/** What belongs to another mode: a session that names it in `payment` mode is refused. */
const ofOtherMode: Field<true> = {
  read(node, context) {
    if (typeof node !== "string") return true;
    throw invalidRequest("Invalid object", context.path);
  },
};

const cardFeature = oneOf("if_available", "never");

const LOCALES =
  "auto,bg,cs,da,de,el,en,en-GB,es,es-419,et,fi,fil,fr,fr-CA,hi-IN,hr,hu,id,it,ja,ko,lt,lv,ms,mt,nb,nl,pl,pt,pt-BR,ro,ru,sk,sl,sv,th,tr,vi,zh,zh-HK,zh-TW"
    .split(",");

const methodTypes: Field<string[]> = list(oneOf(...METHOD_TYPES), 100);

const UI_MODES = ["elements", "embedded_page", "form", "hosted_page"] as const;
const OLD_UI_MODES = { custom: "elements", embedded: "embedded_page", hosted: "hosted_page" } as const;

/** How the page is shown; Dahlia gave the modes new names. */
const uiMode: Field<(typeof UI_MODES)[number]> = {
  read(node, context) {
    if (!isBefore(context.version, DAHLIA)) return oneOf(...UI_MODES).read(node, context);
    return OLD_UI_MODES[oneOf("custom", "embedded", "hosted").read(node, context)];
  },
};

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
  branding_settings: branding,
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
  discounts: list(
    map({ coupon: text(), promotion_code: text() }, {
      unsupported: ["coupon_data"],
      rules: [
        onlyOneOf("coupon", "promotion_code"),
        someOf("You must specify either `coupon` or `promotion_code`.", "coupon", "promotion_code"),
      ],
    }),
    1,
  ),
  excluded_payment_method_types: methodTypes,
  expires_at: timestamp,
  integration_identifier: text(200),
  line_items: list(lineItem, 100),
  locale: oneOf(...LOCALES),
  managed_payments: map({ enabled: truth }),
  metadata,
  mode: oneOf("payment", "setup", "subscription"),
  origin_context: oneOf("mobile_app", "web"),
  payment_intent_data: map({
    capture_method: oneOf("automatic", "automatic_async", "manual"),
    description: text(1000),
    metadata,
    receipt_email: email,
    setup_future_usage: oneOf("off_session", "on_session"),
    shipping,
    statement_descriptor: statementDescriptor,
    statement_descriptor_suffix: statementDescriptorSuffix,
    transfer_group: text(),
  }, { unsupported: ["application_fee_amount", "on_behalf_of", "transfer_data"] }),
  payment_method_options: map({
    card: map({
      request_extended_authorization: cardFeature,
      request_incremental_authorization: cardFeature,
      request_multicapture: cardFeature,
      request_overcapture: cardFeature,
      request_three_d_secure: oneOf("any", "automatic", "challenge"),
      statement_descriptor_suffix_kana: text(22),
      statement_descriptor_suffix_kanji: text(17),
    }, {
      unsupported: ["capture_method", "installments", "restrictions", "setup_future_usage"],
    }),
  }, { unsupported: [...FOREIGN_METHODS, ...PLAIN_METHODS] }),
  payment_method_collection: oneOf("always", "if_required"),
  payment_method_data: map({ allow_redisplay: oneOf("always", "limited", "unspecified") }),
  phone_number_collection: map({ enabled: required(truth) }),
  redirect_on_completion: oneOf("always", "if_required", "never"),
  return_url: url,
  saved_payment_method_options: map({
    allow_redisplay_filters: list(oneOf("always", "limited", "unspecified"), 3),
    payment_method_remove: oneOf("disabled", "enabled"),
    payment_method_save: oneOf("disabled", "enabled"),
  }),
  shipping_address_collection: map({ allowed_countries: required(list(oneOf(...SHIPPING_COUNTRIES), 250)) }),
  shipping_options: list(shippingOption, 5),
  subscription_data: ofOtherMode,
  setup_intent_data: ofOtherMode,
  submit_type: oneOf("auto", "book", "donate", "pay", "subscribe"),
  success_url: url,
  tax_id_collection: map({ enabled: required(truth), required: oneOf("if_supported", "never") }),
  ui_mode: uiMode,
  wallet_options: map({ link: map({ display: oneOf("auto", "never") }) }),
}, {
  unsupported: [
    "custom_fields",
    "customer_account",
    "invoice_creation",
    "name_collection",
    "optional_items",
    "payment_method_configuration",
    "permissions",
  ],
  older: { payment_method_types: until(ENDIVE, methodTypes) },
  rules: [
    onlyOneOf("customer", "customer_email"),
    onlyOneOf("payment_method_types", "allowed_payment_method_types"),
    needs("customer_update", "customer"),
  ],
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
  shipping_options: clearableList(shippingOption, 5),
}, { unsupported: ["automatic_tax", "discounts", "invoice_creation", "line_items", "payment_intent_data"] });

/** `GET /v1/checkout/sessions` */
export const sessionListParams = paramsOf<Stripe.Checkout.SessionListParams>()({
  ...datedListParams,
  customer: text(),
  customer_details: map({ email: required(email) }),
  payment_intent: text(),
  payment_link: text(),
  status: oneOf("complete", "expired", "open"),
}, { unsupported: ["customer_account", "subscription"] });

export const lineItemListParams = paramsOf<Stripe.Checkout.SessionListLineItemsParams>()(listParams);
