import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { addOptions, shownOptions } from "../core/currency_options.ts";
import type { ByCurrency, CurrencyOption } from "../core/records.ts";
import { invalidRequest } from "../core/errors.ts";
import { currency, metadata, oneOf, paramsOf, truth } from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { checkUnits } from "../core/money.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { checkTaxBehavior } from "./prices.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
import { type ShippingRateInput, shippingRateShape } from "../checkout/session_params.ts";

/** Creates a shipping rate, from its own call or inside a session. */
export function createShippingRate(
  context: Context,
  input: ShippingRateInput,
  path = "",
): Stripe.ShippingRate {
  if (input.fixed_amount === undefined) {
    throw invalidRequest("Missing required param: fixed_amount.", "fixed_amount", "parameter_missing");
  }
  const name = path === "" ? "fixed_amount" : `${path}[fixed_amount]`;
  checkUnits(input.fixed_amount.amount, input.fixed_amount.currency, `${name}[amount]`);
  const { currency_options: options, ...fixed } = input.fixed_amount;
  const rate: Stripe.ShippingRate = {
    id: newId("shipping_rate"),
    object: "shipping_rate",
    active: true,
    created: context.now,
    delivery_estimate: input.delivery_estimate === undefined ? null : {
      maximum: input.delivery_estimate.maximum ?? null,
      minimum: input.delivery_estimate.minimum ?? null,
    },
    display_name: input.display_name,
    fixed_amount: fixed,
    livemode: false,
    metadata: changedMetadata({}, input.metadata),
    tax_behavior: input.tax_behavior ?? "unspecified",
    tax_code: input.tax_code ?? null,
    type: "fixed_amount",
  };
  context.store.put("shipping_rate", rate);
  keepOptions(context, rate, options, name);
  return rate;
}

function keepOptions(
  context: Context,
  rate: Stripe.ShippingRate,
  input: ByCurrency<{ amount: number; tax_behavior?: CurrencyOption["taxBehavior"] }> | undefined,
  path: string,
): void {
  if (input === undefined) return;
  const options = Object.entries(input).map(([code, { amount, tax_behavior: taxBehavior }]) => {
    const param = `${path}[currency_options][${code}]`;
    if (code === rate.fixed_amount?.currency) {
      throw invalidRequest(`The currency of the rate itself (${code}) is given by the rate.`, param);
    }
    checkUnits(amount, code, `${param}[amount]`);
    return [code, { amount, taxBehavior: taxBehavior ?? "unspecified" }] as const;
  });
  addOptions(context, rate.id, Object.fromEntries(options));
}

/** `fixed_amount.currency_options`, which appear only when asked for. */
export function shippingRateOptions(
  context: Context,
  id: string,
): Record<string, Stripe.ShippingRate.FixedAmount.CurrencyOptions> {
  const rate = need(context, "shipping_rate", id);
  const own = {
    currency: rate.fixed_amount?.currency ?? "usd",
    amount: rate.fixed_amount?.amount ?? 0,
    taxBehavior: rate.tax_behavior ?? "unspecified",
  };
  return shownOptions(context, id, own, ({ amount, taxBehavior }) => ({ amount, tax_behavior: taxBehavior }));
}

/** `/v1/shipping_rates` */
export const shippingRateRoutes: Route[] = [
  route(
    "POST",
    "/v1/shipping_rates",
    paramsOf<Stripe.ShippingRateCreateParams>()(shippingRateShape),
    (context, params) => createShippingRate(context, params),
  ),
  route(
    "GET",
    "/v1/shipping_rates/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "shipping_rate", id),
  ),
  route(
    "POST",
    "/v1/shipping_rates/:id",
    paramsOf<Stripe.ShippingRateUpdateParams>()({
      active: truth,
      metadata,
      tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
    }, { unsupported: ["fixed_amount"] }),
    (context, params, id) => {
      const rate = need(context, "shipping_rate", id);
      checkTaxBehavior(rate.tax_behavior, params.tax_behavior);
      const changed: Stripe.ShippingRate = {
        ...rate,
        active: params.active ?? rate.active,
        metadata: changedMetadata(rate.metadata, params.metadata),
        tax_behavior: params.tax_behavior ?? rate.tax_behavior,
      };
      context.store.put("shipping_rate", changed);
      return changed;
    },
  ),
  listRoute(
    "/v1/shipping_rates",
    "shipping_rate",
    paramsOf<Stripe.ShippingRateListParams>()({ ...datedListParams, active: truth, currency }),
    { currency: "fixed_amount.currency" },
  ),
];
