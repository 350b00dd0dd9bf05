/**
 * Ways to pay that are neither card nor bank debit: those that lead the shopper to their bank or wallet, and Link, which
 * pays where it is typed. Their money is there at once.
 */
import type Stripe from "stripe";
import { newId } from "../core/ids.ts";

/** Each leads away from the page and back. */
const REDIRECT_METHODS = ["bancontact", "ideal", "klarna", "paypal"] as const;
export const OTHER_METHODS = [...REDIRECT_METHODS, "link"] as const;

export type RedirectMethod = typeof REDIRECT_METHODS[number];
export type OtherMethod = typeof OTHER_METHODS[number];

/** How a refund goes: by itself after a while, when it is told to, or once the customer has named an account. */
export const OTHER_REFUNDS = ["held", "requires_action", "soon"] as const;
export type OtherRefund = typeof OTHER_REFUNDS[number];

/** What the pages call them. */
export const OTHER_NAMES: Record<OtherMethod, string> = {
  bancontact: "Bancontact",
  ideal: "iDEAL",
  klarna: "Klarna",
  link: "Link",
  paypal: "PayPal",
};

export function isOther(type: string): type is OtherMethod {
  return OTHER_METHODS.some((method) => method === type);
}

export function isRedirect(type: string): type is RedirectMethod {
  return REDIRECT_METHODS.some((method) => method === type);
}

/** Whether a payment of this type can be captured later. */
export function canWait(type: string): boolean {
  return !["bancontact", "ideal", "sepa_debit", "us_bank_account"].includes(type);
}

/** The part of a payment method that is named after its type. */
export function otherView(
  type: OtherMethod,
  email: string | null,
): Partial<Pick<Stripe.PaymentMethod, OtherMethod>> {
  switch (type) {
    case "bancontact":
      return { bancontact: {} };
    case "ideal":
      return { ideal: { bank: "ing", bic: "INGBNL2A" } };
    case "klarna":
      return { klarna: { dob: null } };
    case "link":
      return { link: { email } };
    case "paypal":
      return { paypal: { country: "US", payer_email: email, payer_id: "PAYERID123" } };
  }
}

/** What a charge says of how it was paid. */
export function otherDetails(type: OtherMethod, billing: Stripe.PaymentMethod.BillingDetails) {
  const debit = { generated_sepa_debit: null, generated_sepa_debit_mandate: null };
  const holder = { iban_last4: "0000", verified_name: billing.name };
  switch (type) {
    case "bancontact":
      return {
        type,
        bancontact: {
          ...debit,
          ...holder,
          bank_code: "VAPE",
          bank_name: "Van de Put & Co",
          bic: "VAPEBE22",
          preferred_language: "en",
        },
      } satisfies Stripe.Charge.PaymentMethodDetails;
    case "ideal":
      return {
        type,
        ideal: {
          ...debit,
          ...holder,
          bank: "ing",
          bic: "INGBNL2A",
          transaction_id: newId("token").slice(0, 16),
        },
      } satisfies Stripe.Charge.PaymentMethodDetails;
    case "klarna":
      return {
        type,
        klarna: { payer_details: null, payment_method_category: "pay_later", preferred_locale: "en-US" },
      } satisfies Stripe.Charge.PaymentMethodDetails;
    case "link":
      return { type, link: { country: "US" } } satisfies Stripe.Charge.PaymentMethodDetails;
    case "paypal":
      return {
        type,
        paypal: {
          country: "US",
          payer_email: billing.email,
          payer_id: "PAYERID123",
          payer_name: billing.name,
          seller_protection: { dispute_categories: null, status: "not_eligible" },
          transaction_id: newId("token").slice(0, 17),
        },
      } satisfies Stripe.Charge.PaymentMethodDetails;
  }
}

const PAYPAL_AND_KLARNA = [
  "aud",
  "chf",
  "cad",
  "czk",
  "dkk",
  "eur",
  "gbp",
  "nok",
  "nzd",
  "pln",
  "sek",
  "usd",
];

/** What an account with every method turned on offers for a currency, in the order of the page. */
export function methodsFor(currency: string): string[] {
  return [
    "card",
    ...(currency === "eur" ? ["bancontact", "ideal"] : []),
    ...(PAYPAL_AND_KLARNA.includes(currency) ? ["klarna"] : []),
    "link",
    ...(PAYPAL_AND_KLARNA.includes(currency) ? ["paypal"] : []),
    ...(currency === "eur" ? ["sepa_debit"] : []),
    ...(currency === "usd" ? ["us_bank_account"] : []),
  ];
}
