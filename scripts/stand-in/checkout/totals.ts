import type Stripe from "stripe";
import { type Context, idOf } from "../core/context.ts";
import { newId } from "../core/ids.ts";
import { currencyOf } from "../core/currencies.ts";
import type { SessionInternals, SessionLine } from "./session_internals.ts";

/** The one tax rate of the stand-in, in percent: real rates depend on place and goods. */
export const TEST_TAX_PERCENT = 8;

/** Stripe's code for what no tax is on; every other has the one rate. */
const UNTAXED = "txcd_00000000";

type TaxedLine = SessionLine & { untaxed: boolean };

/** What a discount takes off a total. */
export interface DiscountRule {
  amountOff: number | null;
  percentOff: number | null;
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
  lines: readonly TaxedLine[],
  discount: DiscountRule | null,
  shippingRate: Stripe.ShippingRate | null,
  taxed: boolean,
): Totals {
  const { step } = currencyOf(lines[0]?.price.currency ?? "");
  const subtotals = lines.map((line) => (line.price.unit_amount ?? 0) * line.quantity);
  const subtotal = subtotals.reduce((sum, amount) => sum + amount, 0);
  const off = discount === null
    ? 0
    : Math.min(subtotal, discount.amountOff ?? round(subtotal * (discount.percentOff ?? 0) / 100, step));
  const discounts = spread(off, subtotals, step);
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

/** The discount a session carries. */
function discountOf(context: Context, session: Stripe.Checkout.Session): DiscountRule | null {
  const applied = session.discounts?.[0];
  const id = typeof applied?.coupon === "string" ? applied.coupon : applied?.coupon?.id;
  const coupon = id === undefined ? undefined : context.store.get("coupon", id);
  return coupon === undefined ? null : { amountOff: coupon.amount_off, percentOff: coupon.percent_off };
}

/** The totals of a session as it stands. */
export function totalsOf(
  context: Context,
  session: Stripe.Checkout.Session,
  internals: SessionInternals,
): Totals {
  const rate = internals.shippingRate === null
    ? null
    : context.store.get("shipping_rate", internals.shippingRate) ?? null;
  const taxed = session.automatic_tax.enabled && internals.taxAddress !== null;
  const lines = internals.lines.map((line) => ({
    ...line,
    untaxed: context.store.get("product", idOf(line.price.product) ?? "")?.tax_code === UNTAXED,
  }));
  return addUp(lines, discountOf(context, session), rate, taxed);
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
    adjustable_quantity: null,
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
