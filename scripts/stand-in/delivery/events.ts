import type Stripe from "stripe";
import type { SupportedValueType } from "node:sqlite";
import { API_VERSION } from "../core/api_version.ts";
import { resourceMissing } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import { type ListQuery, pageConditions, type Store } from "../core/store.ts";

export type EventType = Stripe.Event["type"];

/** An event as stored: the payload that is delivered, but for `pending_webhooks`. */
export interface StoredEvent {
  id: string;
  object: "event";
  api_version: string;
  created: number;
  data: { object: object; previous_attributes?: object };
  livemode: false;
  pending_webhooks: number;
  request: { id: string | null; idempotency_key: string | null };
  type: EventType;
}

/** True when an endpoint that asks for `wanted` gets events of this type. */
export function wants(wanted: readonly string[], type: string): boolean {
  return wanted.includes("*") || wanted.includes(type);
}

/** Writes an event; returns it with the payload's text. Deliveries are queued by the caller. */
export function recordEvent(
  store: Store,
  event: Omit<StoredEvent, "api_version" | "id" | "livemode" | "object">,
): { event: StoredEvent; body: string } {
  const full: StoredEvent = {
    id: newId("event"),
    object: "event",
    api_version: API_VERSION,
    created: event.created,
    data: event.data,
    livemode: false,
    pending_webhooks: event.pending_webhooks,
    request: event.request,
    type: event.type,
  };
  const body = JSON.stringify(full);
  store.run(
    "insert into events (id, type, created, body) values (?, ?, ?, ?)",
    full.id,
    full.type,
    full.created,
    body,
  );
  return { event: full, body };
}

/** How many endpoints still wait for this event. */
function pendingWebhooks(store: Store, id: string): number {
  return store.row<{ n: number }>(
    "select count(*) as n from deliveries where event_id = ? and state = 'pending'",
    id,
  )?.n ?? 0;
}

function withPending(store: Store, body: string): StoredEvent {
  const event = JSON.parse(body) as StoredEvent;
  return { ...event, pending_webhooks: pendingWebhooks(store, event.id) };
}

/** The event with this id. */
export function findEvent(store: Store, id: string): StoredEvent | undefined {
  const row = store.row<{ body: string }>("select body from events where id = ?", id);
  return row === undefined ? undefined : withPending(store, row.body);
}

/** As if Stripe had never generated this event: it is neither delivered any more nor listed. */
export function ungenerateEvent(store: Store, id: string): { event: string; type: EventType } {
  const event = findEvent(store, id);
  if (event === undefined) throw resourceMissing("event", id, "event");
  store.run("delete from deliveries where event_id = ?", id);
  store.run("delete from events where id = ?", id);
  return { event: id, type: event.type };
}

export interface EventQuery extends Omit<ListQuery, "filters"> {
  types?: readonly string[];
  deliverySuccess?: boolean;
}

const UNDELIVERED =
  "exists (select 1 from deliveries d where d.event_id = events.id and d.attempts > 0 and d.state <> 'done')";

/** A page of events, newest first. A type may end in `.*`. */
export function listEvents(store: Store, query: EventQuery): { data: StoredEvent[]; hasMore: boolean } {
  const { where, args } = pageConditions(query, "events");
  if (query.types !== undefined && query.types.length > 0) {
    where.push(`(${query.types.map(() => "type glob ?").join(" or ")})`);
    args.push(...query.types satisfies readonly SupportedValueType[]);
  }
  if (query.deliverySuccess !== undefined) {
    where.push(query.deliverySuccess ? `not ${UNDELIVERED}` : UNDELIVERED);
  }
  const backwards = query.endingBefore !== undefined;
  const rows = store.rows<{ body: string }>(
    `select body from events ${where.length === 0 ? "" : `where ${where.join(" and ")}`}
     order by seq ${backwards ? "asc" : "desc"} limit ?`,
    ...args,
    query.limit + 1,
  );
  const page = rows.slice(0, query.limit).map((row) => withPending(store, row.body));
  return { data: backwards ? page.reverse() : page, hasMore: rows.length > query.limit };
}
