/**
 * Stripe's minor units, which differ from ISO 4217 and from what `Intl` shows
 * (https://docs.stripe.com/currencies#minor-units). `private.amount_problem()` is the same rule in SQL; a test holds the
 * two against each other. Imports nothing and uses nothing outside its functions but {@linkcode minorUnits}: the demo
 * store's browser gets this very code.
 */

/** Decimal places of the minor unit where they are not two, and what amounts must be a multiple of. */
export const minorUnits = {
  digits: {
    ...Object.fromEntries(
      "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" ").map((code) => [code, 0]),
    ),
    ...Object.fromEntries("bhd jod kwd omr tnd".split(" ").map((code) => [code, 3])),
  } as Record<string, number>,
  /** Two decimals that must be 00, and a third one that must be 0. */
  steps: { isk: 100, ugx: 100, bhd: 10, jod: 10, kwd: 10, omr: 10, tnd: 10 } as Record<string, number>,
};

/** Decimal places of a currency's minor unit at Stripe: `usd` 2, `jpy` 0, `kwd` 3. */
export function minorUnitDigits(currency: string): number {
  return minorUnits.digits[currency.toLowerCase()] ?? 2;
}

/** Stripe takes amounts that are a multiple of this many minor units. */
export function minorUnitStep(currency: string): number {
  return minorUnits.steps[currency.toLowerCase()] ?? 1;
}

/** The largest amount that Stripe charges, in minor units: eight digits, twelve for rupiah. */
export function largestAmount(currency: string): number {
  return currency.toLowerCase() === "idr" ? 999_999_999_999 : 99_999_999;
}

/**
 * An amount in minor units as people read it: `12900, "usd"` is "$129.00". Currencies that are written without
 * decimals show them only when they are not zero. A locale that `Intl` does not know counts as English; none is the
 * machine's own.
 */
export function formatAmount(amount: number, currency: string, locale?: string): string {
  const digits = minorUnitDigits(currency);
  const style = { style: "currency", currency: currency.toUpperCase() } as const;
  const usual = new Intl.NumberFormat("en", style).resolvedOptions().maximumFractionDigits ?? 2;
  const shown = usual < digits && amount % 10 ** (digits - usual) === 0 ? usual : digits;
  const options = { ...style, minimumFractionDigits: shown, maximumFractionDigits: shown };
  try {
    return new Intl.NumberFormat(locale, options).format(amount / 10 ** digits);
  } catch {
    return new Intl.NumberFormat("en", options).format(amount / 10 ** digits);
  }
}
