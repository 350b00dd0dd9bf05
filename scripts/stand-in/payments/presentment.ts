import type Stripe from "stripe";
import { currencyOf } from "../core/currencies.ts";
import { invalidRequest } from "../core/errors.ts";

/** What the shopper is charged in a currency of their own; the same on session, payment, charge and refund. */
export type Presentment = Stripe.Checkout.Session.PresentmentDetails;

/** Units of each currency for a US dollar. Stripe's rates move and hold for a day; these stand still. */
const PER_DOLLAR: Record<string, number> = {
  aud: 1.56,
  cad: 1.41,
  chf: 0.92,
  eur: 0.95,
  gbp: 0.82,
  jpy: 158,
  sek: 10.9,
  usd: 1,
};

/** The currencies that the page of a session lets its shopper choose, the session's own first. */
export function offeredCurrencies(session: Stripe.Checkout.Session, capture: string): string[] {
  const own = session.currency ?? "usd";
  // Adaptive Pricing is for sessions whose money is taken at once.
  const offers = session.adaptive_pricing?.enabled === true && capture !== "manual" && own in PER_DOLLAR;
  return offers ? [own, ...Object.keys(PER_DOLLAR).filter((code) => code !== own)] : [own];
}

/** An amount in another currency, to the smallest step that it has. */
function converted(amount: number, from: string, to: string): number {
  const [source, target] = [currencyOf(from), currencyOf(to)];
  const rate = (PER_DOLLAR[to] ?? 1) / (PER_DOLLAR[from] ?? 1);
  return Math.round(amount / 10 ** source.digits * rate * 10 ** target.digits / target.step) * target.step;
}

/**
 * What the shopper is charged who has chosen `currency`; undefined: the session's own amounts.
 * @throws an invalid request for a currency that the page does not offer.
 */
export function presentmentOf(
  session: Stripe.Checkout.Session,
  capture: string,
  currency: string | undefined,
): Presentment | undefined {
  const own = session.currency ?? "usd";
  if (currency === undefined || currency === own) return undefined;
  if (!offeredCurrencies(session, capture).includes(currency)) {
    throw invalidRequest(`This Checkout Session cannot be paid in \`${currency}\`.`, "currency");
  }
  return {
    presentment_amount: converted(session.amount_total ?? 0, own, currency),
    presentment_currency: currency,
  };
}

/** The part of what was presented for a part of the amount, counted from the first: all parts are the whole. */
export function partOf(
  presented: Presentment | undefined,
  { before, part, whole }: { before: number; part: number; whole: number },
): Presentment | undefined {
  if (presented === undefined) return undefined;
  const { step } = currencyOf(presented.presentment_currency);
  const upTo = (amount: number) => Math.round(presented.presentment_amount * amount / whole / step) * step;
  return { ...presented, presentment_amount: upTo(before + part) - upTo(before) };
}
