/**
 * Facts: what a Stripe object says, in the words of our tables. Translators produce them, the database calls
 * carry them, `private.apply_facts()` merges them. A fact is complete in itself: merging a set of facts gives the
 * same rows in any order, any number of times. The merge rules stand in `docs/settlement.md`.
 *
 * Money is in minor units, currencies are lower case, times are epoch seconds as Stripe sends them.
 */

/** A postal address as Stripe writes it. */
export type Address = {
  line1: string | null;
  line2: string | null;
  city: string | null;
  state: string | null;
  postal_code: string | null;
  country: string | null;
};

/** A buyer who gave a company's name or tax ids. */
export interface Business {
  name: string | null;
  /** `type` is Stripe's: `eu_vat`, `us_ein`, … */
  tax_ids: { type: string; value: string }[];
}

/**
 * What the customer was shown and charged where Adaptive Pricing let them pay in a currency of their own, in minor
 * units of it; null: in the currency of the object itself. The two go together.
 */
export interface Presentment {
  presentment_amount: number | null;
  presentment_currency: string | null;
}

/** State of a Checkout Session. `order_id`, `attempt` and `cart_hash` come from its metadata. */
export interface CheckoutSessionFact extends Presentment {
  fact: "checkout_session";
  id: string;
  order_id: string | null;
  attempt: number | null;
  cart_hash: string | null;
  livemode: boolean;
  status: string;
  payment_status: string;
  /** Said by `checkout.session.async_payment_failed`, or by the payment that was read with it: the session does not. */
  async_payment_failed: boolean;
  /** The session says that it is complete and its payment still under way. Versions without a payment status do not. */
  awaited_payment: boolean;
  payment_id: string | null;
  customer_id: string | null;
  currency: string | null;
  amount_subtotal: number | null;
  amount_total: number | null;
  amount_discount: number | null;
  amount_shipping: number | null;
  amount_tax: number | null;
  email: string | null;
  name: string | null;
  phone: string | null;
  shipping_name: string | null;
  shipping_address: Address | null;
  billing_address: Address | null;
  /** Null for a buyer who named no business. */
  business: Business | null;
  recovered_from: string | null;
  /** `accepted`, or null: not asked, or not complete. */
  terms_consent: string | null;
  /** `opt_in`, `opt_out`, or null: not asked, or not complete. */
  promotions_consent: string | null;
  url: string | null;
  expires_at: number;
}

/** State of a PaymentIntent. */
export interface PaymentFact extends Presentment {
  fact: "payment";
  id: string;
  order_id: string | null;
  livemode: boolean;
  status: string;
  amount: number;
  amount_received: number;
  currency: string;
  customer_id: string | null;
  charge_id: string | null;
  /** From `last_payment_error`; null when there is none. */
  failure_code: string | null;
  decline_code: string | null;
}

/** One attempt to collect money: a Charge, or a failed confirmation that never became one. */
export interface PaymentAttemptFact extends Presentment {
  fact: "payment_attempt";
  /** `ch_…` (or `py_…`); for an attempt without a charge, the PaymentIntent id and the event time. */
  id: string;
  payment_id: string;
  order_id: string | null;
  livemode: boolean;
  /** `succeeded`, `pending`, `failed` (issuer or validation), `blocked` (Radar). */
  outcome: string;
  /** Money this attempt moved; null when it never became a charge. */
  amount: number | null;
  currency: string | null;
  failure_code: string | null;
  decline_code: string | null;
  advice_code: string | null;
  payment_method_type: string | null;
  card_brand: string | null;
  card_last4: string | null;
  card_funding: string | null;
  card_country: string | null;
  card_fingerprint: string | null;
  three_d_secure_result: string | null;
  risk_level: string | null;
  risk_score: number | null;
  seller_message: string | null;
  receipt_url: string | null;
  created: number;
}

/** State of a Refund. */
export interface RefundFact extends Presentment {
  fact: "refund";
  id: string;
  payment_id: string | null;
  charge_id: string | null;
  amount: number;
  currency: string;
  status: string;
  reason: string | null;
  failure_reason: string | null;
  /** `metadata.refund_request_id`: set on refunds that we asked for. */
  request_id: string | null;
  created: number;
}

/** State of a Dispute. */
export interface DisputeFact {
  fact: "dispute";
  id: string;
  payment_id: string | null;
  charge_id: string | null;
  livemode: boolean;
  amount: number;
  currency: string;
  reason: string;
  status: string;
  evidence_due_by: number | null;
  evidence_submission_count: number;
  has_evidence: boolean;
  network_reason_code: string | null;
  /** True only in `charge.dispute.funds_withdrawn` / `.funds_reinstated`. */
  funds_withdrawn: boolean;
  funds_reinstated: boolean;
  /** By the movements, where they are told; null: when it was heard of. */
  funds_reinstated_at: number | null;
  created: number;
}

/** A Radar early fraud warning or review. */
export interface FraudSignalFact {
  fact: "fraud_signal";
  /** `issfr_…` or `prv_…`. */
  id: string;
  kind: "early_fraud_warning" | "review";
  payment_id: string | null;
  charge_id: string | null;
  livemode: boolean;
  /** Warning: still actionable. Review: still open. */
  open: boolean;
  /** `fraud_type` of a warning; `reason` or `closed_reason` of a review. */
  reason: string | null;
  created: number;
}

/** A Stripe customer changed or was deleted. */
export interface CustomerFact {
  fact: "customer";
  id: string;
  livemode: boolean;
  email: string | null;
  name: string | null;
  deleted: boolean;
}

/** A value that this code does not know (a newer Stripe): stored, and raised as an alert. */
export interface UnknownValueFact {
  fact: "unknown_value";
  /** Where it stood, e.g. `dispute.status`. */
  field: string;
  value: string;
  object_id: string;
}

/** Something that the event does not tell, or its API version not in full: a job reads it from Stripe. */
export interface UnreadFact {
  fact: "unread";
  object:
    | "checkout_session"
    | "payment"
    | "charge"
    | "refund"
    | "dispute"
    | "review"
    | "customer";
  id: string;
  /** What it belongs to, as far as the event says. */
  order_id: string | null;
  payment_id: string | null;
  recovered_from: string | null;
  /** The thin event that named it: read for each, and whoever's it is, which only the object tells. */
  event_id?: string;
}

/** What Stripe says of its own health. */
export interface StripeHealthFact {
  fact: "stripe_health";
  /** `api_error`, `event_generation_failure`, … */
  subject: string;
  over: boolean;
  event_id: string;
}

export type Fact =
  | CheckoutSessionFact
  | PaymentFact
  | PaymentAttemptFact
  | RefundFact
  | DisputeFact
  | FraudSignalFact
  | CustomerFact
  | UnknownValueFact
  | UnreadFact
  | StripeHealthFact;

/** What a translator makes of an event: facts to merge, or the reason why there is nothing to do. */
export type Translation =
  | { kind: "facts"; facts: Fact[] }
  | { kind: "ignored"; reason: string };
