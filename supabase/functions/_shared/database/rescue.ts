/** A database that was restored from a backup, and what it takes over from Stripe. */
import type { RefundedLine } from "../stripe/metadata_lines.ts";
import type { CheckoutSessionFact, Fact } from "../stripe_events/facts.ts";
import type { Judgement } from "../stripe_events/judge.ts";
import type { ShippingRate } from "./checkout.ts";
import type { Call, Known, Returned } from "./client.ts";
import { type EventOutcome, judged } from "./events.ts";
import type { OpenObject } from "./reconciliation.ts";

export type RescueCalls = ReturnType<typeof rescueCalls>;

/**
 * Times in ISO 8601. `under_way`: it has begun, and the window is that of its beginning. `shop_id`: stands in the
 * metadata of what this installation has made at Stripe.
 */
export type RescueWindow = Known<
  Returned<"get_rescue_window">,
  { since: string; stopped_at: string; under_way: boolean; shop_id: string }
>;

/** An order as its session at Stripe tells it; times in epoch seconds, amounts in minor units. */
export interface RescuedSession {
  id: string;
  number: string;
  attempt: number;
  account_id: string | null;
  /** Null: none were in force. Left out: the session was made before sessions told. */
  terms_version?: string | null;
  currency: string;
  livemode: boolean;
  email: string | null;
  locale: string | null;
  ui_mode: string;
  prices_include_tax: boolean;
  shipping_rates: ShippingRate[];
  created: number;
  expires_at: number;
  /** Whether its page can still be paid. */
  open: boolean;
  lines: {
    variant_id: string | null;
    sku: string;
    name: string | null;
    quantity: number;
    unit_amount: number;
    tax_code: string | null;
  }[];
}

/** A refund that was asked for here, as its metadata at Stripe tells it. */
export interface RescuedRefund {
  request_id: string;
  order_id: string;
  payment_id: string;
  amount: number;
  created: number;
  cause: string;
  whole: boolean;
  restock: boolean;
  lines: RefundedLine[];
}

export type RescuedOrder = Known<
  Returned<"rescue_order">,
  { outcome: "made" | "reopened" | "known"; number: string }
>;

export type RescueEnd = Known<
  Returned<"finish_rescue">,
  { stock_added: string[]; paid_orders: string[] }
>;

/** Something that had not ended when the backup was made. */
export type UnfinishedObject = Omit<OpenObject, "kind"> & {
  kind: OpenObject["kind"] | "early_fraud_warning";
};

export const rescueCalls = (call: Call) => ({
  /** What a rescue would ask Stripe for; null: the database says. */
  getRescueWindow: (since: Date | null, stoppedAt: Date | null) =>
    call("get_rescue_window", windowOf(since, stoppedAt)) as Promise<RescueWindow>,

  /** Closes checkout and queue; goes on where a rescue was interrupted. */
  beginRescue: (since: Date | null, stoppedAt: Date | null) =>
    call("begin_rescue", windowOf(since, stoppedAt)) as Promise<RescueWindow>,

  /** Which of these orders the database does not have. */
  listMissingOrders: (orderIds: string[]): Promise<string[]> =>
    call("list_missing_orders", { p_order_ids: orderIds }),

  /** Makes an order, or a later attempt of one, and notes its session as it was at first. */
  rescueOrder: (order: RescuedSession, session: CheckoutSessionFact) =>
    call("rescue_order", { p_order: order, p_fact: session }) as Promise<RescuedOrder>,

  /** Returns whether that it was asked for here is news. */
  rescueRefund: (refund: RescuedRefund): Promise<boolean> => call("rescue_refund", { p_refund: refund }),

  /** Stores and applies an event that the database does not know. */
  rescueStripeEvent: (event: object, judgement: Judgement) =>
    call("rescue_stripe_event", { p_event: event, ...judged(judgement) }) as Promise<EventOutcome>,

  /** Merges what an object says that was made at `datedAt`; returns how many facts were ours. */
  rescueFacts: (facts: Fact[], observedAt: Date, datedAt: Date): Promise<number> =>
    call("rescue_facts", {
      p_facts: facts,
      p_observed_at: observedAt.toISOString(),
      p_dated_at: datedAt.toISOString(),
    }),

  /**
   * Events that came before their orders were known; each is to be tried again with `retryStripeEvent()`. So many
   * behind the id `after` (empty at first); none are left once there are none.
   */
  listPassedEvents: (after: string, limit: number): Promise<string[]> =>
    call("list_passed_events", { p_after: after, p_limit: limit }),

  listRescueObjects: () => call("list_rescue_objects", {}) as Promise<UnfinishedObject[]>,

  /** Returns how many orders were dated; none are left once that is 0. */
  dateRescued: (limit: number): Promise<number> => call("date_rescued", { p_limit: limit }),

  /** Opens checkout and queue. */
  finishRescue: () => call("finish_rescue", {}) as Promise<RescueEnd>,
});

function windowOf(since: Date | null, stoppedAt: Date | null) {
  return { p_since: since?.toISOString() ?? null, p_stopped_at: stoppedAt?.toISOString() ?? null };
}
