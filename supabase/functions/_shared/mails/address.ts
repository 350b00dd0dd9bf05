/** Postal addresses in the order of their country, from Google's libaddressinput data. */
import { formatAddress } from "localized-address-format";
import type { Address } from "../stripe_events/facts.ts";
import { withoutLinks } from "../text/outside_text.ts";

/**
 * Name and address, one part per line, with the country's name in the mail's language last; empty when there is none.
 * What was typed is made harmless part by part.
 */
export function addressLines(name: string | null, address: Address | null, language: string): string[] {
  if (address === null) return [];
  const part = (text: string | null) => withoutLinks(text ?? "");
  const country = part(address.country);
  const lines = formatAddress({
    postalCountry: country,
    name: part(name),
    addressLines: [part(address.line1), part(address.line2)].filter((line) => line !== ""),
    locality: part(address.city),
    administrativeArea: part(address.state),
    postalCode: part(address.postal_code),
  });
  return [...lines, countryName(country, language)].filter((line) => line !== "");
}

function countryName(code: string, language: string): string {
  if (!/^[A-Z]{2}$/.test(code)) return code;
  return new Intl.DisplayNames(language, { type: "region" }).of(code) ?? code;
}
