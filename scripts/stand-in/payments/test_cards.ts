import type { DeclineName } from "./declines.ts";

export type Brand = "amex" | "diners" | "discover" | "jcb" | "mastercard" | "unionpay" | "visa";

/** How one of Stripe's test cards behaves. Only brand, last four digits and expiry of a card are ever kept. */
export interface CardBehaviour {
  brand: Brand;
  last4: string;
  country: string;
  funding: "credit" | "debit" | "prepaid";
  decline?: DeclineName;
  /** It can be saved, and declines when it is charged. */
  declinesOnlyPayments?: boolean;
  /** `always`: authentication at each payment; `required`: unless set up before; `unsupported`: never. */
  threeDSecure: "always" | "optional" | "required" | "unsupported";
  risk: "elevated" | "highest" | "normal";
  cvcFails?: boolean;
  postalCodeFails?: boolean;
  dispute?: "fraudulent" | "inquiry" | "product_not_received";
  earlyFraudWarning?: boolean;
  refund?: "fails" | "pending";
  availableAtOnce?: boolean;
}

/** A card as it was typed, but for its number. */
export interface ReadCard {
  card: CardBehaviour;
  month: number;
  year: number;
}

type Rest = Partial<Omit<CardBehaviour, "last4">>;

const VISA: Omit<CardBehaviour, "last4"> = {
  brand: "visa",
  country: "US",
  funding: "credit",
  threeDSecure: "optional",
  risk: "normal",
};

const CARDS: Record<string, Rest> = {
  "4242424242424242": {},
  "4000056655665556": { funding: "debit" },
  "5555555555554444": { brand: "mastercard" },
  "2223003122003222": { brand: "mastercard" },
  "5200828282828210": { brand: "mastercard", funding: "debit" },
  "5105105105105100": { brand: "mastercard", funding: "prepaid" },
  "378282246310005": { brand: "amex", threeDSecure: "unsupported" },
  "371449635398431": { brand: "amex" },
  "6011111111111117": { brand: "discover" },
  "6011000990139424": { brand: "discover" },
  "3056930009020004": { brand: "diners" },
  "36227206271667": { brand: "diners" },
  "3566002020360505": { brand: "jcb" },
  "6200000000000005": { brand: "unionpay" },
  "4000001240000000": { country: "CA" },
  "4000004840008001": { country: "MX" },
  "4000000760000002": { country: "BR" },
  "4000008260000000": { country: "GB" },
  "4000002760000016": { country: "DE" },
  "4000002500000003": { country: "FR" },
  "4000000360000006": { country: "AU" },
  "4000003920000003": { country: "JP" },
  "4000000000000002": { decline: "generic_decline" },
  "4000000000000341": { decline: "generic_decline", declinesOnlyPayments: true },
  "4000000000009995": { decline: "insufficient_funds" },
  "4000000000009987": { decline: "lost_card" },
  "4000000000009979": { decline: "stolen_card" },
  "4000000000000069": { decline: "expired_card" },
  "4000000000000127": { decline: "incorrect_cvc", cvcFails: true },
  "4000000000000119": { decline: "processing_error" },
  "4000000000006975": { decline: "card_velocity_exceeded" },
  "4100000000000019": { decline: "fraudulent", risk: "highest" },
  "4000000000004954": { decline: "fraudulent", risk: "highest" },
  "4000000000009235": { risk: "elevated" },
  "4000000000000101": { cvcFails: true },
  "4000000000000036": { postalCodeFails: true },
  "4000000000000259": { dispute: "fraudulent" },
  "4000000000002685": { dispute: "product_not_received" },
  "4000000000001976": { dispute: "inquiry" },
  "4000000000005423": { earlyFraudWarning: true },
  "4000000000007726": { refund: "pending" },
  "4000000000005126": { refund: "fails" },
  "4000002760003184": { threeDSecure: "always", country: "DE" },
  "4000002500003155": { threeDSecure: "required", country: "FR" },
  "4000000000003220": { threeDSecure: "always" },
  "4000008400001629": { threeDSecure: "always", decline: "generic_decline" },
  "4000008260003178": { threeDSecure: "always", decline: "insufficient_funds", country: "GB" },
  "4000000000000077": { availableAtOnce: true },
};

/** `tok_…` and `pm_card_…` names of Stripe's test suite, and the card number each stands for. */
const NAMED_CARDS: Record<string, string> = {
  visa: "4242424242424242",
  visa_debit: "4000056655665556",
  mastercard: "5555555555554444",
  mastercard_debit: "5200828282828210",
  mastercard_prepaid: "5105105105105100",
  amex: "378282246310005",
  discover: "6011111111111117",
  diners: "3056930009020004",
  jcb: "3566002020360505",
  unionpay: "6200000000000005",
  us: "4242424242424242",
  ca: "4000001240000000",
  gb: "4000008260000000",
  de: "4000002760000016",
  fr: "4000002500000003",
  bypassPending: "4000000000000077",
  chargeCustomerFail: "4000000000000341",
  chargeDeclined: "4000000000000002",
  visa_chargeDeclined: "4000000000000002",
  visa_chargeDeclinedInsufficientFunds: "4000000000009995",
  chargeDeclinedInsufficientFunds: "4000000000009995",
  visa_chargeDeclinedLostCard: "4000000000009987",
  chargeDeclinedLostCard: "4000000000009987",
  visa_chargeDeclinedStolenCard: "4000000000009979",
  chargeDeclinedStolenCard: "4000000000009979",
  visa_chargeDeclinedVelocityLimitExceeded: "4000000000006975",
  chargeDeclinedVelocityLimitExceeded: "4000000000006975",
  chargeDeclinedExpiredCard: "4000000000000069",
  chargeDeclinedIncorrectCvc: "4000000000000127",
  chargeDeclinedProcessingError: "4000000000000119",
  chargeDeclinedFraudulent: "4100000000000019",
  radarBlock: "4100000000000019",
  riskLevelHighest: "4000000000004954",
  riskLevelElevated: "4000000000009235",
  cvcCheckFail: "4000000000000101",
  avsZipFail: "4000000000000036",
  createDispute: "4000000000000259",
  createDisputeProductNotReceived: "4000000000002685",
  createDisputeInquiry: "4000000000001976",
  createIssuerFraudRecord: "4000000000005423",
  pendingRefund: "4000000000007726",
  refundFail: "4000000000005126",
  authenticationRequired: "4000002760003184",
  authenticationRequiredOnSetup: "4000002500003155",
  authenticationRequiredSetupForOffSession: "4000002500003155",
  threeDSecureRequired: "4000000000003220",
  threeDSecure2Required: "4000000000003220",
  threeDSecureRequiredChargeDeclined: "4000008400001629",
  authenticationRequiredChargeDeclinedInsufficientFunds: "4000008260003178",
  amex_threeDSecureNotSupported: "378282246310005",
};

/** The number behind `tok_visa`, `pm_card_visa` and their kin. */
export function namedCard(name: string): string | undefined {
  const key = name.replace(/^(tok_|pm_card_)/, "");
  return Object.hasOwn(NAMED_CARDS, key) ? NAMED_CARDS[key] : undefined;
}

function passesLuhn(number: string): boolean {
  let sum = 0;
  [...number].reverse().forEach((digit, index) => {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    sum += value > 9 ? value - 9 : value;
  });
  return sum % 10 === 0;
}

/**
 * The behaviour of a card number. "incorrect_number" when it is no card number at all; a real card behaves as
 * in Stripe's test mode, where it is declined.
 */
export function cardBehaviour(number: string): CardBehaviour | "incorrect_number" {
  const digits = number.replace(/[\s-]/g, "");
  if (!/^\d{12,19}$/.test(digits) || !passesLuhn(digits)) return "incorrect_number";
  const known = Object.hasOwn(CARDS, digits) ? CARDS[digits] : { decline: "test_mode_live_card" as const };
  return { ...VISA, ...known, last4: digits.slice(-4) };
}
