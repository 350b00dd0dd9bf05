import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import {
  clearable,
  currency,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  type Rule,
  type ShapeValue,
  text,
  truth,
  url,
  whole,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { SHIPPING_COUNTRIES } from "../core/places.ts";
import { listParams, listRoute, pageOf, type Route, route } from "../core/router.ts";
import { onlyWhere } from "../core/rules.ts";
import { readLines, readShippingOptions } from "../checkout/cart_input.ts";
import { changedMetadata, type SessionLine, unitAmountOf } from "../checkout/session_internals.ts";
import { adjustableQuantity } from "../checkout/session_params.ts";

const noParams = paramsOf<unknown>()({});

const ofType = (type: string, name: string): Rule =>
  onlyWhere(
    (value) => value.type === type,
    () => `\`${name}\` can only be set when \`type\` is \`${type}\`.`,
    name,
  );

const ledSomewhere: Rule = ({ type, redirect }, at) => {
  if (type !== "redirect" || redirect !== undefined) return;
  throw invalidRequest(`Missing required param: ${at("redirect")}.`, at("redirect"), "parameter_missing");
};

const afterCompletion = map({
  type: required(oneOf("hosted_confirmation", "redirect")),
  hosted_confirmation: map({ custom_message: text(500) }),
  redirect: map({ url: required(url) }),
}, {
  rules: [ofType("redirect", "redirect"), ofType("hosted_confirmation", "hosted_confirmation"), ledSomewhere],
});

/** What can be said of a link when it is made and later. */
const common = {
  after_completion: afterCompletion,
  allow_promotion_codes: truth,
  automatic_tax: map({ enabled: required(truth) }, { unsupported: ["liability"] }),
  billing_address_collection: oneOf("auto", "required"),
  customer_creation: oneOf("always", "if_required"),
  metadata,
  phone_number_collection: map({ enabled: required(truth) }),
  submit_type: oneOf("auto", "book", "donate", "pay", "subscribe"),
};
const restrictions = map({ completed_sessions: required(map({ limit: required(whole(1)) })) });
const countries = map({ allowed_countries: required(list(oneOf(...SHIPPING_COUNTRIES), 250)) });

const createParams = paramsOf<Stripe.PaymentLinkCreateParams>()({
  ...common,
  currency,
  inactive_message: text(500),
  line_items: required(list(
    map({
      adjustable_quantity: adjustableQuantity,
      price: required(text()),
      quantity: required(whole(1, 999_999)),
    }, {
      unsupported: ["price_data"],
    }),
    20,
  )),
  restrictions,
  shipping_address_collection: countries,
  shipping_options: list(map({ shipping_rate: required(text()) }), 10),
}, {
  unsupported: [
    "application_fee_amount",
    "application_fee_percent",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "invoice_creation",
    "managed_payments",
    "name_collection",
    "on_behalf_of",
    "optional_items",
    "payment_intent_data",
    "payment_method_collection",
    "payment_method_options",
    "payment_method_types",
    "subscription_data",
    "tax_id_collection",
    "transfer_data",
  ],
});

const updateParams = paramsOf<Stripe.PaymentLinkUpdateParams>()({
  ...common,
  active: truth,
  inactive_message: clearable(text(500)),
  restrictions: clearable(restrictions),
  shipping_address_collection: clearable(countries),
}, {
  unsupported: [
    "application_fee_amount",
    "application_fee_percent",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "invoice_creation",
    "line_items",
    "name_collection",
    "on_behalf_of",
    "optional_items",
    "payment_intent_data",
    "payment_method_collection",
    "payment_method_options",
    "payment_method_types",
    "shipping_options",
    "subscription_data",
    "tax_id_collection",
    "transfer_data",
  ],
});

type LinkCreate = ShapeValue<typeof createParams.shape>;

/** How paying by a link ends; a page of Stripe's where nothing was said. */
function ending(input: LinkCreate["after_completion"]): Stripe.PaymentLink.AfterCompletion {
  if (input?.redirect !== undefined) return { redirect: input.redirect, type: "redirect" };
  const message = input?.hosted_confirmation?.custom_message ?? null;
  return { hosted_confirmation: { custom_message: message }, type: "hosted_confirmation" };
}

function createLink(context: Context, params: LinkCreate): Stripe.PaymentLink {
  const recurs = params.line_items.some(({ price }) =>
    (context.store.get("price", price)?.recurring ?? null) !== null
  );
  if (recurs) throw unsupported("payment links for recurring prices");
  const { lines, currency: code } = readLines(context, params);
  const id = newId("payment_link");
  const link: Stripe.PaymentLink = {
    id,
    object: "payment_link",
    active: true,
    after_completion: ending(params.after_completion),
    allow_promotion_codes: params.allow_promotion_codes ?? false,
    application: null,
    application_fee_amount: null,
    application_fee_percent: null,
    automatic_tax: {
      enabled: params.automatic_tax?.enabled ?? false,
      liability: params.automatic_tax?.enabled === true ? { type: "self" } : null,
    },
    billing_address_collection: params.billing_address_collection ?? "auto",
    consent_collection: null,
    currency: code,
    custom_fields: [],
    custom_text: {
      after_submit: null,
      shipping_address: null,
      submit: null,
      terms_of_service_acceptance: null,
    },
    customer_creation: params.customer_creation ?? "if_required",
    inactive_message: params.inactive_message ?? null,
    invoice_creation: null,
    livemode: false,
    managed_payments: null,
    metadata: changedMetadata({}, params.metadata),
    on_behalf_of: null,
    optional_items: null,
    payment_intent_data: null,
    payment_method_collection: "always",
    payment_method_options: null,
    payment_method_types: null,
    phone_number_collection: { enabled: params.phone_number_collection?.enabled ?? false },
    restrictions: params.restrictions === undefined
      ? null
      : { completed_sessions: { count: 0, limit: params.restrictions.completed_sessions.limit } },
    shipping_address_collection: params.shipping_address_collection === undefined
      ? null
      : { allowed_countries: params.shipping_address_collection.allowed_countries },
    shipping_options: readShippingOptions(context, params.shipping_options, code),
    submit_type: params.submit_type ?? "auto",
    subscription_data: null,
    tax_id_collection: { enabled: false, required: "never" },
    transfer_data: null,
    url: `${context.baseUrl}/b/${id}`,
  };
  context.store.put("payment_link", link);
  context.store.setInternals("payment_link", id, { lines });
  context.emit("payment_link.created", link);
  return link;
}

/** The lines of a link, as the property that appears when expanded. */
export function linkLineItems(context: Context, id: string): Stripe.LineItem[] {
  const { currency: code } = need(context, "payment_link", id);
  const lines: SessionLine[] = context.store.internals("payment_link", id)?.lines ?? [];
  return lines.map((line) => ({
    id: line.id,
    object: "item",
    adjustable_quantity: line.adjustable === undefined ? null : { enabled: true, ...line.adjustable },
    amount_discount: 0,
    amount_subtotal: unitAmountOf(line) * line.quantity,
    amount_tax: 0,
    amount_total: unitAmountOf(line) * line.quantity,
    currency: code,
    description: line.name,
    metadata: line.metadata,
    price: line.price,
    quantity: line.quantity,
  }));
}

/** `/v1/payment_links` */
export const paymentLinkRoutes: Route[] = [
  route("POST", "/v1/payment_links", createParams, createLink),
  route(
    "GET",
    "/v1/payment_links/:id",
    noParams,
    (context, _params, id) => need(context, "payment_link", id),
  ),
  route("POST", "/v1/payment_links/:id", updateParams, (context, params, id) => {
    const link = need(context, "payment_link", id);
    const count = link.restrictions?.completed_sessions.count ?? 0;
    const changed: Stripe.PaymentLink = {
      ...link,
      active: params.active ?? link.active,
      after_completion: params.after_completion === undefined
        ? link.after_completion
        : ending(params.after_completion),
      allow_promotion_codes: params.allow_promotion_codes ?? link.allow_promotion_codes,
      automatic_tax: params.automatic_tax === undefined ? link.automatic_tax : {
        enabled: params.automatic_tax.enabled,
        liability: params.automatic_tax.enabled ? { type: "self" } : null,
      },
      billing_address_collection: params.billing_address_collection ?? link.billing_address_collection,
      customer_creation: params.customer_creation ?? link.customer_creation,
      inactive_message: params.inactive_message === undefined
        ? link.inactive_message
        : params.inactive_message,
      metadata: changedMetadata(link.metadata, params.metadata),
      phone_number_collection: params.phone_number_collection ?? link.phone_number_collection,
      restrictions: params.restrictions === undefined
        ? link.restrictions
        : params.restrictions === null
        ? null
        : { completed_sessions: { count, limit: params.restrictions.completed_sessions.limit } },
      shipping_address_collection: params.shipping_address_collection === undefined
        ? link.shipping_address_collection
        : params.shipping_address_collection,
      submit_type: params.submit_type ?? link.submit_type,
    };
    context.store.put("payment_link", changed);
    context.emit("payment_link.updated", changed, link);
    return changed;
  }),
  route(
    "GET",
    "/v1/payment_links/:id/line_items",
    paramsOf<Stripe.PaymentLinkListLineItemsParams>()(listParams),
    (context, params, id) =>
      pageOf(`/v1/payment_links/${id}/line_items`, linkLineItems(context, id), params, "line item"),
  ),
  listRoute(
    "/v1/payment_links",
    "payment_link",
    paramsOf<Stripe.PaymentLinkListParams>()({ ...listParams, active: truth }),
  ),
];
