import { currencyOf, formatMoney } from "./currencies.ts";
import { invalidRequest } from "./errors.ts";

/** The least that can be charged, in minor units; currencies not named here have no limit in the stand-in. */
const SMALLEST: Record<string, number> = {
  aed: 200,
  aud: 50,
  bgn: 100,
  brl: 50,
  cad: 50,
  chf: 50,
  czk: 1500,
  dkk: 250,
  eur: 50,
  gbp: 30,
  hkd: 400,
  huf: 17_500,
  inr: 50,
  jpy: 50,
  mxn: 1000,
  myr: 200,
  nok: 300,
  nzd: 50,
  pln: 200,
  ron: 200,
  sek: 300,
  sgd: 50,
  thb: 1000,
  usd: 50,
};

/** Refuses an amount that is larger than Stripe takes, or that has decimals where the currency has none. */
export function checkUnits(amount: number, currency: string, param?: string): void {
  const { max, step } = currencyOf(currency);
  if (amount > max) {
    throw invalidRequest(
      `Amount must be no more than ${formatMoney(max, currency)} ${currency}`,
      param,
      "amount_too_large",
    );
  }
  if (amount % step === 0) return;
  const code = currency.toUpperCase();
  throw invalidRequest(
    step === 100
      ? `Invalid amount. Currency ${code} has become effectively zero-decimal and charged amounts must be evenly ` +
        "divisible by 100. See https://stripe.com/docs/currencies#zero-decimal for more information."
      : `Invalid amount. The last digit of an amount in ${code} must be 0. ` +
        "See https://stripe.com/docs/currencies#three-decimal for more information.",
    param,
  );
}

/** Refuses an amount that cannot be charged: see {@link checkUnits}, or it is too small. */
export function checkAmount(amount: number, currency: string, param?: string): void {
  const smallest = SMALLEST[currency] ?? 1;
  if (amount < smallest) {
    throw invalidRequest(
      `Amount must be at least ${formatMoney(smallest, currency)} ${currency}`,
      param,
      "amount_too_small",
    );
  }
  checkUnits(amount, currency, param);
}
