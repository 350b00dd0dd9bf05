/**
 * What amounts mean at Stripe, in the one place of the code: functions, console, stand-in and, served as it is, the
 * demo store in the browser. So it imports nothing. `private.amount_problem()` is its twin in SQL, held against it by
 * a test. https://docs.stripe.com/currencies
 */

/** How Stripe counts a currency. */
export interface CurrencyRules {
  /** Decimal places of the minor unit: an amount of 12900 with 2 is 129.00. */
  digits: number;
  /** Amounts are multiples of this. */
  step: number;
  /** The largest amount of one charge. */
  max: number;
}

/** Currencies that Stripe takes payments in. */
export const currencies: readonly string[] = [
  ..."aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd".split(
    " ",
  ),
  ..."cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq".split(
    " ",
  ),
  ..."gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd".split(
    " ",
  ),
  ..."lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk".split(
    " ",
  ),
  ..."php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top".split(
    " ",
  ),
  ..."try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw".split(" "),
];

const known = new Set(currencies);
const withoutDecimals = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "));
/** Written with three decimals, of which the last must be 0. */
const withThreeDecimals = new Set(["bhd", "jod", "kwd", "omr", "tnd"]);
/** Have lost their decimals, and are still written with two, which must be 00. */
const withEmptyDecimals = new Set(["isk", "ugx"]);

/** Eight digits; rupiah twelve. */
const largest = 99_999_999;
const largestRupiah = 999_999_999_999;

/** The rules of a currency; null for one that Stripe does not take. */
export function currencyRules(currency: string): CurrencyRules | null {
  const code = currency.toLowerCase();
  if (!known.has(code)) return null;
  return {
    digits: withoutDecimals.has(code) ? 0 : withThreeDecimals.has(code) ? 3 : 2,
    step: withThreeDecimals.has(code) ? 10 : withEmptyDecimals.has(code) ? 100 : 1,
    max: code === "idr" ? largestRupiah : largest,
  };
}

/** Why Stripe would refuse an amount in minor units, or null. That there is a least charge, too, only Stripe knows. */
export function amountProblem(amount: number, currency: string): string | null {
  const rules = currencyRules(currency);
  if (rules === null) return "must be in a currency that Stripe takes";
  if (!Number.isInteger(amount) || amount < 0 || amount > rules.max) {
    return `must be from 0 to ${rules.max} (minor units of ${currency})`;
  }
  if (amount % rules.step === 0) return null;
  return `must end in ${String(rules.step).slice(1)} (minor units of ${currency})`;
}

const formats = new Map<string, Intl.NumberFormat>();
/** Locales are the shopper's words: they must not fill the memory. */
const formatsMax = 200;

/**
 * An amount in minor units as people write it: `12900, "usd"` is $129.00. Decimals that are always 00 are left out.
 * `locale` is a language tag; null for English.
 */
export function formatMoney(amount: number, currency: string, locale: string | null = null): string {
  const { digits, step } = currencyRules(currency) ?? { digits: 2, step: 1 };
  const key = `${locale} ${currency}`;
  let format = formats.get(key);
  if (format === undefined) {
    if (formats.size >= formatsMax) formats.clear();
    const shown = step === 100 ? 0 : digits;
    format = numberFormat(currency, locale ?? "en", shown);
    formats.set(key, format);
  }
  return format.format(amount / 10 ** digits);
}

function numberFormat(currency: string, locale: string, digits: number): Intl.NumberFormat {
  const style = {
    style: "currency",
    currency: currency.toUpperCase(),
    minimumFractionDigits: digits,
    // A step of 100 can be broken by an amount that was made otherwise: then it is shown as it is.
    maximumFractionDigits: Math.max(digits, 2),
  } as const;
  try {
    return new Intl.NumberFormat(locale, style);
  } catch {
    return new Intl.NumberFormat("en", style);
  }
}

/** An amount in minor units of its currency. */
export interface Money {
  amount: number;
  currency: string;
}

/** The amounts of an order, in minor units. */
export interface OrderAmounts {
  amount_discount: number;
  amount_shipping: number;
  amount_tax: number;
  amount_total: number;
  items: readonly { quantity: number; unit_amount: number }[];
}

/** A line of a bill; `included` lines stand below the total and are no part of the sum. */
export interface BillLine {
  kind: "discount" | "shipping" | "tax" | "other" | "tax_included";
  /** What the line is called in English. */
  label: string;
  amount: number;
  included: boolean;
}

/**
 * What stands between the items and the total, so that the lines add up to it. Whether tax was added or is part of
 * the prices is read off the amounts themselves: no setting can tell of an order that was made under another one.
 */
export function billLines(order: OrderAmounts): BillLine[] {
  const goods = order.items.reduce((sum, { quantity, unit_amount }) => sum + quantity * unit_amount, 0);
  const rest = order.amount_total - goods + order.amount_discount - order.amount_shipping;
  const added = Math.min(Math.max(rest, 0), order.amount_tax);
  const lines: BillLine[] = [
    { kind: "discount", label: "Discount", amount: -order.amount_discount, included: false },
    { kind: "shipping", label: "Shipping", amount: order.amount_shipping, included: false },
    { kind: "tax", label: "Tax", amount: added, included: false },
    { kind: "other", label: "Other", amount: rest - added, included: false },
    { kind: "tax_included", label: "Includes tax", amount: order.amount_tax - added, included: true },
  ];
  return lines.filter(({ amount }) => amount !== 0);
}
