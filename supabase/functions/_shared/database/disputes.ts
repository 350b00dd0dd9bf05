/** Disputes: what they can be answered with, and when. */
import type { Address } from "../stripe_events/facts.ts";
import type { Money } from "../stripe/money.ts";
import type { Call, Known, Returned } from "./client.ts";
import type { OrderLine } from "./orders.ts";

/** A mail that has been sent to the buyer. */
export type SentMail = { template: string; recipient: string | null; sent_at: string };

/** An order that the same buyer paid before, kept and did not dispute. */
export type EarlierOrder = {
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
};

/** An order that the disputed one may be taken for a duplicate of. */
export type TwinOrder = {
  number: string;
  paid_at: string;
  amount_paid: number;
  currency: string;
  charge_id: string;
  shipping_name: string | null;
  shipping_address: Address | null;
  description: string | null;
  parcels: string | null;
};

/** One parcel of an order. */
export type Parcel = { carrier: string | null; tracking_number: string | null; shipped_at: string };

/** The disputed order, as `get_dispute_evidence()` assembles it. Times are ISO 8601, amounts in minor units. */
export type DisputedOrder = {
  shop_name: string;
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
  amount_subtotal: number;
  amount_discount: number;
  amount_shipping: number;
  amount_tax: number;
  amount_total: number;
  amount_refunded: number;
  /** What the cardholder was charged in a currency of their own; null: the total. */
  presentment: Money | null;
  created_at: string;
  paid_at: string | null;
  shipments: Parcel[];
  items: OrderLine[];
  mails: SentMail[];
  payment: {
    charge_id: string | null;
    card_brand: string | null;
    card_last4: string | null;
    three_d_secure_result: string | null;
    risk_level: string | null;
  } | null;
  /** What was accepted on the payment page, with the texts of it that are kept; null: nothing was asked. */
  terms: {
    version: string | null;
    accepted_at: string;
    refund_policy: string | null;
    cancellation_policy: string | null;
  } | null;
  /** Refunds that have arrived, and returns; `received_at` null: the goods have not come back. */
  money_back: {
    refunds: (Money & { succeeded_at: string })[];
    returns: { requested_at: string; received_at: string | null }[];
  };
  twin: TwinOrder | null;
  earlier_orders: EarlierOrder[];
};

/** What `get_dispute_evidence()` answers; `order` null: not one of ours. */
export type DisputeEvidence = {
  dispute: { id: string; status: string; reason: string; network_reason_code: string | null };
  order: DisputedOrder | null;
};

/** What became of a reminder. `early`: not before `run_at` (ISO 8601). `over`: there is nothing to answer any more. */
export type DisputeReminder =
  | Known<Returned<"remind_dispute">, { outcome: "early"; run_at: string }>
  | Known<Returned<"remind_dispute">, { outcome: "reminded" | "over"; run_at: null }>;

/** What `answer_dispute` has to do; `wait`: look again at `run_at` (ISO 8601). */
export type DisputeAction =
  | Known<Returned<"decide_dispute">, { action: "wait"; run_at: string }>
  | Known<Returned<"decide_dispute">, { action: "fight" | "accept" | "over"; run_at: null }>;

export const disputeCalls = (call: Call) => ({
  /** What a dispute can be answered with; null for a dispute that is not stored. */
  getDisputeEvidence: (id: string) =>
    call("get_dispute_evidence", { p_dispute_id: id }) as Promise<DisputeEvidence | null>,

  /** Decides about a dispute that nobody has answered; `round` is the status that waits. */
  decideDispute: (
    id: string,
    round: string,
    { written, obstacle }: { written: boolean; obstacle: "fee" | "no_field" | null },
  ) =>
    call("decide_dispute", {
      p_dispute_id: id,
      p_round: round,
      p_written: written,
      ...(obstacle === null ? {} : { p_obstacle: obstacle }),
    }) as Promise<DisputeAction>,

  /** Tells staff that evidence is due. */
  remindDispute: (id: string, days: number) =>
    call("remind_dispute", { p_dispute_id: id, p_days: days }) as Promise<DisputeReminder>,
});
