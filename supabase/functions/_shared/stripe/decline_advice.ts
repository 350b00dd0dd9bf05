/**
 * What a customer is told about a declined payment. Never why a bank suspects somebody: lost, stolen, restricted and
 * fraudulent cards are all just declined, as is every code that is not known.
 * https://docs.stripe.com/declines/codes
 */

/** The codes of one attempt, as Stripe gives them. */
export interface Decline {
  failure_code: string | null;
  decline_code: string | null;
  advice_code: string | null;
}

/** What the customer can do. */
export type DeclineAdvice =
  | "check_details"
  | "confirm_with_bank"
  | "try_again"
  | "other_card"
  | "ask_bank"
  | "declined";

const advice: Record<Exclude<DeclineAdvice, "declined">, readonly string[]> = {
  check_details: [
    ..."incorrect_number invalid_number incorrect_cvc invalid_cvc invalid_expiry_month".split(" "),
    ..."invalid_expiry_year incorrect_zip incorrect_address".split(" "),
  ],
  confirm_with_bank: ["authentication_required", "payment_intent_authentication_failure"],
  try_again: ["processing_error", "issuer_not_available", "try_again_later", "reenter_transaction"],
  other_card: [
    ..."insufficient_funds card_velocity_exceeded withdrawal_count_limit_exceeded expired_card".split(" "),
    ..."card_not_supported currency_not_supported".split(" "),
  ],
  ask_bank: ["do_not_honor", "generic_decline", "call_issuer"],
};

/** The advice for a declined attempt. The bank's word that trying again is no use wins over everything else. */
export function declineAdvice({ failure_code, decline_code, advice_code }: Decline): DeclineAdvice {
  const code = decline_code ?? failure_code;
  if (advice_code === "do_not_try_again" || code === null) return "declined";
  const found = Object.entries(advice).find(([, codes]) => codes.includes(code));
  return found === undefined ? "declined" : found[0] as DeclineAdvice;
}
