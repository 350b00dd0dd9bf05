import type Stripe from "stripe";
import { type Context, idOf } from "../core/context.ts";
import { optionOf } from "../core/currency_options.ts";
import { newId } from "../core/ids.ts";
import { currencyOf } from "../core/currencies.ts";
import { type SessionInternals, type SessionLine, unitAmountOf } from "./session_internals.ts";

/** The one tax rate of the stand-in, in percent: real rates depend on place and goods. */
export const TEST_TAX_PERCENT = 8;

/** Stripe's code for what no tax is on; every other has the one rate. */
const UNTAXED = "txcd_00000000";

type TaxedLine = SessionLine & { untaxed: boolean };

/** What a discount takes off a total. */
export interface DiscountRule {
  amountOff: number | null;
  percentOff: number | null;
  /** The products it is for; null: all. */
  products: string[] | null;
}

export interface LineTotals {
  line: SessionLine;
  subtotal: number;
  discount: number;
  tax: number;
  total: number;
}

export interface Totals {
  lines: LineTotals[];
  subtotal: number;
  discount: number;
  shipping: { rate: Stripe.ShippingRate; amount: number; tax: number } | null;
  tax: number;
  total: number;
}

/** To whole units of the currency's smallest step: no total may have decimals where the currency has none. */
function round(amount: number, step: number): number {
  return Math.round(amount / step) * step;
}

function taxOf(amount: number, inclusive: boolean, step: number): number {
  return round(
    inclusive ? amount - amount / (1 + TEST_TAX_PERCENT / 100) : amount * TEST_TAX_PERCENT / 100,
    step,
  );
}

/** Spreads a discount over lines by weight, to the cent: the shares add up to the whole. */
function spread(discount: number, weights: readonly number[], step: number): number[] {
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  let given = 0;
  let seen = 0;
  return weights.map((weight) => {
    seen += weight;
    const upToHere = whole === 0 ? 0 : round(discount * seen / whole, step);
    const share = upToHere - given;
    given = upToHere;
    return share;
  });
}

/** Adds up a session. `taxed` is whether tax can be computed already (it needs an address). */
function addUp(
  currency: string,
  lines: readonly TaxedLine[],
  discount: DiscountRule | null,
  shippingRate: Stripe.ShippingRate | null,
  taxed: boolean,
): Totals {
  const { step } = currencyOf(currency);
  const subtotals = lines.map((line) => unitAmountOf(line) * line.quantity);
  const subtotal = subtotals.reduce((sum, amount) => sum + amount, 0);
  const reduced = subtotals.map((amount, index) => isReduced(discount, lines[index]) ? amount : 0);
  const base = reduced.reduce((sum, amount) => sum + amount, 0);
  const off = discount === null
    ? 0
    : Math.min(base, discount.amountOff ?? round(base * (discount.percentOff ?? 0) / 100, step));
  const discounts = spread(off, reduced, step);
  const totals = lines.map(({ untaxed, ...line }, index): LineTotals => {
    const before = subtotals[index] ?? 0;
    const less = discounts[index] ?? 0;
    const tax = taxed && !untaxed ? taxOf(before - less, line.taxInclusive, step) : 0;
    return {
      line,
      subtotal: before,
      discount: less,
      tax,
      total: before - less + (line.taxInclusive ? 0 : tax),
    };
  });
  const shipping = shippingRate === null ? null : shippingTotals(shippingRate, taxed, step);
  return {
    lines: totals,
    subtotal,
    discount: off,
    shipping,
    tax: totals.reduce((sum, line) => sum + line.tax, 0) + (shipping?.tax ?? 0),
    total: totals.reduce((sum, line) => sum + line.total, 0) +
      (shipping === null ? 0 : shippingTotal(shipping)),
  };
}

/** A coupon may be for some products only. */
function isReduced(discount: DiscountRule | null, line: TaxedLine | undefined): boolean {
  if (discount === null || line === undefined) return false;
  return discount.products === null || discount.products.includes(idOf(line.price.product) ?? "");
}

function shippingTotals(rate: Stripe.ShippingRate, taxed: boolean, step: number) {
  const amount = rate.fixed_amount?.amount ?? 0;
  return {
    rate,
    amount,
    tax: taxed && rate.tax_code !== UNTAXED ? taxOf(amount, rate.tax_behavior === "inclusive", step) : 0,
  };
}

function shippingTotal(shipping: { rate: Stripe.ShippingRate; amount: number; tax: number }): number {
  return shipping.amount + (shipping.rate.tax_behavior === "inclusive" ? 0 : shipping.tax);
}

/** The products that a coupon is for; null: all. */
export function productsOf(context: Context, coupon: string): string[] | null {
  const { products = [] } = context.store.internals("coupon", coupon) ?? {};
  return products.length === 0 ? null : products;
}

/** The discount a session carries, also of a coupon that was deleted since. */
function discountOf(context: Context, session: Stripe.Checkout.Session): DiscountRule | null {
  const applied = session.discounts?.[0];
  const id = typeof applied?.coupon === "string" ? applied.coupon : applied?.coupon?.id;
  const coupon = id === undefined ? undefined : context.store.known("coupon", id);
  return coupon === undefined ? null : {
    amountOff: coupon.amount_off,
    percentOff: coupon.percent_off,
    products: productsOf(context, coupon.id),
  };
}

/** A shipping rate with what it costs in the session's currency. */
function rateIn(context: Context, id: string, currency: string): Stripe.ShippingRate | null {
  const rate = context.store.get("shipping_rate", id);
  const option = rate?.fixed_amount?.currency === currency ? undefined : optionOf(context, id, currency);
  if (rate === undefined || option === undefined) return rate ?? null;
  return { ...rate, fixed_amount: { amount: option.amount, currency }, tax_behavior: option.taxBehavior };
}

/** The totals of a session as it stands. */
export function totalsOf(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Totals {
  const currency = session.currency ?? "usd";
  const rate = internals.shippingRate === null ? null : rateIn(context, internals.shippingRate, currency);
  const taxed = session.automatic_tax.enabled && internals.taxAddress !== null;
  const lines = internals.lines.map((line) => ({
    ...line,
    untaxed: context.store.get("product", idOf(line.price.product) ?? "")?.tax_code === UNTAXED,
  }));
  return addUp(currency, lines, discountOf(context, session), rate, taxed);
}

/** The session with its amounts brought up to date. */
export function withTotals(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Stripe.Checkout.Session {
  const totals = totalsOf(context, session, internals);
  return {
    ...session,
    amount_subtotal: totals.subtotal,
    amount_total: totals.total,
    automatic_tax: {
      ...session.automatic_tax,
      status: !session.automatic_tax.enabled
        ? null
        : internals.taxAddress === null
        ? "requires_location_inputs"
        : "complete",
    },
    shipping_cost: totals.shipping === null ? null : {
      amount_subtotal: totals.shipping.amount,
      amount_tax: totals.shipping.tax,
      amount_total: shippingTotal(totals.shipping),
      shipping_rate: totals.shipping.rate.id,
    },
    total_details: {
      amount_discount: totals.discount,
      amount_shipping: totals.shipping?.amount ?? 0,
      amount_tax: totals.tax,
    },
  };
}

/** The line items as `line_items` and its own list show them. */
export function lineItems(totals: Totals, currency: string): Stripe.LineItem[] {
  return totals.lines.map(({ line, subtotal, discount, tax, total }) => ({
    id: line.id,
    object: "item",
    adjustable_quantity: line.adjustable === undefined ? null : { enabled: true, ...line.adjustable },
    amount_discount: discount,
    amount_subtotal: subtotal,
    amount_tax: tax,
    amount_total: total,
    currency,
    description: line.name,
    metadata: line.metadata,
    price: line.price,
    quantity: line.quantity,
  }));
}

/** `total_details.breakdown`, which appears only when asked for. */
export function breakdown(
  context: Context,
  session: Stripe.Checkout.Session,
  totals: Totals,
): Stripe.Checkout.Session.TotalDetails.Breakdown {
  const applied = session.discounts?.[0];
  const rate: Stripe.TaxRate = {
    id: "txr_1StandInFlatTestRate0000",
    object: "tax_rate",
    active: false,
    country: "US",
    created: session.created,
    description: null,
    display_name: "Sales Tax",
    effective_percentage: TEST_TAX_PERCENT,
    flat_amount: null,
    inclusive: false,
    jurisdiction: "Test",
    jurisdiction_level: "state",
    livemode: false,
    metadata: {},
    percentage: TEST_TAX_PERCENT,
    rate_type: "percentage",
    state: null,
    tax_type: "sales_tax",
  };
  return {
    discounts: applied === undefined || totals.discount === 0 ? [] : [{
      amount: totals.discount,
      discount: {
        id: newId("discount"),
        object: "discount",
        checkout_session: session.id,
        customer: null,
        customer_account: null,
        end: null,
        invoice: null,
        invoice_item: null,
        promotion_code: applied.promotion_code,
        source: { coupon: applied.coupon, type: "coupon" },
        start: context.now,
        subscription: null,
        subscription_item: null,
      },
    }],
    taxes: totals.tax === 0 ? [] : [{
      amount: totals.tax,
      rate,
      taxability_reason: "standard_rated",
      taxable_amount: totals.lines.reduce((sum, line) => sum + line.subtotal - line.discount, 0) +
        (totals.shipping?.amount ?? 0),
    }],
  };
}
