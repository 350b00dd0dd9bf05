/** What the SQL functions take and answer, for `rpc.ts`. Times are ISO 8601 unless said otherwise. */
import type { Address, Fact } from "../stripe_events/facts.ts";

/** What the database says about a received event. */
export interface EventOutcome {
  outcome: "applied" | "duplicate" | "ignored" | "queued";
  delivery_count: number;
  reason?: string | null;
  /** Payment pages that a velocity rule has ended: to be expired at Stripe at once. Their jobs are queued as well. */
  closing_sessions?: string[];
}

/** Something staff should know; repeated raises with one `dedupe_key` count up instead of piling up. */
export interface Alert {
  kind: string;
  severity: "info" | "warning" | "critical";
  dedupe_key: string;
  data: Record<string, unknown>;
}

export interface ReceivedEvent {
  p_event_id: string;
  p_type: string;
  p_livemode: boolean;
  p_api_version: string;
  /** ISO 8601. */
  p_stripe_created_at: string;
  p_source_ip: string | null;
  p_payload: unknown;
  /** Exactly one of the next three is set. */
  p_facts: Fact[] | null;
  p_ignored_reason: string | null;
  p_error: string | null;
  p_alerts: Alert[];
}

/** What one look at Stripe's webhook endpoints found at our address. */
export interface EndpointLook {
  state: "ok" | "disabled" | "changed" | "missing" | "not_permitted";
  /** Null where there is none, or the key may not read it. */
  endpointId: string | null;
  /** What is not as the registry of events says, in words. */
  differences: string[];
}

export interface StoredEvent {
  id: string;
  type: string;
  livemode: boolean;
  api_version: string;
  stripe_created_at: string;
  status: string;
  payload: unknown;
}

export interface Bucket {
  key: string;
  limit: number;
  window_seconds: number;
}

export interface LimitDecision {
  allowed: boolean;
  retry_after_seconds: number;
  /** The bucket that refused. */
  key: string | null;
}

export interface CheckoutRequest {
  p_items: { sku: string; quantity: number }[];
  p_idempotency_key: string | null;
  p_user_id: string | null;
  p_email: string | null;
  p_client_ip: string | null;
  p_user_agent: string | null;
  p_locale: string | null;
  p_livemode: boolean;
  p_session_seconds: number;
  p_hold_seconds: number;
  p_velocity_mode: "enforce" | "report" | "off";
  /** A session that this shopper has been sent to before. */
  p_previous_session_id: string | null;
  /** True: other open payment pages of this shopper are to be ended first. */
  p_supersede: boolean;
}

/** Why Stripe refused to make a session, for staff. */
export interface CheckoutRefusal {
  /** Stripe's code, or the type of its error. */
  code: string;
  param: string | null;
  status: number | null;
  message: string;
}

export interface CheckoutItem {
  sku: string;
  name: string;
  description: string | null;
  image_url: string | null;
  quantity: number;
  unit_amount: number;
  stripe_price_id: string | null;
}

/** A delivery price, in minor units of the order's currency; `countries` null: for all. */
export interface ShippingRate {
  id: string;
  name: string;
  amount: number;
  countries: string[] | null;
  delivery_days_min: number | null;
  delivery_days_max: number | null;
}

/** An order that waits for its payment, as the Stripe session is made from it. */
export interface Checkout {
  outcome: "created" | "existing";
  order_id: string;
  order_number: string;
  /** The account that was signed in, frozen with the order; null for a guest. */
  account_id: string | null;
  attempt: number;
  currency: string;
  amount_subtotal: number;
  /** Epoch seconds, fixed for the attempt: a repeated Stripe call sends the same parameters. */
  session_expires_at: number;
  email: string | null;
  locale: string | null;
  stripe_customer_id: string | null;
  /** The account's row while Stripe does not know the account; `generation` changes when Stripe's customer is deleted. */
  customer: { id: string; email: string | null; generation: number } | null;
  /** The account's address where Stripe's customer still has an older one. */
  customer_email: string | null;
  /** Which of its addresses the account has now; null for guests. */
  customer_email_change: number | null;
  cart_hash: string;
  /** What the velocity rules ask of the card; null: Stripe decides. */
  three_d_secure: "any" | "challenge" | null;
  prices_include_tax: boolean;
  shipping_rates: ShippingRate[];
  items: CheckoutItem[];
  session: { id: string; url: string | null; status: string; expires_at: number } | null;
}

/** What keeps a shopper from a payment page that exists, or could. */
export interface VelocityExceeded {
  outcome: "velocity_exceeded";
  retry_after_seconds: number;
}

/** Expire these sessions at Stripe, then ask again without `p_supersede`. */
export interface Superseded {
  outcome: "superseded";
  session_ids: string[];
}

export type BegunCheckout = Checkout | Superseded | VelocityExceeded;

export type RestartedCheckout = Checkout | VelocityExceeded;

/** How a resume link is opened: the rules count the caller's address as well. */
export interface ResumeRequest {
  p_order_id: string;
  p_session_seconds: number;
  p_hold_seconds: number;
  p_velocity_mode: "enforce" | "report" | "off";
  p_client_ip: string | null;
  p_supersede: boolean;
}

/** The order leads to no payment page any more. */
export type EndedCheckout = { outcome: "paid"; session_id: string } | { outcome: "cancelled" };

/** What opening an unpaid order again comes to. */
export type ResumedCheckout = Checkout | Superseded | VelocityExceeded | EndedCheckout;

/** What a resume link leads to as things are; `session` is the one that can still be paid. */
export type FoundCheckout =
  | { outcome: "unpaid"; session: { id: string; url: string } | null }
  | EndedCheckout;

export interface OrderStatus {
  order_number: string;
  status: string;
  fulfillment_status: string;
  currency: string;
  amount_total: number;
  items: { sku: string; name: string; quantity: number; unit_amount: number }[];
  paid_at: string | null;
  /** False: Stripe may know more than the database; ask it. */
  settled: boolean;
}

export interface Job {
  id: number;
  kind: string;
  payload: Record<string, unknown>;
  attempts: number;
  max_attempts: number;
  lease_id: string;
  created_at: string;
}

/** How a job ended, for `finishJobs`. */
export interface JobResult {
  id: number;
  lease_id: string;
  outcome: "done" | "discard" | "retry" | "snooze";
  reason: string | null;
  /** ISO 8601; null: backoff. */
  run_at: string | null;
  /** Staff are told, this urgently. */
  alert: "warning" | "critical" | null;
  /** What the attempt says about the kind's provider; null: nothing. */
  provider_state: "up" | "down" | "unauthorized" | null;
}

/** An attempt without a known session, and when Stripe can have made one (ISO 8601). */
export interface LostCheckout {
  order_id: string;
  attempt: number;
  started_at: string;
  ended_at: string;
}

/** The state that Stripe reports of an object; `amount` is the received amount of a payment. */
export interface ObjectState {
  kind: "payment" | "refund" | "dispute";
  id: string;
  status: string;
  amount: number;
}

/** What reconciling one thing changed, or would change. */
export interface Repair {
  changed: boolean;
  before: unknown;
  after: unknown;
}

export interface RedriveSelection {
  p_event_ids: string[];
  p_job_ids: number[];
  p_type: string | null;
  p_all: boolean;
  /** With p_type: also events that were processed or ignored. */
  p_again: boolean;
  p_dry_run: boolean;
  p_actor: string;
}

export interface RedrivenItem {
  what: "event" | "job";
  id: string;
  type: string | null;
  status: string;
  error: string | null;
  redriven: boolean;
  problem: string | null;
}

export interface HealthFigures {
  checks: Record<string, Record<string, unknown>>;
}

export interface Notification {
  id: string;
  order_id: string | null;
  template: string;
  /** Null: no address is known yet. */
  recipient: string | null;
  status: "queued" | "sent" | "failed" | "skipped";
  data: Record<string, unknown>;
  /** Why it must not be sent any more; null when what it says is true. */
  problem: string | null;
  order: NotificationOrder;
}

/** What a mail can show of its order. */
export interface NotificationOrder {
  number: string;
  status: string;
  fulfillment_status: string;
  currency: string;
  amount_subtotal: number;
  amount_discount: number;
  amount_shipping: number;
  amount_tax: number;
  amount_total: number;
  amount_refunded: number;
  amount_paid: number;
  customer_name: string | null;
  shipping_name: string | null;
  shipping_address: Address | null;
  locale: string | null;
  paid_at: string | null;
  items: { sku: string; name: string; quantity: number; unit_amount: number }[];
}

export interface StoredAlert extends Alert {
  id: string;
  status: string;
  count: number;
  first_at: string;
  last_at: string;
}

/** Whether a refund may be made now; `by` names the refund or request that may stand in for it. */
export type RefundJudgement =
  | { outcome: "go"; by: null; refusals: number }
  | { outcome: "overtaken"; by: string; refusals: number }
  | { outcome: "made" };

/** A mail that has been sent to the buyer. */
export interface SentMail {
  template: string;
  recipient: string | null;
  sent_at: string;
}

/** An order that the same buyer paid before, kept and did not dispute. */
export interface EarlierOrder {
  number: string;
  paid_at: string;
  amount_paid: number;
  currency: string;
  charge_id: string;
  email: string | null;
  purchase_ip: string | null;
  shipping_address: Address | null;
  user_id: string | null;
  description: string | null;
  days_before: number;
  same_ip: boolean;
  same_address: boolean;
  same_account: boolean;
}

/** One parcel of an order. */
export interface Parcel {
  carrier: string | null;
  tracking_number: string | null;
  shipped_at: string;
}

/** The disputed order, as `get_dispute_evidence()` assembles it. Times are ISO 8601. */
export interface DisputedOrder {
  number: string;
  email: string | null;
  customer_name: string | null;
  phone: string | null;
  user_id: string | null;
  purchase_ip: string | null;
  user_agent: string | null;
  billing_address: Address | null;
  shipping_name: string | null;
  shipping_address: Address | null;
  currency: string;
  amount_total: number;
  amount_refunded: number;
  created_at: string;
  paid_at: string | null;
  shipments: Parcel[];
  items: { sku: string; name: string; quantity: number; unit_amount: number }[];
  mails: SentMail[];
  payment: {
    charge_id: string | null;
    card_brand: string | null;
    card_last4: string | null;
    three_d_secure_result: string | null;
    risk_level: string | null;
  } | null;
  earlier_orders: EarlierOrder[];
}

/** What `get_dispute_evidence()` answers. */
export interface DisputeEvidence {
  dispute: { id: string; status: string; reason: string; network_reason_code: string | null };
  order: DisputedOrder | null;
}
