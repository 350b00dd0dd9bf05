/** Where a payment page delivers, and at which prices. */
import type { Checkout, ShippingRate } from "../database/checkout.ts";

/** Every rate holds for every one of the countries. */
export interface Delivery {
  countries: string[];
  rates: ShippingRate[];
}

/**
 * Stripe's page ties no rate to the address that is typed there, so what it offers has to hold wherever it delivers:
 * to the country that the shopper has named, else to all of the shop's (`allowed`). Where no rate holds for all of
 * them, the first that holds for any decides. Null: none does, though there are some. Without any, delivery is free.
 */
export function deliveryOf(
  { country, shipping_rates: rates }: Pick<Checkout, "country" | "shipping_rates">,
  allowed: readonly string[],
): Delivery | null {
  const wanted = allowed.filter((one) => country === null || one === country);
  const holding = (countries: string[]) => ({
    countries,
    rates: rates.filter((rate) => countries.every((one) => holdsFor(rate, one))),
  });
  const widest = holding(wanted);
  if (wanted.length > 0 && (rates.length === 0 || widest.rates.length > 0)) return widest;
  const first = rates.map((rate) => wanted.filter((one) => holdsFor(rate, one)))
    .find((countries) => countries.length > 0);
  return first === undefined ? null : holding(first);
}

function holdsFor({ countries }: ShippingRate, country: string): boolean {
  return countries === null || countries.includes(country);
}
