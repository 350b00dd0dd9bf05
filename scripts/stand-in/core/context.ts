import type Stripe from "stripe";
import type { EventType } from "../delivery/events.ts";
import type { Behaviour, Kind, Records } from "./records.ts";
import { LABELS } from "./records.ts";
import { resourceMissing } from "./errors.ts";
import type { Store } from "./store.ts";

/** How fast the stand-in's world turns. Everything that takes Stripe days takes seconds here. */
export interface Pace {
  /** Waiting times before the second, third, … delivery; the last one repeats. */
  retryDelaysMs: readonly number[];
  /** An endpoint that fails for this long without one success is disabled, as Stripe does after days. */
  disableAfterMs: number;
  /** An event that could not be delivered for this long is given up. */
  giveUpAfterMs: number;
  /** A delivery that takes longer counts as failed. */
  deliveryTimeoutMs: number;
  /** How long a pending refund of test card …7726 and a failing one of …5126 take. */
  refundMs: number;
  /** How long a bank debit takes to settle by itself; null: only by `/_control/settle`. */
  bankDebitMs: number | null;
  /** How long the bank takes to decide a dispute once evidence is submitted. */
  disputeMs: number;
  /** How long a payout takes to arrive; null: only by `/_control/payout`. */
  payoutMs: number | null;
}

/** What a request, a shopper's click or a timer works with. */
export interface Context {
  readonly store: Store;
  readonly pace: Pace;
  readonly baseUrl: string;
  /** Seconds since 1970. */
  readonly now: number;
  /** Null for what no API request caused. */
  readonly request: { id: string; idempotencyKey: string | null } | null;
  /** The API version that the request speaks. */
  readonly version: string;
  /**
   * Records an event and queues its deliveries. `before` is the object as it was, for `previous_attributes`:
   * where nothing differs nothing happened, and there is no event.
   */
  emit(type: EventType, object: object, before?: object): void;
  /** Runs `kind` for `subject` later, also after a restart. */
  schedule(kind: TaskKind, subject: string, afterMs: number): void;
}

export type TaskKind =
  | "decide_dispute"
  | "expire_session"
  | "fail_refund"
  | "funds_available"
  | "lapse_coupon"
  | "lapse_dispute"
  | "lapse_promotion_code"
  | "pay_payout"
  | "settle_bank_debit"
  | "succeed_refund";

/** The object with this id, or Stripe's 404. `param` names the parameter that held the id, then the status is 400. */
export function need<K extends Kind>(context: Context, kind: K, id: string, param?: string): Records[K] {
  const found = context.store.get(kind, id);
  if (found === undefined) {
    throw resourceMissing(LABELS[kind], id, param ?? "id", param === undefined ? 404 : 400);
  }
  return found;
}

/** The customer with this id; one that was deleted is none to a request that names it. */
export function needCustomer(context: Context, id: string, param = "customer"): Stripe.Customer {
  const customer = need(context, "customer", id, param);
  if (customer.deleted === true) throw resourceMissing(LABELS.customer, id, param, 400);
  return customer;
}

/** How this payment method behaves; those made by the stand-in always have a behaviour. */
export function behaviourOf(context: Context, paymentMethod: string): Behaviour {
  const behaviour = context.store.internals("payment_method", paymentMethod);
  if (behaviour === undefined) {
    throw resourceMissing(LABELS.payment_method, paymentMethod, "payment_method", 400);
  }
  return behaviour;
}

/** The id in an expandable property, whether or not it is expanded. */
export function idOf(reference: string | { id: string } | null | undefined): string | null {
  if (reference === null || reference === undefined) return null;
  return typeof reference === "string" ? reference : reference.id;
}
