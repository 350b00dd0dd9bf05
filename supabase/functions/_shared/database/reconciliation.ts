/** Reconciliation: what Stripe knows and the database does not. */
import type { Fact } from "../stripe_events/facts.ts";
import type { Judgement } from "../stripe_events/judge.ts";
import type { Call, Known, Returned } from "./client.ts";
import { type EventOutcome, judged } from "./events.ts";

/**
 * The state that Stripe reports of an object; `amount` is the received amount of a payment. A review and a warning are
 * open or closed, and about no amount.
 */
export interface ObjectState {
  kind: "payment" | "charge" | "refund" | "dispute" | "review" | "early_fraud_warning";
  id: string;
  status: string;
  amount: number;
}

/** An attempt without a known session, and when Stripe can have made one (ISO 8601). */
export type LostCheckout = Returned<"get_lost_checkouts">[number];

type EventRepair = Known<Returned<"reconcile_stripe_event">, {
  outcome: EventOutcome["outcome"];
  changed: boolean;
}>;
type ObjectRepair = Known<Returned<"reconcile_stripe_object">, { outcome: null; changed: boolean }>;

/** Something that is not at its end as far as we know. */
export type OpenObject = Known<Returned<"list_open_objects">[number], {
  kind: Exclude<ObjectState["kind"], "charge" | "early_fraud_warning"> | "checkout_session";
  id: string;
}>;

export type FraudValue = Known<Returned<"get_fraud_values">[number], { item_type: string; value: string }>;

export const reconciliationCalls = (call: Call) => ({
  /** What confirmed fraud was done with, under Stripe's names of the types of Radar's lists. */
  getFraudValues: (livemode: boolean): Promise<FraudValue[]> =>
    call("get_fraud_values", { p_livemode: livemode }) as Promise<FraudValue[]>,

  /** How far a stream has been read, in ISO 8601. */
  getReconciliationCursor: (name: string): Promise<string> =>
    call("get_reconciliation_cursor", { p_name: name }),

  /** Never goes back; returns how far the stream has been read now. */
  advanceReconciliationCursor: (name: string, position: Date): Promise<string> =>
    call("advance_reconciliation_cursor", { p_name: name, p_position: position.toISOString() }),

  /** Those of the events that were never received. */
  listUnknownEvents: (eventIds: string[]): Promise<string[]> =>
    call("list_unknown_events", { p_event_ids: eventIds }),

  /** Receives an event that never arrived, and writes down what that repaired. */
  reconcileStripeEvent: (runId: string, event: object, judgement: Judgement, dryRun: boolean) =>
    call("reconcile_stripe_event", {
      p_run_id: runId,
      p_event: event,
      ...judged(judgement),
      p_dry_run: dryRun,
    }) as Promise<EventRepair>,

  /** Applies what Stripe's API says of an object, and writes down what that repaired. */
  reconcileStripeObject: (
    runId: string,
    object: { kind: string; id: string },
    facts: Fact[],
    observedAt: Date,
    dryRun: boolean,
  ) =>
    call("reconcile_stripe_object", {
      p_run_id: runId,
      p_kind: object.kind,
      p_object_id: object.id,
      p_facts: facts,
      p_observed_at: observedAt.toISOString(),
      p_dry_run: dryRun,
    }) as Promise<ObjectRepair>,

  /** The ids of those that the database does not have in this state. */
  listDifferingObjects: (objects: ObjectState[]): Promise<string[]> =>
    call("list_differing_objects", { p_objects: objects }),

  /** Attempts whose session nobody knows, and that can get none any more. */
  getLostCheckouts: (limit: number): Promise<LostCheckout[]> =>
    call("get_lost_checkouts", { p_limit: limit }),

  /** What may have ended without a word, however old; of what Stripe lists by time only what is older than `since`. */
  listOpenObjects: (since: Date, limit: number, livemode: boolean) =>
    call("list_open_objects", {
      p_since: since.toISOString(),
      p_limit: limit,
      p_livemode: livemode,
    }) as Promise<OpenObject[]>,
});
