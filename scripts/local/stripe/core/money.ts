import { invalidRequest } from "./errors.ts";

const formats = new Map<string, Intl.NumberFormat>();

/** An amount in minor units as people read it: `12900, "usd"` is "$129.00". */
export function formatMoney(amount: number, currency: string, locale = "en-US"): string {
  const key = `${locale}/${currency}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(locale, { style: "currency", currency });
    formats.set(key, format);
  }
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amount / 10 ** digits);
}

/** The least that can be charged, in minor units; currencies not named here have no limit in the stand-in. */
const SMALLEST: Record<string, number> = {
  aud: 50,
  cad: 50,
  chf: 50,
  dkk: 250,
  eur: 50,
  gbp: 30,
  jpy: 50,
  nok: 300,
  nzd: 50,
  pln: 200,
  sek: 300,
  usd: 50,
};

/** Eight digits, whatever the currency. */
const LARGEST = 99_999_999;

/** Refuses an amount that is too small or too large to charge. */
export function checkAmount(amount: number, currency: string, param?: string): void {
  const smallest = SMALLEST[currency] ?? 1;
  if (amount < smallest) {
    throw invalidRequest(
      `Amount must be at least ${formatMoney(smallest, currency)} ${currency}`,
      param,
      "amount_too_small",
    );
  }
  if (amount > LARGEST) {
    throw invalidRequest(
      `Amount must be no more than ${formatMoney(LARGEST, currency)} ${currency}`,
      param,
      "amount_too_large",
    );
  }
}
