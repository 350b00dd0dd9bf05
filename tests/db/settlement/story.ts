/**
 * Tells what Stripe would send: events with ids, amounts, times and metadata that belong together. One story is one
 * order; each call appends the events of one happening in Stripe's own order.
 */
import type Stripe from "stripe";
import { delivery, eventOf, type Json, type Move } from "./moves.ts";

/** What the checkout froze. */
export interface Frame {
  orderId: string;
  orderNumber: string;
  cartHash: string;
  amount: number;
  currency: string;
  attempt: number;
}

/** Amounts of a session beyond its lines. */
export interface Extras {
  discount?: number;
  shipping?: number;
  tax?: number;
}

/** A payment under way or done. */
export interface Payment {
  id: string;
  chargeId: string;
  amount: number;
  session: string;
}

/** Events of one order. `gap` is the number of seconds between two happenings. */
export class Story {
  readonly events: Stripe.Event[] = [];
  #at: number;
  #count = 0;

  constructor(readonly frame: Frame, readonly gap: number, readonly tag: string, start = 1_793_500_000) {
    this.#at = start;
  }

  /** The moves that deliver all events. */
  get moves(): Move[] {
    return this.events.map(delivery);
  }

  /** Lets `gap` seconds pass. */
  wait(): void {
    this.#at += this.gap;
  }

  /** Appends one event; `changes` are laid over the fixture's object. */
  tell(type: string, changes: Json): Stripe.Event {
    const id = `evt_${this.tag}_${String(++this.#count).padStart(2, "0")}_${type}`;
    const event = eventOf(type, id, this.#at, changes);
    this.events.push(event);
    return event;
  }

  get #metadata(): Record<string, string> {
    const { orderId, attempt, cartHash } = this.frame;
    return { order_id: orderId, attempt: `${attempt}`, cart_hash: cartHash };
  }

  /** Stripe's id of the thing that this story calls `name`. */
  id(prefix: string, name: string): string {
    return `${prefix}_${this.tag}_${name}`;
  }

  /** The fields of a session of this order that a checkout would have set. */
  session(name: string, extras: Extras = {}, attempt = this.frame.attempt): Json {
    const { discount = 0, shipping = 0, tax = 0 } = extras;
    const { amount, currency, orderId } = this.frame;
    return {
      id: this.id("cs_test", name),
      client_reference_id: orderId,
      metadata: { ...this.#metadata, attempt: `${attempt}` },
      currency,
      customer: `cus_${this.tag}`,
      amount_subtotal: amount,
      amount_total: amount - discount + shipping + tax,
      total_details: { amount_discount: discount, amount_shipping: shipping, amount_tax: tax },
      expires_at: 1_793_501_800,
    };
  }

  payment(session: string, amount = this.frame.amount): Payment {
    return { id: this.id("pi", session), chargeId: this.id("ch", session), amount, session };
  }

  #intent(payment: Payment): Json {
    return {
      id: payment.id,
      amount: payment.amount,
      currency: this.frame.currency,
      customer: `cus_${this.tag}`,
      metadata: this.#metadata,
    };
  }

  #charge(payment: Payment, id = payment.chargeId): Json {
    return {
      id,
      amount: payment.amount,
      amount_captured: payment.amount,
      currency: this.frame.currency,
      payment_intent: payment.id,
      customer: `cus_${this.tag}`,
      metadata: this.#metadata,
      created: this.#at,
    };
  }

  #succeeded(payment: Payment, threeDSecure: string | null = null): void {
    this.tell("charge.succeeded", {
      ...this.#charge(payment),
      payment_method_details: {
        card: { three_d_secure: threeDSecure === null ? null : { result: threeDSecure } },
      },
    });
    this.tell("payment_intent.succeeded", {
      ...this.#intent(payment),
      amount_received: payment.amount,
      latest_charge: payment.chargeId,
    });
  }

  /** A card is charged and the session completes. */
  paid(
    session: string,
    extras: Extras = {},
    recoveredFrom: string | null = null,
    threeDSecure: string | null = null,
  ): Payment {
    this.wait();
    const fields = this.session(session, extras);
    const payment = this.payment(session, Number(fields["amount_total"]));
    this.#succeeded(payment, threeDSecure);
    this.tell("checkout.session.completed", {
      ...fields,
      payment_intent: payment.id,
      recovered_from: recoveredFrom === null ? null : this.id("cs_test", recoveredFrom),
    });
    return payment;
  }

  /** Stripe corrects what it knows of a charge. */
  chargeUpdated(payment: Payment): void {
    const created = this.#at;
    this.wait();
    this.tell("charge.updated", {
      ...this.#charge(payment),
      created,
      receipt_url: "https://pay.stripe.com/receipts/corrected",
    });
  }

  /** A promotion covers everything. */
  free(session: string): void {
    this.wait();
    this.tell("checkout.session.completed", {
      ...this.session(session, { discount: this.frame.amount }),
      payment_intent: null,
      payment_status: "no_payment_required",
    });
  }

  /** The issuer declines a card; the session stays open. */
  declined(session: string): void {
    this.wait();
    const payment = this.payment(session);
    const id = `${payment.chargeId}_declined`;
    this.tell("charge.failed", this.#charge(payment, id));
    this.tell("payment_intent.payment_failed", {
      ...this.#intent(payment),
      latest_charge: id,
      last_payment_error: { charge: id },
    });
  }

  /** Authentication (3-D Secure) fails before there is a charge. */
  notAuthenticated(session: string): void {
    this.wait();
    this.tell("payment_intent.payment_failed", {
      ...this.#intent(this.payment(session)),
      latest_charge: null,
      last_payment_error: {
        charge: undefined,
        code: "payment_intent_authentication_failure",
        decline_code: null,
      },
    });
  }

  /** A slow payment method: the session completes, the money is under way. */
  processing(session: string, extras: Extras = {}): Payment {
    this.wait();
    const fields = this.session(session, extras);
    const payment = this.payment(session, Number(fields["amount_total"]));
    this.tell("payment_intent.processing", { ...this.#intent(payment), latest_charge: payment.chargeId });
    this.tell("checkout.session.completed", {
      ...fields,
      payment_intent: payment.id,
      payment_status: "unpaid",
    });
    return payment;
  }

  /** The slow payment arrives. */
  arrived(payment: Payment, extras: Extras = {}): void {
    this.wait();
    this.#succeeded(payment);
    this.tell("checkout.session.async_payment_succeeded", {
      ...this.session(payment.session, extras),
      payment_intent: payment.id,
    });
  }

  /** The slow payment does not arrive. */
  bounced(payment: Payment, extras: Extras = {}): void {
    this.wait();
    this.tell("charge.failed", this.#charge(payment));
    this.tell("payment_intent.payment_failed", {
      ...this.#intent(payment),
      latest_charge: payment.chargeId,
      last_payment_error: { charge: payment.chargeId },
    });
    this.tell("checkout.session.async_payment_failed", {
      ...this.session(payment.session, extras),
      payment_intent: payment.id,
    });
  }

  /** Nobody pays in time. */
  expired(session: string): void {
    this.wait();
    this.tell("checkout.session.expired", { ...this.session(session), payment_intent: null });
  }

  /** Somebody cancels a PaymentIntent, as Stripe does when a session with a declined card expires. */
  intentCanceled(session: string): void {
    const payment = this.payment(session);
    this.tell("payment_intent.canceled", {
      ...this.#intent(payment),
      latest_charge: `${payment.chargeId}_declined`,
    });
  }

  #refund(payment: Payment, name: string, amount: number, created: number): Json {
    return {
      id: this.id("re", name),
      amount,
      created,
      currency: this.frame.currency,
      charge: payment.chargeId,
      payment_intent: payment.id,
    };
  }

  /** Money goes back, at once or slowly. Returns a function that tells what became of it. */
  refunded(
    payment: Payment,
    name: string,
    amount: number,
    status: "succeeded" | "pending" = "succeeded",
    requestId?: string,
  ) {
    this.wait();
    const created = this.#at;
    const refund = {
      ...this.#refund(payment, name, amount, created),
      ...(requestId === undefined ? {} : { metadata: { refund_request_id: requestId } }),
    };
    this.tell("refund.created", { ...refund, status });
    this.tell("charge.refunded", { ...this.#charge(payment), created, amount_refunded: amount });
    return {
      settled: (end: "succeeded" | "failed" | "canceled" | "requires_action") => {
        this.wait();
        const changes = { ...refund, status: end };
        this.tell(end === "failed" ? "refund.failed" : "refund.updated", changes);
      },
    };
  }

  /** The bank opens a dispute or an inquiry. Returns what may follow. */
  disputed(payment: Payment, name: string, opening: "needs_response" | "warning_needs_response") {
    this.wait();
    const created = this.#at;
    const base = {
      id: this.id("du", name),
      created,
      amount: payment.amount,
      currency: this.frame.currency,
      charge: payment.chargeId,
      payment_intent: payment.id,
    };
    this.tell("charge.dispute.created", { ...base, status: opening });
    if (opening === "needs_response") {
      this.tell("charge.dispute.funds_withdrawn", { ...base, status: opening });
    }
    return {
      answered: () => {
        this.wait();
        this.tell("charge.dispute.updated", {
          ...base,
          status: opening === "needs_response" ? "under_review" : "warning_under_review",
          evidence_details: { has_evidence: true, submission_count: 1 },
        });
      },
      closed: (status: "won" | "lost" | "warning_closed") => {
        this.wait();
        const end = { ...base, status, evidence_details: { has_evidence: true, submission_count: 1 } };
        this.tell("charge.dispute.closed", end);
        if (status === "won") this.tell("charge.dispute.funds_reinstated", end);
      },
    };
  }

  /** The card network warns of fraud; later the warning is no longer actionable. */
  warned(payment: Payment, name: string): { spent(): void } {
    this.wait();
    const base = {
      id: this.id("issfr", name),
      created: this.#at,
      charge: payment.chargeId,
      payment_intent: payment.id,
    };
    this.tell("radar.early_fraud_warning.created", { ...base, actionable: true });
    return {
      spent: () => {
        this.wait();
        this.tell("radar.early_fraud_warning.updated", { ...base, actionable: false });
      },
    };
  }

  /** Radar holds a payment for review, and a person approves it. */
  reviewed(payment: Payment, name: string): { approved(): void } {
    this.wait();
    const base = {
      id: this.id("prv", name),
      created: this.#at,
      charge: payment.chargeId,
      payment_intent: payment.id,
    };
    this.tell("review.opened", base);
    return {
      approved: () => {
        this.wait();
        this.tell("review.closed", { ...base, open: false, closed_reason: "approved", reason: "approved" });
      },
    };
  }

  /** The Stripe customer gets another address, and may be deleted later. */
  customerChanged(email: string): { deleted(): void } {
    this.wait();
    this.tell("customer.updated", { id: `cus_${this.tag}`, email });
    return {
      deleted: () => {
        this.wait();
        this.tell("customer.deleted", { id: `cus_${this.tag}` });
      },
    };
  }
}
