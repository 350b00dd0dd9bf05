import type Stripe from "stripe";
import type { CardBehaviour, ReadCard } from "../payments/test_cards.ts";
import type { OtherMethod, OtherRefund } from "../payments/other_methods.ts";
import type { BankBehaviour } from "../payments/test_bank_accounts.ts";
import type { SessionInternals, SessionLine } from "../checkout/session_internals.ts";

/** The objects the API serves, by the `object` name they carry. */
export interface Records {
  balance_transaction: Stripe.BalanceTransaction;
  bank_account: Stripe.BankAccount;
  charge: Stripe.Charge;
  "checkout.session": Stripe.Checkout.Session;
  coupon: Stripe.Coupon;
  customer: Stripe.Customer | Stripe.DeletedCustomer;
  dispute: Stripe.Dispute;
  mandate: Stripe.Mandate;
  file: Stripe.File;
  file_link: Stripe.FileLink;
  payment_intent: Stripe.PaymentIntent;
  payment_link: Stripe.PaymentLink;
  payment_method: Stripe.PaymentMethod;
  payout: Stripe.Payout;
  price: Stripe.Price;
  product: Stripe.Product;
  promotion_code: Stripe.PromotionCode;
  "radar.early_fraud_warning": Stripe.Radar.EarlyFraudWarning;
  "radar.value_list": Stripe.Radar.ValueList;
  "radar.value_list_item": Stripe.Radar.ValueListItem;
  refund: Stripe.Refund;
  review: Stripe.Review;
  setup_attempt: Stripe.SetupAttempt;
  setup_intent: Stripe.SetupIntent;
  shipping_rate: Stripe.ShippingRate;
  tax_rate: Stripe.TaxRate;
  token: Stripe.Token;
  webhook_endpoint: Stripe.WebhookEndpoint;
}
export type Kind = keyof Records;

/** The name Stripe uses for a kind in "No such …" messages. */
export const LABELS: Record<Kind, string> = {
  balance_transaction: "balance transaction",
  bank_account: "external account",
  charge: "charge",
  "checkout.session": "checkout.session",
  coupon: "coupon",
  customer: "customer",
  dispute: "dispute",
  mandate: "mandate",
  file: "file upload",
  file_link: "file link",
  payment_intent: "payment_intent",
  payment_link: "payment link",
  payment_method: "PaymentMethod",
  payout: "payout",
  price: "price",
  product: "product",
  promotion_code: "promotion_code",
  "radar.early_fraud_warning": "early fraud warning",
  "radar.value_list": "value list",
  "radar.value_list_item": "value list item",
  refund: "refund",
  review: "review",
  setup_attempt: "setup_attempt",
  setup_intent: "setupintent",
  shipping_rate: "shipping rate",
  tax_rate: "tax rate",
  token: "token",
  webhook_endpoint: "webhook endpoint",
};

/** The properties that list calls filter by; each gets an index. */
export const INDEXED_PATHS: readonly [Kind, string][] = [
  ["charge", "payment_intent"],
  ["charge", "customer"],
  ["checkout.session", "payment_intent"],
  ["checkout.session", "customer"],
  ["checkout.session", "customer_details.email"],
  ["checkout.session", "status"],
  ["checkout.session", "payment_link"],
  ["checkout.session", "recovered_from"],
  ["dispute", "charge"],
  ["dispute", "payment_intent"],
  ["file", "purpose"],
  ["file_link", "file"],
  ["file_link", "url"],
  ["mandate", "payment_method"],
  ["payment_intent", "customer"],
  ["payment_method", "customer"],
  ["price", "lookup_key"],
  ["price", "product"],
  ["promotion_code", "code"],
  ["radar.early_fraud_warning", "charge"],
  ["radar.early_fraud_warning", "payment_intent"],
  ["radar.value_list_item", "value_list"],
  ["setup_attempt", "setup_intent"],
  ["setup_intent", "customer"],
  ["refund", "charge"],
  ["refund", "payment_intent"],
  ["review", "charge"],
  ["review", "payment_intent"],
  ["customer", "email"],
  ["balance_transaction", "source"],
  ["balance_transaction", "available_on"],
];

/** Amounts by currency. */
export type ByCurrency<T> = Record<string, T>;

/** An amount in one of an object's other currencies. */
export interface CurrencyOption {
  amount: number;
  taxBehavior: Stripe.Price.TaxBehavior;
}

/** What the stand-in must remember beside an object and never serves. */
export interface Internals {
  session: SessionInternals;
  payment_intent: { session: string | null; return_url: string | null; behaviour: Behaviour | null };
  /** `spent`: it was detached, or charged while it belonged to nobody, and can be used no more. */
  payment_method: Behaviour & { spent?: boolean };
  token: ReadCard;
  setup_intent: { return_url: string | null };
  price: { images: string[]; productName: string; description: string | null };
  webhook_endpoint: EndpointInternals;
  /** Whether Smart Disputes has evidence of its own. */
  dispute: { packet: boolean };
  /** What an automatic payout consists of, newest first. */
  payout: { transactions: string[] };
  /** What an object costs in currencies beside its own. */
  currency_options: ByCurrency<CurrencyOption>;
  /** The products that a coupon is for; none: it is for all. */
  coupon: { products: string[] };
  payment_link: { lines: SessionLine[] };
  /** What is in it, in base64. */
  file: { data: string };
  settings: Record<string, string>;
}

/** How a payment method behaves when it is charged. */
export type Behaviour =
  | { type: "card"; card: CardBehaviour }
  | { type: "bank"; bank: BankBehaviour }
  | { type: "other"; method: OtherMethod; refund: OtherRefund };

export interface EndpointInternals {
  secret: string;
  /** The secret before a roll, and until when (ms) deliveries carry a second signature made with it. */
  previousSecret: string | null;
  previousUntilMs: number;
  failingSinceMs: number | null;
}
