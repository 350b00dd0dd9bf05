/** What `/_control/pay` takes: who pays, and with what. */
import { address } from "../core/address_fields.ts";
import { currency, email, oneOf, paramsOf, required, type ShapeValue, text } from "../core/fields.ts";
import { taxIdInput } from "../page/shopper_input.ts";
import { OTHER_METHODS, OTHER_REFUNDS } from "../payments/other_methods.ts";
import type { MethodInput } from "../payments/payment_methods.ts";

export const payParams = paramsOf<
  Record<
    | "account_number"
    | "address"
    | "business_name"
    | "card"
    | "currency"
    | "email"
    | "iban"
    | "name"
    | "payment_method"
    | "redirect"
    | "refund"
    | "session"
    | "tax_id"
    | "three_d_secure",
    unknown
  >
>()({
  session: required(text()),
  card: text(23),
  currency,
  iban: text(42),
  account_number: text(20),
  email,
  name: text(),
  business_name: text(150),
  tax_id: taxIdInput,
  address,
  three_d_secure: oneOf("fail", "pass"),
  payment_method: oneOf("card", "apple_pay", "google_pay", "sepa_debit", "us_bank_account", ...OTHER_METHODS),
  refund: oneOf(...OTHER_REFUNDS),
  redirect: oneOf("authorize", "cancel", "leave"),
});

/** How the shopper pays: what is typed says it, or the name of the method. */
export function methodInput(params: ShapeValue<typeof payParams.shape>): MethodInput {
  const { payment_method: named = "card", card, iban, account_number } = params;
  if (iban !== undefined || named === "sepa_debit") {
    return { type: "sepa_debit", sepa_debit: { iban: iban ?? "DE08370400440532013003" } };
  }
  if (account_number !== undefined || named === "us_bank_account") {
    return { type: "us_bank_account", us_bank_account: { account_number: account_number ?? "000123456789" } };
  }
  const typed = { card: { number: card ?? "4242424242424242", cvc: cvcFor(card) } };
  if (named === "card") return { type: "card", ...typed };
  return named === "apple_pay" || named === "google_pay"
    ? { type: "card", wallet: named, ...typed }
    : { type: named, ...(params.refund === undefined ? {} : { refund: params.refund }) };
}

/** American Express prints four digits. */
function cvcFor(card: string | undefined): string {
  return card?.startsWith("3") === true ? "1234" : "123";
}
