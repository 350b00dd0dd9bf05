/**
 * Compares objects instead of events: the payments, refunds, disputes, reviews and fraud warnings of the last days, and
 * whatever is still open, however old it is. It finds what even the list of events does not show, an event that was stored and lost its effect
 * included. Its cost grows with what is open, and not with history.
 */
import type Stripe from "stripe";
import { type Reading, takeReading } from "../database/readings.ts";
import { callStripe, stripeErrorOf } from "../stripe/client.ts";
import { readSession } from "../stripe/session.ts";
import { chargeFacts } from "../stripe_events/charge.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import type { Fact } from "../stripe_events/facts.ts";
import { paymentIntentFacts } from "../stripe_events/payment_intent.ts";
import { orderIdOf } from "../stripe_events/references.ts";
import { earlyFraudWarningFacts, reviewFacts } from "../stripe_events/radar.ts";
import { refundFacts } from "../stripe_events/refund.ts";
import type { ObjectState, OpenObject } from "../database/reconciliation.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import { done, type JobContext, type JobHandler } from "./outcome.ts";
import type { Env } from "../env.ts";
import { attempt, type Problem, throwFirst } from "./problems.ts";
import type { Drift } from "./reconcile_events.ts";

export interface ObjectsOptions {
  runId: string;
  /** Objects created since then. */
  since: Date;
  budgetMs: number;
  dryRun: boolean;
  /** Of what is open so many, chosen at random where there are more. */
  openMax?: number;
}

export interface ObjectsReport {
  seen: number;
  drift: Drift[];
  /** Objects that could not be compared or repaired. */
  problems: Problem[];
  complete: boolean;
}

type Context = Pick<JobContext, "rpc" | "stripe" | "now" | "log"> & { env: Pick<Env, "livemode"> };

/** `late`: time has run out. */
type Run = ObjectsOptions & { late: () => boolean };

/** An object of Stripe's with the state that we compare, and a way to its facts. */
interface Candidate extends ObjectState {
  facts: () => Promise<Reading<Fact[]>>;
}

interface Page {
  data: { id: string }[];
  has_more: boolean;
}

const jobSinceMs = 3 * 86_400_000;
const pageSize = 100;
const openPerRun = 200;

/** Payload: none. */
export const reconcileObjectsJob: JobHandler = async (_job, context) => {
  const report = await reconcileObjects(context, {
    runId: crypto.randomUUID(),
    since: new Date(context.now() - jobSinceMs),
    budgetMs: 40_000,
    dryRun: false,
  });
  const level = report.drift.length > 0 || !report.complete ? "warn" : "info";
  context.log[level]("objects_reconciled", {
    seen: report.seen,
    repaired: report.drift.length,
    complete: report.complete,
  });
  throwFirst(report.problems);
  return done;
};

/** Compares and repairs; newest first, so that a run that is out of time has seen what matters most. */
export async function reconcileObjects(context: Context, asked: ObjectsOptions): Promise<ObjectsReport> {
  const { stripe } = context;
  const options = { ...asked, late: deadline(context, asked.budgetMs) };
  const report: ObjectsReport = { seen: 0, drift: [], problems: [], complete: true };
  const created = { gte: Math.floor(options.since.getTime() / 1000) };
  await checkOpenObjects(context, options, report);

  const list = <P extends Page>(read: (page: { limit: number; starting_after?: string }) => Promise<P>) =>
    pages(read, options.late, context, report);
  for await (const { object: { data } } of list((page) => stripe.paymentIntents.list({ created, ...page }))) {
    const ours = data.filter((intent) => orderIdOf(intent.metadata) !== null && hasHappened(intent));
    await compare(
      ours.map((intent) => ({
        kind: "payment",
        id: intent.id,
        status: intent.status,
        amount: intent.amount_received ?? 0,
        facts: () => takeReading(context.now, () => readFacts({ kind: "payment", id: intent.id }, stripe)),
      })),
      context,
      options,
      report,
    );
  }
  for await (
    const { object: { data }, observedAt } of list((page) => stripe.charges.list({ created, ...page }))
  ) {
    await compare(data.flatMap((charge) => attemptOf(charge, observedAt)), context, options, report);
  }
  for await (
    const { object: { data }, observedAt } of list((page) => stripe.refunds.list({ created, ...page }))
  ) {
    await compare(
      data.map((refund) => ({
        kind: "refund",
        id: refund.id,
        status: refund.status ?? "succeeded",
        amount: refund.amount,
        facts: () => Promise.resolve({ object: refundFacts(refund), observedAt }),
      })),
      context,
      options,
      report,
    );
  }
  for await (
    const { object: { data }, observedAt } of list((page) => stripe.disputes.list({ created, ...page }))
  ) {
    await compare(
      data.map((dispute) => ({
        kind: "dispute",
        id: dispute.id,
        status: dispute.status,
        amount: dispute.amount,
        facts: () => Promise.resolve({ object: disputeFacts(dispute), observedAt }),
      })),
      context,
      options,
      report,
    );
  }
  await compareSignals(context, options, report, list, created);
  return report;
}

/** Each attempt to pay one of our orders: a payment remembers its last one only. */
function attemptOf(charge: Stripe.Charge, observedAt: Date): Candidate[] {
  const facts = chargeFacts(charge);
  const attempt = facts.find((fact) => fact.fact === "payment_attempt");
  if (attempt === undefined || orderIdOf(charge.metadata) === null) return [];
  return [{
    kind: "charge",
    id: charge.id,
    status: attempt.outcome,
    amount: charge.amount,
    facts: () => Promise.resolve({ object: facts, observedAt }),
  }];
}

type List = <P extends Page>(
  read: (page: { limit: number; starting_after?: string }) => Promise<P>,
) => AsyncGenerator<Reading<P>>;

/** Warnings of the card networks, and reviews that are open. */
async function compareSignals(
  context: Context,
  options: Run,
  report: ObjectsReport,
  list: List,
  created: { gte: number },
): Promise<void> {
  const { stripe, log } = context;
  const candidate = (
    kind: ObjectState["kind"],
    id: string,
    open: boolean,
    observedAt: Date,
    facts: Fact[],
  ): Candidate => ({
    kind,
    id,
    status: open ? "open" : "closed",
    amount: 0,
    facts: () => Promise.resolve({ object: facts, observedAt }),
  });
  for await (
    const { object: { data }, observedAt } of list((page) => stripe.reviews.list({ created, ...page }))
  ) {
    await compare(
      data.map((review) => candidate("review", review.id, review.open, observedAt, reviewFacts(review))),
      context,
      options,
      report,
    );
  }
  try {
    const warnings = list((page) => stripe.radar.earlyFraudWarnings.list({ created, ...page }));
    for await (const { object: { data }, observedAt } of warnings) {
      await compare(
        data.map((warning) =>
          candidate(
            "early_fraud_warning",
            warning.id,
            warning.actionable,
            observedAt,
            earlyFraudWarningFacts(warning),
          )
        ),
        context,
        options,
        report,
      );
    }
  } catch (error) {
    // Stripe names no right that a restricted key needs for these: without it their events alone tell of them.
    if (stripeErrorOf(error)?.statusCode !== 403) throw error;
    log.info("warnings_not_readable");
  }
}

function deadline({ now }: Context, budgetMs: number): () => boolean {
  const end = now() + budgetMs;
  return () => now() > end;
}

/** A payment that nobody has tried yet says nothing, and no event tells of it. */
function hasHappened(intent: { status: string; last_payment_error: unknown }): boolean {
  return ["succeeded", "processing", "canceled"].includes(intent.status) ||
    intent.last_payment_error !== null;
}

async function checkOpenObjects(
  context: Context,
  options: Run,
  report: ObjectsReport,
): Promise<void> {
  // Half of the time is for the lists. Chosen at random, each of the others has its turn.
  const late = deadline(context, options.budgetMs / 2);
  const open = await context.rpc.listOpenObjects(
    options.since,
    options.openMax ?? openPerRun,
    context.env.livemode,
  );
  for (const object of open) {
    if (late()) {
      report.complete = false;
      return;
    }
    report.seen++;
    await attempt(object.id, { problems: report.problems, log: context.log }, async () => {
      const reading = await takeReading(context.now, () => readFacts(object, context.stripe));
      await repair(object, reading, context, options, report);
    });
  }
}

/** Reads one object; only the call is Stripe's to answer for. */
async function readFacts({ kind, id }: OpenObject, stripe: Stripe): Promise<Fact[]> {
  switch (kind) {
    case "checkout_session":
      return checkoutSessionFacts(await callStripe(() => readSession(stripe, id)));
    case "payment":
      return paymentIntentFacts(
        await callStripe(() => stripe.paymentIntents.retrieve(id, { expand: ["latest_charge"] })),
      );
    case "refund":
      return refundFacts(await callStripe(() => stripe.refunds.retrieve(id)));
    case "dispute":
      return disputeFacts(await callStripe(() => stripe.disputes.retrieve(id)));
    case "review":
      return reviewFacts(await callStripe(() => stripe.reviews.retrieve(id)));
  }
}

async function* pages<P extends Page>(
  read: (page: { limit: number; starting_after?: string }) => Promise<P>,
  late: () => boolean,
  { now }: Pick<Context, "now">,
  report: ObjectsReport,
): AsyncGenerator<Reading<P>> {
  let last: string | undefined;
  do {
    if (late()) {
      report.complete = false;
      return;
    }
    const after = last;
    const reading = await takeReading(
      now,
      () =>
        callStripe(() =>
          read({ limit: pageSize, ...(after === undefined ? {} : { starting_after: after }) })
        ),
    );
    const page = reading.object;
    report.seen += page.data.length;
    yield reading;
    last = page.has_more ? page.data.at(-1)?.id : undefined;
  } while (last !== undefined);
}

async function compare(
  candidates: Candidate[],
  context: Context,
  options: Run,
  report: ObjectsReport,
): Promise<void> {
  if (candidates.length === 0) return;
  const states = candidates.map(({ kind, id, status, amount }) => ({ kind, id, status, amount }));
  const differing = new Set(await context.rpc.listDifferingObjects(states));
  for (const candidate of candidates.filter(({ id }) => differing.has(id))) {
    // What differs does so in the next run, too.
    if (options.late()) {
      report.complete = false;
      return;
    }
    await attempt(candidate.id, { problems: report.problems, log: context.log }, async () => {
      await repair(candidate, await candidate.facts(), context, options, report);
    });
  }
}

async function repair(
  object: { kind: string; id: string },
  { object: facts, observedAt }: Reading<Fact[]>,
  { rpc }: Context,
  { runId, dryRun }: ObjectsOptions,
  report: ObjectsReport,
): Promise<void> {
  const { changed, before, after } = await rpc.reconcileStripeObject(
    runId,
    object,
    facts,
    observedAt,
    dryRun,
  );
  if (changed) report.drift.push({ kind: object.kind, id: object.id, detail: object.kind, before, after });
}
