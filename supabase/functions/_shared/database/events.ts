/** Webhook events: stored, judged, applied, tried again. */
import type { Fact } from "../stripe_events/facts.ts";
import type { Judgement } from "../stripe_events/judge.ts";
import { type Arguments, type Call, type Known, type Returned, rowOrNull } from "./client.ts";
import { maskedOrNull } from "./storable.ts";

export type EventCalls = ReturnType<typeof eventCalls>;

/** What became of an event. `closing_sessions`: to be expired at Stripe at once; their jobs are queued as well. */
export type EventOutcome = Known<Returned<"receive_stripe_event">, {
  outcome: "applied" | "duplicate" | "ignored" | "queued";
  delivery_count: number;
}>;

export type StoredEvent = Returned<"get_stripe_event">[number];

/** Something staff should know; repeated raises with one `dedupe_key` count up instead of piling up. */
export interface Alert {
  kind: string;
  severity: "info" | "warning" | "critical";
  dedupe_key: string;
  data: Record<string, unknown>;
}

/** A delivered event; what was made of it comes from {@linkcode judged}. */
export type ReceivedEvent = Known<
  Arguments<"receive_stripe_event">,
  { p_facts: Fact[] | null; p_alerts: Alert[] }
>;

export const eventCalls = (call: Call) => ({
  /** Stores a verified event, merges its facts and settles, in one transaction. */
  receiveStripeEvent: (event: ReceivedEvent) => call("receive_stripe_event", event) as Promise<EventOutcome>,

  /** The same for several at once, each order settled once. Rejects when none of them was stored. */
  receiveStripeEvents: (events: ReceivedEvent[]) =>
    call("receive_stripe_events", { p_events: events }) as Promise<EventOutcome[]>,

  /** Applies a stored event again after a failure. */
  retryStripeEvent: (eventId: string, judgement: Judgement) =>
    call("retry_stripe_event", { p_event_id: eventId, ...judged(judgement) }) as Promise<EventOutcome>,

  getStripeEvent: (eventId: string): Promise<StoredEvent | null> =>
    rowOrNull(call("get_stripe_event", { p_event_id: eventId })),
});

/** A judgement as the SQL functions take it: exactly one of three is given. */
export function judged(judgement: Judgement): {
  p_facts: Fact[] | null;
  p_ignored_reason: string | null;
  p_error: string | null;
} {
  return {
    p_facts: "facts" in judgement ? judgement.facts : null,
    p_ignored_reason: "ignoredReason" in judgement ? judgement.ignoredReason : null,
    p_error: "error" in judgement ? maskedOrNull(judgement.error) : null,
  };
}
