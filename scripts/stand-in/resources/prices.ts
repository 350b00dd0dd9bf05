import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { invalidRequest } from "../core/errors.ts";
import {
  clearable,
  currency,
  decimalText,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  text,
  truth,
  whole,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { checkUnits } from "../core/money.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { productData } from "../checkout/session_params.ts";
import { createProduct } from "./products.ts";

export interface PriceInput {
  active: boolean;
  currency: string;
  product: string;
  taxBehavior: Stripe.Price.TaxBehavior;
  unitAmount: number;
  metadata: Record<string, string>;
  lookupKey: string | null;
  nickname: string | null;
  recurring: Stripe.Price.Recurring | null;
}

/** The amount of a price, whichever way it was given. */
export function unitAmount(
  input: { currency: string; unit_amount?: number; unit_amount_decimal?: string },
  path = "",
): number {
  const name = path === "" ? "unit_amount" : `${path}[unit_amount]`;
  if (input.unit_amount !== undefined) {
    checkUnits(input.unit_amount, input.currency, name);
    return input.unit_amount;
  }
  if (input.unit_amount_decimal !== undefined) {
    const amount = Number(input.unit_amount_decimal);
    if (!Number.isInteger(amount) || amount < 0) {
      throw invalidRequest("The stand-in takes whole minor units only.", `${name}_decimal`);
    }
    checkUnits(amount, input.currency, `${name}_decimal`);
    return amount;
  }
  throw invalidRequest(
    `Missing required param: ${name}.`,
    name,
    "parameter_missing",
  );
}

/** A decimal as the wire carries it. stripe-node's type is the class its client makes of that text. */
function wireDecimal(amount: number): Stripe.Decimal {
  return String(amount) as unknown as Stripe.Decimal;
}

/** Creates a price; those that a session makes on the fly raise no event. */
export function createPrice(context: Context, input: PriceInput, announced = true): Stripe.Price {
  const price: Stripe.Price = {
    id: newId("price"),
    object: "price",
    active: input.active,
    billing_scheme: "per_unit",
    created: context.now,
    currency: input.currency,
    custom_unit_amount: null,
    livemode: false,
    lookup_key: input.lookupKey,
    metadata: input.metadata,
    nickname: input.nickname,
    product: input.product,
    recurring: input.recurring,
    tax_behavior: input.taxBehavior,
    tiers_mode: null,
    transform_quantity: null,
    type: input.recurring === null ? "one_time" : "recurring",
    unit_amount: input.unitAmount,
    unit_amount_decimal: wireDecimal(input.unitAmount),
  };
  context.store.put("price", price);
  if (announced) context.emit("price.created", price);
  return price;
}

const taxBehavior = oneOf("exclusive", "inclusive", "unspecified");

const createParams = paramsOf<Stripe.PriceCreateParams>()({
  currency: required(currency),
  active: truth,
  lookup_key: text(200),
  metadata,
  nickname: text(),
  product: text(),
  product_data: productData,
  recurring: map({
    interval: required(oneOf("day", "month", "week", "year")),
    interval_count: whole(1, 1095),
  }, { unsupported: ["meter", "trial_period_days", "usage_type"] }),
  tax_behavior: taxBehavior,
  unit_amount: whole(0),
  unit_amount_decimal: decimalText,
}, {
  unsupported: ["currency_options", "custom_unit_amount", "tiers", "tiers_mode", "transform_quantity"],
  inert: ["billing_scheme", "transfer_lookup_key"],
});

const updateParams = paramsOf<Stripe.PriceUpdateParams>()({
  active: truth,
  lookup_key: text(200),
  metadata,
  nickname: clearable(text()),
  tax_behavior: taxBehavior,
}, { unsupported: ["currency_options"], inert: ["transfer_lookup_key"] });

/** `/v1/prices` */
export const priceRoutes: Route[] = [
  route("POST", "/v1/prices", createParams, (context, params) => {
    const product = params.product === undefined
      ? createProduct(context, {
        ...params.product_data,
        name: params.product_data?.name ?? missingProduct(),
      })
      : need(context, "product", params.product, "product");
    return createPrice(context, {
      active: params.active ?? true,
      currency: params.currency,
      product: product.id,
      taxBehavior: params.tax_behavior ?? "unspecified",
      unitAmount: unitAmount(params),
      metadata: changedMetadata({}, params.metadata),
      lookupKey: params.lookup_key ?? null,
      nickname: params.nickname ?? null,
      recurring: params.recurring === undefined ? null : {
        interval: params.recurring.interval,
        interval_count: params.recurring.interval_count ?? 1,
        meter: null,
        trial_period_days: null,
        usage_type: "licensed",
      },
    });
  }),
  route(
    "GET",
    "/v1/prices/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "price", id),
  ),
  route("POST", "/v1/prices/:id", updateParams, (context, params, id) => {
    const price = need(context, "price", id);
    const changed: Stripe.Price = {
      ...price,
      active: params.active ?? price.active,
      lookup_key: params.lookup_key ?? price.lookup_key,
      metadata: changedMetadata(price.metadata, params.metadata),
      nickname: params.nickname === undefined ? price.nickname : params.nickname,
      tax_behavior: params.tax_behavior ?? price.tax_behavior,
    };
    context.store.put("price", changed);
    context.emit("price.updated", changed, price);
    return changed;
  }),
  listRoute(
    "/v1/prices",
    "price",
    paramsOf<Stripe.PriceListParams>()({
      ...datedListParams,
      active: truth,
      currency,
      product: text(),
      type: oneOf("one_time", "recurring"),
    }, { unsupported: ["lookup_keys", "recurring"] }),
  ),
];

function missingProduct(): never {
  throw invalidRequest(
    "You must specify either `product` or `product_data`.",
    "product",
    "parameter_missing",
  );
}
