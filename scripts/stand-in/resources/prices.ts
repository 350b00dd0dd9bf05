import type Stripe from "stripe";
import { type Context, idOf, need } from "../core/context.ts";
import { addOptions, byCurrency, shownOptions } from "../core/currency_options.ts";
import type { ByCurrency } from "../core/records.ts";
import { invalidRequest, unsupported } from "../core/errors.ts";
import {
  clearable,
  currency,
  type Field,
  list,
  map,
  metadata,
  oneOf,
  paramsOf,
  required,
  type Rule,
  text,
  truth,
  whole,
} from "../core/fields.ts";
import { newId } from "../core/ids.ts";
import { decimalText, ownId, productDescriptor, taxCode } from "../core/kinds.ts";
import { checkUnits } from "../core/money.ts";
import { datedListParams, listRoute, type Route, route } from "../core/router.ts";
import { onlyOneOf, someOf } from "../core/rules.ts";
import { changedMetadata } from "../checkout/session_internals.ts";
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
    if (!Number.isInteger(amount)) throw unsupported("parts of the smallest unit of a currency");
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

/** Where a price is not reckoned in its own currency. */
const currencyOption = map({
  tax_behavior: oneOf("exclusive", "inclusive", "unspecified"),
  unit_amount: whole(0),
  unit_amount_decimal: decimalText,
}, {
  unsupported: ["custom_unit_amount", "tiers"],
  rules: [onlyOneOf("unit_amount", "unit_amount_decimal")],
});

type CurrencyOptionsInput = ByCurrency<ReturnType<typeof currencyOption.read>>;

function keepOptions(
  context: Context,
  price: Stripe.Price,
  input: CurrencyOptionsInput | null | undefined,
): void {
  if (input === null) context.store.setInternals("currency_options", price.id, {});
  const options = Object.entries(input ?? {}).map(([code, option]) => {
    const path = `currency_options[${code}]`;
    if (code === price.currency) {
      throw invalidRequest(`The currency of the price itself (${code}) is given by the price.`, path);
    }
    const amount = unitAmount({ ...option, currency: code }, path);
    return [code, { amount, taxBehavior: option.tax_behavior ?? "unspecified" }] as const;
  });
  if (options.length > 0) addOptions(context, price.id, Object.fromEntries(options));
}

/** `currency_options`, which appear only when asked for. */
export function priceOptions(context: Context, id: string): Record<string, Stripe.Price.CurrencyOptions> {
  const price = need(context, "price", id);
  const own = {
    currency: price.currency,
    amount: price.unit_amount ?? 0,
    taxBehavior: price.tax_behavior ?? "unspecified",
  };
  return shownOptions(context, id, own, ({ amount, taxBehavior }) => ({
    custom_unit_amount: null,
    tax_behavior: taxBehavior,
    unit_amount: amount,
    unit_amount_decimal: wireDecimal(amount),
  }));
}

const taxBehavior = oneOf("exclusive", "inclusive", "unspecified");

/** Refuses to go back on how tax is counted, which is said once. */
export function checkTaxBehavior(before: string | null, wanted: string | undefined): void {
  if (wanted === undefined || wanted === before || before === null || before === "unspecified") return;
  throw invalidRequest(
    `The tax behavior cannot be changed from \`${before}\`: once set, it stays.`,
    "tax_behavior",
  );
}

const billingScheme: Field<"per_unit"> = {
  read(node, context) {
    if (oneOf("per_unit", "tiered").read(node, context) === "per_unit") return "per_unit";
    throw unsupported("tiered prices");
  },
};

const LONGEST: Readonly<Record<string, number>> = { day: 1095, week: 156, month: 36, year: 3 };

const atMostThreeYears: Rule = ({ interval, interval_count: count }, at) => {
  if (typeof count !== "number" || count <= (LONGEST[String(interval)] ?? 0)) return;
  throw invalidRequest("Prices can be billed every three years at most.", at("interval_count"));
};

const createParams = paramsOf<Stripe.PriceCreateParams>()({
  currency: required(currency),
  active: truth,
  billing_scheme: billingScheme,
  currency_options: byCurrency(currencyOption),
  lookup_key: text(200),
  metadata,
  nickname: text(),
  product: text(),
  product_data: map({
    name: required(text(250)),
    active: truth,
    id: ownId,
    metadata,
    statement_descriptor: productDescriptor,
    tax_code: taxCode,
    unit_label: text(12),
  }, { unsupported: ["tax_details"] }),
  recurring: map({
    interval: required(oneOf("day", "month", "week", "year")),
    interval_count: whole(1),
  }, { unsupported: ["meter", "trial_period_days", "usage_type"], rules: [atMostThreeYears] }),
  tax_behavior: taxBehavior,
  transfer_lookup_key: truth,
  unit_amount: whole(0),
  unit_amount_decimal: decimalText,
}, {
  unsupported: ["custom_unit_amount", "tiers", "tiers_mode", "transform_quantity"],
  rules: [
    onlyOneOf("product", "product_data"),
    someOf("You must specify either `product` or `product_data`.", "product", "product_data"),
    onlyOneOf("unit_amount", "unit_amount_decimal"),
  ],
});

const updateParams = paramsOf<Stripe.PriceUpdateParams>()({
  active: truth,
  currency_options: clearable(byCurrency(currencyOption)),
  lookup_key: text(200),
  metadata,
  nickname: clearable(text()),
  tax_behavior: taxBehavior,
  transfer_lookup_key: truth,
});

/** Refuses a lookup key that another price has, or takes it from there when that was asked for. */
function claimLookupKey(
  context: Context,
  { lookup_key: key, transfer_lookup_key: transfer }: { lookup_key?: string; transfer_lookup_key?: boolean },
  own: string | null,
): void {
  if (key === undefined) return;
  for (const other of context.store.all("price", ["lookup_key", key])) {
    if (other.id === own) continue;
    if (transfer !== true) {
      throw invalidRequest(
        `A price (\`${other.id}\`) already uses that lookup key.`,
        "lookup_key",
        "resource_already_exists",
      );
    }
    const without: Stripe.Price = { ...other, lookup_key: null };
    context.store.put("price", without);
    context.emit("price.updated", without, other);
  }
}

/** `/v1/prices` */
export const priceRoutes: Route[] = [
  route("POST", "/v1/prices", createParams, (context, params) => {
    claimLookupKey(context, params, null);
    const product = params.product === undefined
      ? createProduct(context, { ...params.product_data, name: params.product_data?.name ?? "" }, {
        path: "product_data",
      })
      : need(context, "product", params.product, "product");
    const price = createPrice(context, {
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
    keepOptions(context, price, params.currency_options);
    return price;
  }),
  route(
    "GET",
    "/v1/prices/:id",
    paramsOf<unknown>()({}),
    (context, _params, id) => need(context, "price", id),
  ),
  route("POST", "/v1/prices/:id", updateParams, (context, params, id) => {
    const price = need(context, "price", id);
    claimLookupKey(context, params, id);
    checkTaxBehavior(price.tax_behavior, params.tax_behavior);
    if (params.active === false && price.active) checkNoDefault(context, price);
    keepOptions(context, price, params.currency_options);
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
      lookup_keys: list(text(200), 10),
      product: text(),
      type: oneOf("one_time", "recurring"),
    }, { unsupported: ["recurring"] }),
    { lookup_keys: "lookup_key" },
  ),
];

/** Refuses to put away a price that its product is sold at. */
function checkNoDefault(context: Context, price: Stripe.Price): void {
  const product = context.store.get("product", idOf(price.product) ?? "");
  if (product === undefined || idOf(product.default_price) !== price.id) return;
  throw invalidRequest(
    "This price cannot be archived because it is the default price of its product.",
    "active",
  );
}
