/**
 * Compares objects instead of events: open checkouts, and the payments, refunds and disputes of the last days. It
 * finds what even the list of events does not show, an event that was stored and lost its effect included.
 */
import { type Reading, takeReading } from "../database/readings.ts";
import { callStripe } from "../stripe/client.ts";
import { readSession } from "../stripe/session.ts";
import { disputeFacts } from "../stripe_events/dispute.ts";
import type { Fact } from "../stripe_events/facts.ts";
import { paymentIntentFacts } from "../stripe_events/payment_intent.ts";
import { orderIdOf } from "../stripe_events/references.ts";
import { refundFacts } from "../stripe_events/refund.ts";
import type { ObjectState } from "../database/reconciliation.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import { done, type JobContext, type JobHandler } from "./outcome.ts";
import { attempt, type Problem, throwFirst } from "./problems.ts";
import type { Drift } from "./reconcile_events.ts";

export interface ObjectsOptions {
  runId: string;
  /** Objects created since then. */
  since: Date;
  budgetMs: number;
  dryRun: boolean;
}

export interface ObjectsReport {
  seen: number;
  drift: Drift[];
  /** Objects that could not be compared or repaired. */
  problems: Problem[];
  complete: boolean;
}

type Context = Pick<JobContext, "rpc" | "stripe" | "now" | "log">;

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
const checkoutsPerRun = 200;

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
export async function reconcileObjects(context: Context, options: ObjectsOptions): Promise<ObjectsReport> {
  const { stripe } = context;
  const report: ObjectsReport = { seen: 0, drift: [], problems: [], complete: true };
  const created = { gte: Math.floor(options.since.getTime() / 1000) };
  const late = deadline(context, options);
  await checkOpenCheckouts(context, options, report);

  const list = <P extends Page>(read: (page: { limit: number; starting_after?: string }) => Promise<P>) =>
    pages(read, late, context, report);
  for await (const { object: { data } } of list((page) => stripe.paymentIntents.list({ created, ...page }))) {
    const ours = data.filter((intent) => orderIdOf(intent.metadata) !== null && hasHappened(intent));
    await compare(
      ours.map((intent) => ({
        kind: "payment",
        id: intent.id,
        status: intent.status,
        amount: intent.amount_received ?? 0,
        facts: () =>
          takeReading(context.now, async () =>
            paymentIntentFacts(
              await callStripe(() =>
                stripe.paymentIntents.retrieve(intent.id, { expand: ["latest_charge"] })
              ),
            )),
      })),
      context,
      options,
      report,
    );
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
  return report;
}

function deadline({ now }: Context, { budgetMs }: ObjectsOptions): () => boolean {
  const end = now() + budgetMs;
  return () => now() > end;
}

/** A payment that nobody has tried yet says nothing, and no event tells of it. */
function hasHappened(intent: { status: string; last_payment_error: unknown }): boolean {
  return ["succeeded", "processing", "canceled"].includes(intent.status) ||
    intent.last_payment_error !== null;
}

async function checkOpenCheckouts(
  context: Context,
  options: ObjectsOptions,
  report: ObjectsReport,
): Promise<void> {
  const sessionIds = await context.rpc.listOpenCheckouts(checkoutsPerRun);
  for (const id of sessionIds) {
    await attempt(id, { problems: report.problems, log: context.log }, async () => {
      const reading = await takeReading(
        context.now,
        async () => checkoutSessionFacts(await callStripe(() => readSession(context.stripe, id))),
      );
      await repair({ kind: "checkout_session", id }, reading, context, options, report);
    });
  }
  report.seen += sessionIds.length;
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
  options: ObjectsOptions,
  report: ObjectsReport,
): Promise<void> {
  if (candidates.length === 0) return;
  const states = candidates.map(({ kind, id, status, amount }) => ({ kind, id, status, amount }));
  const differing = new Set(await context.rpc.listDifferingObjects(states));
  for (const candidate of candidates.filter(({ id }) => differing.has(id))) {
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
