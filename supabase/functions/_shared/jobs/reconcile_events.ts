/**
 * Ingests the events that never arrived: reads Stripe's list of events in time order behind a cursor, with an
 * overlap, and receives what the database does not know exactly as the webhook would have. Stripe keeps events
 * for 30 days.
 */
import type Stripe from "stripe";
import { callStripe } from "../stripe/client.ts";
import { judge, type Ours } from "../stripe_events/judge.ts";
import { enabledEvents } from "../stripe_events/mod.ts";
import { done, type JobContext, type JobHandler } from "./outcome.ts";
import { inLanes } from "./lanes.ts";
import { attempt, type Problem, throwFirst } from "./problems.ts";

/** Something that Stripe knew and we did not. */
export interface Drift {
  kind: string;
  id: string;
  detail: string;
  before: unknown;
  after: unknown;
}

export interface EventsOptions {
  runId: string;
  /** Read from here instead of the cursor. */
  from?: Date;
  /** Events younger than this are left to the next run: their webhooks may be on their way. */
  graceMs: number;
  /**
   * Stop after the window in which this runs out, or within one that takes half as long; the cursor keeps what has been
   * read.
   */
  budgetMs: number;
  dryRun: boolean;
}

export interface EventsReport {
  /** Events that Stripe listed. */
  seen: number;
  drift: Drift[];
  /** Events that could not be received; the cursor stays before them. */
  problems: Problem[];
  /** False: time ran out before now was reached. */
  complete: boolean;
}

type Context = Pick<JobContext, "rpc" | "stripe" | "now" | "log"> & { env: Ours };

const cursor = "events";
/** Stripe's list may show an event a little after its time; what is read twice is only compared. */
const overlapMs = 15 * 60_000;
const keptMs = 30 * 86_400_000;
const pageSize = 100;
const typesPerList = 20;
const firstWindowMs = 3_600_000;
const windowMaxMs = 24 * 3_600_000;
const windowMinMs = 1_000;
/** More than this in one window, and the window is halved: progress must not depend on the traffic. */
const pagesPerWindow = 10;
const lanes = 4;

/** Payload: none. */
export const reconcileEventsJob: JobHandler = async (_job, context) => {
  const report = await reconcileEvents(context, {
    runId: crypto.randomUUID(),
    graceMs: 5_000,
    budgetMs: 25_000,
    dryRun: false,
  });
  if (report.drift.length > 0) {
    context.log.warn("missed_events_ingested", { seen: report.seen, missed: report.drift.length });
  }
  throwFirst(report.problems);
  if (report.complete) return done;
  return { kind: "snooze", until: new Date(context.now()), reason: "there are more events to read" };
};

/** Reads events from the cursor (or `from`) until now and receives the unknown ones. */
export async function reconcileEvents(context: Context, options: EventsOptions): Promise<EventsReport> {
  const { rpc, now } = context;
  const startedAt = now();
  const position = Date.parse(await rpc.getReconciliationCursor(cursor));
  const end = startedAt - options.graceMs;
  const start = Math.max(options.from?.getTime() ?? position - overlapMs, startedAt - keptMs);
  const report: EventsReport = { seen: 0, drift: [], problems: [], complete: true };
  let widthMs = firstWindowMs;
  for (let from = start; from < end;) {
    if (now() - startedAt > options.budgetMs) return { ...report, complete: false };
    const to = Math.min(from + widthMs, end);
    const events = await listWindow(from, to, widthMs > windowMinMs ? pagesPerWindow : Infinity, context);
    if (events === null) {
      widthMs = Math.max(windowMinMs, Math.floor(widthMs / 2));
      continue;
    }
    report.seen += events.length;
    await ingest(events, context, options, report);
    // The window is listed again, and what it has left is all that is unknown then.
    if (!report.complete) return report;
    // Reading from later than the cursor leaves a gap, which the cursor must not jump; nor what could not be received.
    const whole = start <= position && report.problems.length === 0;
    if (!options.dryRun && whole) await rpc.advanceReconciliationCursor(cursor, new Date(to));
    from = to;
    widthMs = Math.min(windowMaxMs, widthMs * 2);
  }
  return report;
}

/** Our events created in [from, to], oldest first; null when there are more than `pagesMax` pages of them. */
async function listWindow(from: number, to: number, pagesMax: number, { stripe }: Context) {
  // Stripe stamps whole seconds; both ends are included, so that no second falls between two windows.
  const created = { gte: Math.floor(from / 1000), lte: Math.floor(to / 1000) };
  const found: Stripe.Event[] = [];
  for (let at = 0; at < enabledEvents.length; at += typesPerList) {
    const types = enabledEvents.slice(at, at + typesPerList);
    let last: string | undefined;
    for (let pages = 0;; pages++) {
      if (pages >= pagesMax) return null;
      const page = await callStripe(() =>
        stripe.events.list({
          created,
          types,
          limit: pageSize,
          ...(last === undefined ? {} : { starting_after: last }),
        })
      );
      found.push(...page.data);
      last = page.data.at(-1)?.id;
      if (!page.has_more || last === undefined) break;
    }
  }
  return found.sort((a, b) => a.created - b.created);
}

async function ingest(
  events: Stripe.Event[],
  context: Context,
  options: EventsOptions,
  report: EventsReport,
): Promise<void> {
  if (events.length === 0) return;
  const { drift, problems } = report;
  // Of its own, so that a slow list leaves time to get on.
  const end = context.now() + options.budgetMs / 2;
  const unknown = new Set(await context.rpc.listUnknownEvents(events.map((event) => event.id)));
  const receive = async (event: Stripe.Event) => {
    const judgement = judge(event, context.env);
    const result = await context.rpc.reconcileStripeEvent(options.runId, event, judgement, options.dryRun);
    // Somebody else's objects are stored as the webhook would have done, and repair nothing.
    if (result.outcome === "duplicate" || result.outcome === "ignored") return;
    drift.push({
      kind: "missed_event",
      id: event.id,
      detail: event.type,
      before: result.before,
      after: result.after,
    });
  };
  await inLanes(
    events.filter((event) => unknown.has(event.id)),
    lanes,
    async (event) => {
      if (context.now() > end) report.complete = false;
      else await attempt(event.id, { problems, log: context.log }, () => receive(event));
    },
  );
}
