/**
 * A restored database catches up with Stripe, in this order: orders, so that whatever comes has one; refunds that were
 * asked for here, so that none is asked for again; events, which say when things happened; objects, which say what no
 * event told. Each step may be interrupted anywhere and done again.
 */
import type Stripe from "stripe";
import type { JobCalls } from "../../../supabase/functions/_shared/jobs/calls.ts";
import { inLanes } from "../../../supabase/functions/_shared/jobs/lanes.ts";
import { attempt, type Problem } from "../../../supabase/functions/_shared/jobs/problems.ts";
import { reconcileEvents } from "../../../supabase/functions/_shared/jobs/reconcile_events.ts";
import type { Reading } from "../../../supabase/functions/_shared/database/readings.ts";
import type {
  RescueCalls,
  RescueEnd,
  RescueWindow,
} from "../../../supabase/functions/_shared/database/rescue.ts";
import { isForeignSession } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import { orderIdOf } from "../../../supabase/functions/_shared/stripe_events/references.ts";
import { judge, type Ours } from "../../../supabase/functions/_shared/stripe_events/judge.ts";
import { quietLog } from "../backend.ts";
import { linesOf, listSince } from "./lists.ts";
import { type DatedFacts, objectsSince, unfinishedObjects } from "./objects.ts";
import { attemptOf, orderOfSession, requestOfRefund, sessionAtFirst, shopIdOf } from "./orders.ts";

/** Whom a rescue asks. */
export interface RescueContext {
  rpc: JobCalls & RescueCalls;
  stripe: Stripe;
  env: Ours;
}

/** What to catch up with; null: as the database says, see `get_rescue_window()`. */
export interface RescueOptions {
  since: Date | null;
  stoppedAt: Date | null;
  /** Told of each step. */
  progress(text: string): void;
}

export interface RescueReport {
  window: RescueWindow;
  /** Payment pages of other installations at the same account, which are left alone. */
  others: number;
  /** Numbers of orders that were made anew, and of known ones that had gone on to another attempt. */
  made: string[];
  reopened: string[];
  /** Numbers of orders whose own had been given to others, also of those that an interrupted run made. */
  renumbered: string[];
  refunds: number;
  events: number;
  objects: number;
  end: RescueEnd;
  problems: Problem[];
}

/** What a rescue would do. */
export interface RescuePlan {
  window: RescueWindow;
  others: number;
  sessions: number;
  /** Numbers of the orders that the database does not have. */
  missing: string[];
}

/** Settling is done by the database: more at once than it has processors helps little. */
const lanes = 4;
/** A command may take as long as it needs. */
const budgetMs = Infinity;
const datedAtOnce = 25;
/** A call locks what it lists until it is done, and has ten seconds. */
const passedAtOnce = 100;
const sessionExpand = ["data.line_items", "data.shipping_options.shipping_rate"];

/** Works on many objects, so that one that cannot be handled keeps no other waiting. */
type Each = <T extends { id: string }>(
  objects: Iterable<T>,
  work: (object: T) => Promise<void>,
) => Promise<void>;

/** Looks what is missing and changes nothing. */
export async function planRescue(
  { rpc, stripe }: RescueContext,
  { since, stoppedAt }: RescueOptions,
): Promise<RescuePlan> {
  const window = await rpc.getRescueWindow(since, stoppedAt);
  const numbers = new Map<string, string>();
  const { own, others } = await sessionsSince(window, stripe);
  for (const { object: session } of own) {
    const id = orderIdOf(session.metadata);
    if (id !== null) numbers.set(id, session.metadata?.["order_number"] ?? id);
  }
  const missing = await rpc.listMissingOrders([...numbers.keys()]);
  return { window, others, sessions: own.length, missing: missing.map((id) => numbers.get(id) ?? id).sort() };
}

/**
 * Catches up. Checkout is closed from the beginning to the end, and stays closed when this throws: run it again.
 * @throws AppError while Stripe or the database is away.
 */
export async function rescue(context: RescueContext, options: RescueOptions): Promise<RescueReport> {
  const { rpc, stripe } = context;
  const { progress } = options;
  const window = await rpc.beginRescue(options.since, options.stoppedAt);
  const problems: Problem[] = [];
  const each: Each = async <T extends { id: string }>(
    objects: Iterable<T>,
    work: (object: T) => Promise<void>,
  ) =>
    await inLanes(
      objects,
      lanes,
      (object) => attempt(object.id, { problems, log: quietLog }, () => work(object)),
    );

  progress("Orders …");
  const { own: sessions, others } = await sessionsSince(window, stripe);
  const { made, reopened, renumbered } = await rescueOrders(sessions, context, each);

  progress("Refunds that were asked for here …");
  const refunds = await all(listSince(new Date(window.since), (page) => stripe.refunds.list(page)));
  let asked = 0;
  await each(refunds.map(({ object }) => object), async (refund) => {
    const request = requestOfRefund(refund);
    if (request !== null && await rpc.rescueRefund(request)) asked++;
  });

  progress("Events …");
  const again = await applyPassedEvents(context, each, progress);
  const events = await reconcileEvents({
    ...context,
    rpc: {
      ...rpc,
      reconcileStripeEvent: async (_run, event, judgement) => ({
        ...await rpc.rescueStripeEvent(event, judgement),
        changed: true,
        before: null,
        after: null,
      }),
    },
    now: Date.now,
    log: quietLog,
  }, { runId: crypto.randomUUID(), from: new Date(window.since), graceMs: -1_000, budgetMs, dryRun: false });
  problems.push(...events.problems);

  progress("Objects …");
  let objects = 0;
  const merge = async ({ facts, observedAt, datedAt }: DatedFacts) => {
    if (facts.length === 0) return;
    await rpc.rescueFacts(facts, observedAt, datedAt);
    objects++;
  };
  const known = await rpc.listRescueObjects();
  await each(known, async (object) => await merge(await unfinishedObjects(object, stripe)));
  for (const kind of objectsSince(new Date(window.since), sessions, refunds, stripe)) {
    await attempt(kind.name, { problems, log: quietLog }, async () => await each(await kind.read(), merge));
  }

  progress("Times …");
  while (await rpc.dateRescued(datedAtOnce) > 0);
  // What has come meanwhile, before its order was known.
  await applyPassedEvents(context, each, progress);
  const end = await rpc.finishRescue();
  return {
    window,
    others,
    made,
    reopened,
    renumbered,
    refunds: asked,
    events: events.drift.length + again,
    objects,
    end,
    problems,
  };
}

/** Sessions of ours, with their lines, delivery prices and payments; and how many another installation has. */
async function sessionsSince({ since, shop_id }: RescueWindow, stripe: Stripe) {
  const read = listSince(
    new Date(since),
    (page) =>
      stripe.checkout.sessions.list({
        ...page,
        expand: [...sessionExpand, "data.payment_intent.latest_charge"],
      }),
  );
  const sessions = (await all(read)).filter(({ object }) => !isForeignSession(object));
  // What was made before sessions told whose they are is taken for ours.
  const own = sessions.filter(({ object }) => (shopIdOf(object) ?? shop_id) === shop_id);
  return { own, others: sessions.length - own.length };
}

/** Applies what the restored database has received and passed over; returns how many of those are ours. */
async function applyPassedEvents(
  { rpc, env }: RescueContext,
  each: Each,
  progress: RescueOptions["progress"],
): Promise<number> {
  let applied = 0;
  let looked = 0;
  for (let after = "";;) {
    const ids = await rpc.listPassedEvents(after, passedAtOnce);
    await each(ids.map((id) => ({ id })), async ({ id }) => {
      const event = await rpc.getStripeEvent(id);
      if (event === null) return;
      const { outcome } = await rpc.retryStripeEvent(id, judge(event.payload, env));
      if (outcome === "applied") applied++;
    });
    const last = ids.at(-1);
    if (last === undefined) return applied;
    after = last;
    looked += ids.length;
    progress(`  ${looked} that had been passed over, ${applied} of them ours …`);
  }
}

async function rescueOrders(
  sessions: Reading<Stripe.Checkout.Session>[],
  { rpc, stripe }: RescueContext,
  each: (
    objects: Iterable<{ id: string; sessions: Stripe.Checkout.Session[] }>,
    work: (object: { id: string; sessions: Stripe.Checkout.Session[] }) => Promise<void>,
  ) => Promise<void>,
): Promise<{ made: string[]; reopened: string[]; renumbered: string[] }> {
  const made = new Set<string>();
  const renumbered = new Set<string>();
  const reopened = new Set<string>();
  const byOrder = Map.groupBy(
    sessions.map(({ object }) => object),
    ({ metadata }) => orderIdOf(metadata) ?? "",
  );
  byOrder.delete("");
  const oldestFirst = [...byOrder].map(([id, own]) => ({
    id,
    // Two attempts may be of one second, and Stripe lists the newest first.
    sessions: own.sort((a, b) => attemptOf(a) - attemptOf(b)),
  })).sort((a, b) => (a.sessions[0]?.created ?? 0) - (b.sessions[0]?.created ?? 0));
  await each(oldestFirst, async ({ sessions: own }) => {
    for (const session of own) {
      const order = orderOfSession(session, await linesOf(session, stripe));
      const { outcome, number } = await rpc.rescueOrder(order, sessionAtFirst(session));
      if (outcome === "made") made.add(number);
      if (number !== order.number) renumbered.add(number);
      if (outcome === "reopened" && !made.has(number)) reopened.add(number);
    }
  });
  return { made: [...made].sort(), reopened: [...reopened].sort(), renumbered: [...renumbered].sort() };
}

async function all<T>(readings: AsyncGenerator<Reading<T>>): Promise<Reading<T>[]> {
  return await Array.fromAsync(readings);
}
