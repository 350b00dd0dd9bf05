import type Stripe from "stripe";
import { type Context, need } from "../core/context.ts";
import { optionOf } from "../core/currency_options.ts";
import { invalidRequest } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { createPrice, unitAmount } from "../resources/prices.ts";
import { createProduct } from "../resources/products.ts";
import { createShippingRate } from "../resources/shipping_rates.ts";
import { changedMetadata, type SessionLine } from "./session_internals.ts";
import type { LineItemInput, SessionCreate } from "./session_params.ts";

function checkActive(product: Stripe.Product, param: string): void {
  if (product.active) return;
  throw invalidRequest(
    `The product ${product.id} is marked as inactive, and thus cannot be purchased. This field only accepts prices of active products.`,
    param,
  );
}

function readLine(context: Context, input: LineItemInput, index: number): SessionLine {
  const path = `line_items[${index}]`;
  let price: Stripe.Price;
  let product: Stripe.Product;
  if (input.price !== undefined) {
    price = need(context, "price", input.price, `${path}[price]`);
    product = need(context, "product", typeof price.product === "string" ? price.product : price.product.id);
    if (!price.active) {
      throw invalidRequest(
        "The price specified is inactive. This field only accepts active prices.",
        `${path}[price]`,
      );
    }
    checkActive(product, `${path}[price]`);
    if (price.recurring !== null) {
      throw invalidRequest(
        "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.",
        `${path}[price]`,
      );
    }
  } else if (input.price_data !== undefined) {
    const data = input.price_data;
    if (data.product !== undefined) {
      const known = need(context, "product", data.product, `${path}[price_data][product]`);
      checkActive(known, `${path}[price_data][product]`);
    }
    product = data.product === undefined
      ? createProduct(
        context,
        { ...data.product_data, name: data.product_data?.name ?? "", active: false },
        { announced: false },
      )
      : need(context, "product", data.product, `${path}[price_data][product]`);
    price = createPrice(context, {
      active: false,
      currency: data.currency,
      product: product.id,
      taxBehavior: data.tax_behavior ?? "unspecified",
      unitAmount: unitAmount(data, `${path}[price_data]`),
      metadata: {},
      lookupKey: null,
      nickname: null,
      recurring: null,
    }, false);
  } else {
    throw invalidRequest(
      `You must specify either \`price\` or \`price_data\` for each line item.`,
      path,
      "parameter_missing",
    );
  }
  if (input.quantity === undefined) {
    throw invalidRequest(
      `Quantity is required. Add \`quantity\` to \`${path}\`.`,
      `${path}[quantity]`,
      "parameter_missing",
    );
  }
  return {
    id: newId("line_item"),
    price,
    quantity: input.quantity,
    name: product.name,
    description: product.description,
    image: product.images[0] ?? null,
    metadata: changedMetadata({}, input.metadata),
    taxInclusive: price.tax_behavior === "inclusive",
    ...readAdjustable(input.adjustable_quantity, input.quantity, `${path}[adjustable_quantity]`),
  };
}

/** The lines of a new session and their common currency. */
export function readLines(
  context: Context,
  params: SessionCreate,
): { lines: SessionLine[]; currency: string } {
  if (params.line_items === undefined || params.line_items.length === 0) {
    throw invalidRequest("`line_items` is required in `payment` mode.", "line_items", "parameter_missing");
  }
  const lines = params.line_items.map((line, index) => readLine(context, line, index));
  const currency = params.currency ?? lines[0]?.price.currency ?? "usd";
  const own = lines.map((line) => inCurrency(context, line, currency));
  const foreign = own.indexOf(null);
  if (foreign < 0) return { lines: own.filter((line) => line !== null), currency };
  const wrong = lines[foreign]?.price.currency;
  if (lines.some((line) => line.price.currency !== wrong)) {
    throw invalidRequest(
      "You specified multiple currencies: all prices in `line_items` must have the same currency.",
      "line_items",
    );
  }
  throw invalidRequest(
    `The price specified only supports \`${wrong}\`. This doesn't match the expected currency: \`${currency}\`.`,
    `line_items[${foreign}]`,
  );
}

/** Some of `quantity` and its bounds, or Stripe's refusal of them. */
function readAdjustable(
  input: LineItemInput["adjustable_quantity"],
  quantity: number,
  path: string,
): Pick<SessionLine, "adjustable"> {
  if (input === undefined || !input.enabled) return {};
  const { minimum = 0, maximum = DEFAULT_MAXIMUM } = input;
  if (minimum > maximum) {
    throw invalidRequest(
      `\`adjustable_quantity.minimum\` (${minimum}) must be less than or equal to \`adjustable_quantity.maximum\` (${maximum}).`,
      `${path}[minimum]`,
    );
  }
  if (quantity < minimum || quantity > maximum) {
    throw invalidRequest(
      `The quantity (${quantity}) must be between \`adjustable_quantity.minimum\` (${minimum}) and \`adjustable_quantity.maximum\` (${maximum}).`,
      path,
    );
  }
  return { adjustable: { minimum, maximum } };
}

/** The most that a shopper may make of a line where the shop says nothing. */
const DEFAULT_MAXIMUM = 99;

/** The lines with another quantity of one, as the shopper chose on the page. */
export function withQuantity(lines: readonly SessionLine[], id: string, quantity: number): SessionLine[] {
  const bounds = lines.find((line) => line.id === id)?.adjustable;
  if (bounds === undefined) throw invalidRequest("The quantity of this item cannot be changed.", "quantity");
  if (quantity < bounds.minimum || quantity > bounds.maximum) {
    throw invalidRequest(
      `Choose a quantity from ${Math.max(1, bounds.minimum)} to ${bounds.maximum}.`,
      "quantity",
    );
  }
  return lines.map((line) => line.id === id ? { ...line, quantity } : line);
}

/** A line in the session's currency: the price's own, or one of its others. */
function inCurrency(context: Context, line: SessionLine, currency: string): SessionLine | null {
  if (line.price.currency === currency) return line;
  const option = optionOf(context, line.price.id, currency);
  if (option === undefined) return null;
  return { ...line, unitAmount: option.amount, taxInclusive: option.taxBehavior === "inclusive" };
}

/** The shipping options, their inline rates made real. */
export function readShippingOptions(
  context: Context,
  options: SessionCreate["shipping_options"],
  currency: string,
): Stripe.Checkout.Session.ShippingOption[] {
  return (options ?? []).map((option, index) => {
    const path = `shipping_options[${index}]`;
    let rate: Stripe.ShippingRate;
    if (option.shipping_rate !== undefined) {
      rate = need(context, "shipping_rate", option.shipping_rate, `${path}[shipping_rate]`);
      if (!rate.active) {
        throw invalidRequest(`The shipping rate ${rate.id} is inactive.`, `${path}[shipping_rate]`);
      }
    } else if (option.shipping_rate_data !== undefined) {
      rate = createShippingRate(context, option.shipping_rate_data, `${path}[shipping_rate_data]`);
    } else {
      throw invalidRequest(
        "You must specify either `shipping_rate` or `shipping_rate_data`.",
        path,
        "parameter_missing",
      );
    }
    const amount = rate.fixed_amount?.currency === currency
      ? rate.fixed_amount.amount
      : optionOf(context, rate.id, currency)?.amount;
    if (amount === undefined) {
      throw invalidRequest(
        `The shipping rate's currency (${rate.fixed_amount?.currency}) must match the session's currency (${currency}).`,
        path,
      );
    }
    return { shipping_amount: amount, shipping_rate: rate.id };
  });
}
