/** Disputes: the bank takes money back and wants evidence until a date. */
import type Stripe from "stripe";
import type { Fact, Translation } from "./facts.ts";
import { unknownValues } from "./known_values.ts";
import { idOf } from "./references.ts";

type DisputeEvent =
  | Stripe.ChargeDisputeCreatedEvent
  | Stripe.ChargeDisputeUpdatedEvent
  | Stripe.ChargeDisputeClosedEvent
  | Stripe.ChargeDisputeFundsWithdrawnEvent
  | Stripe.ChargeDisputeFundsReinstatedEvent;

/** All `charge.dispute.*` events. */
export function translateDispute(event: DisputeEvent): Translation {
  return {
    kind: "facts",
    facts: disputeFacts(event.data.object, {
      withdrawn: event.type === "charge.dispute.funds_withdrawn",
      reinstated: event.type === "charge.dispute.funds_reinstated",
    }),
  };
}

/** The facts in a dispute. That money moved is said by the two funds events, and by the movements where they are told. */
export function disputeFacts(
  dispute: Stripe.Dispute,
  funds: { withdrawn: boolean; reinstated: boolean } = { withdrawn: false, reinstated: false },
): Fact[] {
  const evidence = dispute.evidence_details;
  const movements = dispute.balance_transactions ?? [];
  const returned = movements.filter(({ amount }) => amount > 0).map(({ created }) => created);
  return [{
    fact: "dispute",
    id: dispute.id,
    payment_id: idOf(dispute.payment_intent),
    charge_id: idOf(dispute.charge),
    livemode: dispute.livemode,
    amount: dispute.amount,
    currency: dispute.currency.toLowerCase(),
    reason: dispute.reason,
    status: dispute.status,
    // 0: the bank takes no answer.
    evidence_due_by: evidence?.due_by || null,
    evidence_submission_count: evidence?.submission_count ?? 0,
    has_evidence: evidence?.has_evidence ?? false,
    network_reason_code: dispute.network_reason_code ?? null,
    funds_withdrawn: funds.withdrawn || movements.some(({ amount }) => amount < 0),
    funds_reinstated: funds.reinstated || returned.length > 0,
    funds_reinstated_at: returned.length === 0 ? null : Math.min(...returned),
    created: dispute.created,
  }, ...unknownValues(dispute.id, { "dispute.status": dispute.status })];
}
