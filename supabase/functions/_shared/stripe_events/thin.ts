/**
 * Thin events (`v2.core.event`): they name an object and carry nothing of it, so all they say is "read it again"
 * (https://docs.stripe.com/event-destinations#thin-events). Those about the API's v1 objects have the type of the
 * snapshot event with `v1.` before it.
 */
import type { Fact, Translation, UnreadFact } from "./facts.ts";

/** A notification, as far as it is read here. */
interface Notification {
  id: string;
  type: string;
  related_object?: { id?: unknown; type?: unknown } | null;
}

/** The objects that can be read again, by Stripe's name for them. */
const readable: Record<string, UnreadFact["object"]> = {
  "checkout.session": "checkout_session",
  "payment_intent": "payment",
  "charge": "charge",
  "refund": "refund",
  "dispute": "dispute",
  "review": "review",
  "customer": "customer",
};

/**
 * Early fraud warnings are left to the reconciler, which reads Stripe's list of events every few minutes: reading one by
 * its id would take a permission more.
 */
const leftToReconciler = /^v1\.radar\.early_fraud_warning\./;

/** Stripe's own health: https://docs.stripe.com/health-alerts. */
const health = /^v2\.core\.health\.([a-z0-9_]+)\.([a-z0-9_]+)$/;

/** Translates a thin event; `isWanted` says of a type of snapshot events whether we listen to it. */
export function translateThin(event: Notification, isWanted: (type: string) => boolean): Translation {
  if (leftToReconciler.test(event.type)) return { kind: "ignored", reason: "left_to_reconciler" };
  const [, subject, state] = health.exec(event.type) ?? [];
  const told: Fact[] = subject === undefined || state === undefined
    ? []
    : [{ fact: "stripe_health", subject, over: state === "resolved", event_id: event.id }];
  const isOurs = event.type.startsWith("v1.") && isWanted(event.type.slice("v1.".length));
  const facts = isOurs || told.length > 0 ? [...told, ...unread(event)] : [];
  return facts.length > 0 ? { kind: "facts", facts } : { kind: "ignored", reason: "thin_payload" };
}

function unread({ id: eventId, related_object }: Notification): UnreadFact[] {
  const { id, type } = related_object ?? {};
  const object = typeof type === "string" && Object.hasOwn(readable, type) ? readable[type] : undefined;
  if (object === undefined || typeof id !== "string" || id === "") return [];
  return [{
    fact: "unread",
    object,
    id,
    order_id: null,
    payment_id: object === "payment" ? id : null,
    recovered_from: null,
    event_id: eventId,
  }];
}
