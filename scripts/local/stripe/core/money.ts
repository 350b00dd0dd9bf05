import {
  formatAmount,
  largestAmount,
  minorUnitStep,
} from "../../../../supabase/functions/_shared/minor_units.ts";
import { invalidRequest } from "./errors.ts";

/** An amount in minor units as people read it: `12900, "usd"` is "$129.00". */
export function formatMoney(amount: number, currency: string, locale = "en-US"): string {
  return formatAmount(amount, currency, locale);
}

/** Rounds a share of an amount to what can be charged in the currency. */
export function roundAmount(amount: number, currency: string): number {
  const step = minorUnitStep(currency);
  return Math.round(amount / step) * step;
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

/** Refuses an amount that is too small or too large to charge, or not a multiple of what the currency has. */
export function checkAmount(amount: number, currency: string, param?: string): void {
  const smallest = SMALLEST[currency] ?? 1;
  if (amount < smallest) {
    throw invalidRequest(
      `Amount must be at least ${formatMoney(smallest, currency)} ${currency}`,
      param,
      "amount_too_small",
    );
  }
  const largest = largestAmount(currency);
  if (amount > largest) {
    throw invalidRequest(
      `Amount must be no more than ${formatMoney(largest, currency)} ${currency}`,
      param,
      "amount_too_large",
    );
  }
  checkStep(amount, currency, param);
}

/** Refuses an amount with decimals that the currency does not have: 12990.50 in ISK, 12.995 in KWD. */
export function checkStep(amount: number, currency: string, param?: string): void {
  const step = minorUnitStep(currency);
  if (amount % step !== 0) {
    throw invalidRequest(`Invalid amount: ${currency} amounts must be divisible by ${step}.`, param);
  }
}
