/**
 * E-mail addresses from outside: identity providers, storefronts. They are brought into one form here, once, and
 * nothing behind the border sees another one.
 */
import * as z from "zod/mini";

/** RFC 5321's limit, and less than Stripe's. */
const lengthMax = 254;

/**
 * What Stripe takes for an address, and not more than that: ASCII, one `@`, a domain with a dot. Stricter than Stripe
 * where that costs nothing: whoever has a rarer address can type it on Stripe's page.
 */
export const emailAddress = z.email().check(z.maxLength(lengthMax));

/** An address in its one form: no space around it, composed characters, lower case. It need not be valid. */
export function normalizeEmail(text: string): string {
  return text.normalize("NFC").trim().toLowerCase();
}

/**
 * The address in an account's token, or null. Supabase writes "" for anonymous and phone accounts, and an account
 * whose address Stripe would refuse must be able to buy all the same: the shopper then types one on Stripe's page.
 */
export function emailOfAccount(claim: unknown): string | null {
  if (typeof claim !== "string") return null;
  const parsed = emailAddress.safeParse(normalizeEmail(claim));
  return parsed.success ? parsed.data : null;
}
