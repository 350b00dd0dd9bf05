import { secretKeyOf } from "../setup/project.ts";
import { type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

/** An active row of `public.shipping_rates`. */
export interface ActiveRate {
  name: string;
  currency: string;
  countries: string[] | null;
}

const timeoutMs = 10_000;

/** Whether delivery costs what the shop thinks it does. */
export async function checkShipping({ env }: Subject): Promise<Finding[]> {
  const url = `${env.supabaseUrl}/rest/v1/shipping_rates?select=name,currency,countries&active=eq.true`;
  try {
    const response = await fetch(url, {
      headers: { apikey: secretKeyOf(env) },
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return judgeShipping(await response.json(), env.shippingCountries);
  } catch {
    return [unseen("the shipping rates could not be read", "fix the API first")];
  }
}

/**
 * Rates that a checkout without a country is never offered. A page offers those that hold for all countries; where none
 * does, the first decides.
 */
export function judgeShipping(rates: ActiveRate[], countries: string[]): Finding[] {
  const currencies = [...new Set(rates.map(({ currency }) => currency))];
  const findings = currencies.flatMap((currency): Finding[] => {
    const own = rates.filter((rate) => rate.currency === currency);
    const hidden = own.filter((rate) =>
      !countries.every((country) => rate.countries?.includes(country) ?? true)
    );
    if (hidden.length === 0) return [];
    const names = hidden.map(({ name }) => name).join(", ");
    return [
      warning(
        "shipping_rate_hidden",
        hidden.length < own.length
          ? `shipping rates that only checkouts with a country are offered: ${names}`
          : `a checkout in ${currency} without a country does not deliver to all of SHIPPING_COUNTRIES: no rate ` +
            `covers them all (${names})`,
        "let the storefront send the country, or widen the rates: Stripe's page ties no rate to an address",
      ),
    ];
  });
  return findings.length > 0 ? findings : [ok("every active shipping rate is offered")];
}
