/** What Stripe's objects say now, each with the time at which it was made. */
import type Stripe from "stripe";
import { type Reading, takeReading } from "../../../supabase/functions/_shared/database/readings.ts";
import type { UnfinishedObject } from "../../../supabase/functions/_shared/database/rescue.ts";
import { callStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { readSession } from "../../../supabase/functions/_shared/stripe/session.ts";
import { chargeFacts } from "../../../supabase/functions/_shared/stripe_events/charge.ts";
import { checkoutSessionFacts } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import { disputeFacts } from "../../../supabase/functions/_shared/stripe_events/dispute.ts";
import type { Fact } from "../../../supabase/functions/_shared/stripe_events/facts.ts";
import { paymentIntentFacts } from "../../../supabase/functions/_shared/stripe_events/payment_intent.ts";
import {
  earlyFraudWarningFacts,
  reviewFacts,
} from "../../../supabase/functions/_shared/stripe_events/radar.ts";
import { expandedOf, orderIdOf } from "../../../supabase/functions/_shared/stripe_events/references.ts";
import { refundFacts } from "../../../supabase/functions/_shared/stripe_events/refund.ts";
import { listSince } from "./lists.ts";

export interface DatedFacts {
  /** The object's id. */
  id: string;
  facts: Fact[];
  observedAt: Date;
  datedAt: Date;
}

/** All objects of a kind; `name` says which Stripe may refuse to show. */
export interface Kind {
  name: string;
  read(): Promise<DatedFacts[]>;
}

/** Everything that Stripe lists by time: what a session does not carry comes after it. */
export function objectsSince(
  since: Date,
  sessions: Reading<Stripe.Checkout.Session>[],
  refunds: Reading<Stripe.Refund>[],
  stripe: Stripe,
): Kind[] {
  const kind = <T extends { id: string; created: number }>(
    name: string,
    readings: () => Promise<Reading<T>[]>,
    factsOf: (object: T) => Fact[],
    datedBy?: (object: T) => number,
  ): Kind => ({
    name,
    read: async () => (await readings()).map((reading) => dated(reading, factsOf, datedBy)),
  });
  return [
    kind(
      "checkout sessions",
      () => Promise.resolve(sessions),
      (session) => checkoutSessionFacts(session),
      lastOfSession,
    ),
    kind(
      "charges",
      () => Array.fromAsync(listSince(since, (page) => stripe.charges.list(page))),
      (charge) => orderIdOf(charge.metadata) === null ? [] : chargeFacts(charge),
    ),
    kind(
      "payment intents",
      () => Array.fromAsync(listSince(since, (page) => stripe.paymentIntents.list(page))),
      (intent) =>
        orderIdOf(intent.metadata) === null || !hasHappened(intent) ? [] : paymentIntentFacts(intent),
    ),
    kind("refunds", () => Promise.resolve(refunds), refundFacts),
    kind(
      "disputes",
      () => Array.fromAsync(listSince(since, (page) => stripe.disputes.list(page))),
      (dispute) => disputeFacts(dispute),
    ),
    kind(
      "early fraud warnings",
      () => Array.fromAsync(listSince(since, (page) => stripe.radar.earlyFraudWarnings.list(page))),
      earlyFraudWarningFacts,
    ),
    kind(
      "reviews",
      () => Array.fromAsync(listSince(since, (page) => stripe.reviews.list(page))),
      reviewFacts,
    ),
  ];
}

/** A payment that nobody has tried yet says nothing, and no event tells of it. */
function hasHappened({ status, last_payment_error }: Stripe.PaymentIntent): boolean {
  return ["succeeded", "processing", "canceled"].includes(status) || last_payment_error !== null;
}

function dated<T extends { id: string; created: number }>(
  { object, observedAt }: Reading<T>,
  factsOf: (object: T) => Fact[],
  datedBy: (object: T) => number = ({ created }) => created,
): DatedFacts {
  return { id: object.id, facts: factsOf(object), observedAt, datedAt: new Date(datedBy(object) * 1000) };
}

/** When a page was paid that may have been open for a day; else when it was made. */
function lastOfSession({ created, payment_intent }: Stripe.Checkout.Session): number {
  const intent = expandedOf(payment_intent);
  return intent === null ? created : Math.max(created, lastOfPayment(intent));
}

function lastOfPayment({ created, latest_charge }: Stripe.PaymentIntent): number {
  return Math.max(created, expandedOf(latest_charge)?.created ?? created);
}

/** One object that had not ended when the backup was made. */
export async function unfinishedObjects({ kind, id }: UnfinishedObject, stripe: Stripe): Promise<DatedFacts> {
  const read = async <T extends { id: string; created: number }>(
    ask: () => Promise<T>,
    factsOf: (object: T) => Fact[],
    datedBy?: (object: T) => number,
  ) => dated(await takeReading(Date.now, () => callStripe(ask)), factsOf, datedBy);
  switch (kind) {
    case "checkout_session":
      return await read(
        () => readSession(stripe, id),
        (session) => checkoutSessionFacts(session),
        lastOfSession,
      );
    case "payment":
      return await read(
        () => stripe.paymentIntents.retrieve(id, { expand: ["latest_charge"] }),
        paymentIntentFacts,
        lastOfPayment,
      );
    case "refund":
      return await read(() => stripe.refunds.retrieve(id), refundFacts);
    case "dispute":
      return await read(() => stripe.disputes.retrieve(id), (dispute) => disputeFacts(dispute));
    case "review":
      return await read(() => stripe.reviews.retrieve(id), reviewFacts);
    case "early_fraud_warning":
      return await read(() => stripe.radar.earlyFraudWarnings.retrieve(id), earlyFraudWarningFacts);
  }
}
