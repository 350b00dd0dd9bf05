/**
 * The values of Stripe's vocabularies that settlement decides by. Stripe adds values without a new API
 * version; one we have not met is stored as it is and told to staff, never guessed at.
 */
import type { UnknownValueFact } from "./facts.ts";

const knownValues = {
  "checkout_session.status": ["open", "complete", "expired"],
  "checkout_session.payment_status": ["paid", "unpaid", "no_payment_required"],
  "payment_intent.status": [
    "canceled",
    "processing",
    "requires_action",
    "requires_capture",
    "requires_confirmation",
    "requires_payment_method",
    "succeeded",
  ],
  "charge.status": ["succeeded", "pending", "failed"],
  "charge.outcome.type": ["authorized", "manual_review", "issuer_declined", "blocked", "invalid"],
  "refund.status": ["pending", "requires_action", "succeeded", "failed", "canceled"],
  "dispute.status": [
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "appeal_needs_response",
    "appeal_under_review",
    "won",
    "lost",
    "prevented",
  ],
} as const;

export type KnownField = keyof typeof knownValues;

/** A fact for each field whose value this code does not know. Null stands for "not said" and is known. */
export function unknownValues(
  objectId: string,
  values: Partial<Record<KnownField, string | null>>,
): UnknownValueFact[] {
  return Object.entries(values).flatMap(([field, value]) => {
    const known: readonly string[] = knownValues[field as KnownField];
    if (value === null || known.includes(value)) return [];
    return [{ fact: "unknown_value" as const, field, value: String(value), object_id: objectId }];
  });
}
