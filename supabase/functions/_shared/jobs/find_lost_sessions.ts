/**
 * Attempts that never heard back from Stripe: the call failed, the answer was lost, or the process died before it
 * could note the session. Stripe's list of sessions says which of them exist. Those are attached to their orders;
 * the others are given up, which frees their stock. Nothing is given up while Stripe could still make a session.
 */
import type Stripe from "stripe";
import type { LostCheckout } from "../database/reconciliation.ts";
import { observe } from "../database/readings.ts";
import { callStripe } from "../stripe/client.ts";
import { readSession } from "../stripe/session.ts";
import { checkoutSessionFact, checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import { orderIdOf } from "../stripe_events/references.ts";
import { done, type JobContext, type JobHandler } from "./outcome.ts";
import { attempt, type Problem, throwFirst } from "./problems.ts";

const checkoutsPerRun = 100;
const pageSize = 100;
/** Our clock and Stripe's are not the same. */
const marginSeconds = 300;

/** Payload: none. */
export const findLostSessions: JobHandler = async (_job, context) => {
  const checkouts = await context.rpc.getLostCheckouts(checkoutsPerRun);
  if (checkouts.length === 0) return done;
  const sessions = await sessionsOf(checkouts, context);
  const problems: Problem[] = [];
  for (const checkout of checkouts) {
    await attempt(checkout.order_id, { problems, log: context.log }, async () => {
      const session = sessions.get(keyOf(checkout.order_id, String(checkout.attempt)));
      if (session === undefined) await context.rpc.abandonCheckout(checkout.order_id, checkout.attempt);
      else await attach(checkout, session, context);
    });
  }
  context.log.info("lost_checkouts_resolved", {
    abandoned: checkouts.length - sessions.size,
    attached: sessions.size,
  });
  throwFirst(problems);
  return done;
};

/** The sessions that Stripe made for these attempts, by order and attempt. */
async function sessionsOf(checkouts: LostCheckout[], { stripe }: JobContext) {
  const wanted = new Set(checkouts.map(({ order_id, attempt }) => keyOf(order_id, String(attempt))));
  const found = new Map<string, Stripe.Checkout.Session>();
  const created = {
    gte: Math.min(...checkouts.map(({ started_at }) => epochSeconds(started_at))) - marginSeconds,
    lte: Math.max(...checkouts.map(({ ended_at }) => epochSeconds(ended_at))) + marginSeconds,
  };
  let last: string | undefined;
  while (true) {
    const page = await callStripe(() =>
      stripe.checkout.sessions.list({
        created,
        limit: pageSize,
        ...(last === undefined ? {} : { starting_after: last }),
      })
    );
    for (const session of page.data) {
      const key = keyOf(orderIdOf(session.metadata) ?? "", session.metadata?.["attempt"] ?? "");
      if (wanted.has(key)) found.set(key, session);
    }
    last = page.data.at(-1)?.id;
    if (!page.has_more || last === undefined) return found;
  }
}

async function attach(
  checkout: LostCheckout,
  session: Stripe.Checkout.Session,
  context: JobContext,
): Promise<void> {
  const { order_id, attempt } = checkout;
  await context.rpc.attachCheckoutSession(order_id, attempt, checkoutSessionFact(session));
  if (session.status === "open") return;
  await observe(
    { ...context, source: "job" },
    () => callStripe(() => readSession(context.stripe, session.id)),
    (now) => checkoutSessionFacts(now),
  );
}

function keyOf(orderId: string, attempt: string): string {
  return `${orderId}:${attempt}`;
}

function epochSeconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}
