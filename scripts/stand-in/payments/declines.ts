/** Why a card is refused, in the words Stripe uses towards the shopper. */
export interface Decline {
  code: string;
  decline_code: string;
  message: string;
  advice_code: "confirm_card_data" | "do_not_try_again" | "try_again_later" | null;
  network_decline_code: string | null;
  seller_message: string;
  /** What the shopper should look at again, as Stripe names it. */
  param?: "cvc" | "exp_month";
}

const DECLINED = "Your card was declined.";
const BANK = "The bank did not return any further details with this decline.";

function decline(
  code: string,
  decline_code: string,
  message: string,
  advice_code: Decline["advice_code"],
  network_decline_code: string | null,
  seller_message: string,
): Decline {
  return { code, decline_code, message, advice_code, network_decline_code, seller_message };
}

/** The declines that test cards can produce. */
export const DECLINES = {
  generic_decline: decline("card_declined", "generic_decline", DECLINED, "try_again_later", "05", BANK),
  insufficient_funds: decline(
    "card_declined",
    "insufficient_funds",
    "Your card has insufficient funds.",
    "try_again_later",
    "51",
    "The bank returned the decline code `insufficient_funds`.",
  ),
  lost_card: decline(
    "card_declined",
    "lost_card",
    DECLINED,
    "do_not_try_again",
    "41",
    "The bank returned the decline code `lost_card`.",
  ),
  stolen_card: decline(
    "card_declined",
    "stolen_card",
    DECLINED,
    "do_not_try_again",
    "43",
    "The bank returned the decline code `stolen_card`.",
  ),
  expired_card: {
    ...decline(
      "expired_card",
      "expired_card",
      "Your card has expired.",
      "confirm_card_data",
      "54",
      "The bank returned the decline code `expired_card`.",
    ),
    param: "exp_month",
  },
  incorrect_cvc: {
    ...decline(
      "incorrect_cvc",
      "incorrect_cvc",
      "Your card's security code is incorrect.",
      "confirm_card_data",
      "N7",
      "The bank returned the decline code `incorrect_cvc`.",
    ),
    param: "cvc",
  },
  processing_error: decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
    "try_again_later",
    "96",
    "The bank returned the decline code `processing_error`.",
  ),
  card_velocity_exceeded: decline(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    "try_again_later",
    "65",
    "The bank returned the decline code `card_velocity_exceeded`.",
  ),
  fraudulent: decline(
    "card_declined",
    "fraudulent",
    DECLINED,
    "do_not_try_again",
    null,
    "Stripe blocked this payment as too risky.",
  ),
  authentication_required: decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    null,
    "1A",
    "The bank returned the decline code `authentication_required`.",
  ),
  test_mode_live_card: decline(
    "card_declined",
    "test_mode_live_card",
    "Your card was declined. Your request was in test mode, but used a non test card. For a list of valid test cards, visit: https://stripe.com/docs/testing.",
    "do_not_try_again",
    null,
    "The card is not one of Stripe's test cards.",
  ),
} as const satisfies Record<string, Decline>;

export type DeclineName = keyof typeof DECLINES;

/** What Stripe says when the shopper fails or leaves the bank's challenge. */
export const AUTHENTICATION_FAILED = {
  code: "payment_intent_authentication_failure",
  message:
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
} as const;
