/**
 * A shopper who comes with another cart leaves an open payment page behind. It is ended at Stripe before the new
 * order is made: its stock is free only once nobody can pay for it any more, and may be what the new cart needs.
 */
import type Stripe from "stripe";
import type { Checkout } from "../database/checkout.ts";
import type { FactCalls } from "../database/facts.ts";
import { stripeErrorOf } from "../stripe/client.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import type { Deadline } from "./deadline.ts";
import type { StripeCalls } from "./stripe_calls.ts";

export interface SupersedeDeps {
  rpc: FactCalls;
  stripe: Pick<StripeCalls, "expireSession" | "retrieveSession">;
  now: () => number;
}

/**
 * Expires sessions at Stripe and settles their orders. One that turns out paid stays a paid order.
 * @throws AppError `stripe_unavailable`, `database_unavailable`: then nothing has changed for the new cart.
 */
export async function expireSuperseded(
  sessionIds: string[],
  { rpc, stripe, now }: SupersedeDeps,
  deadline: Deadline,
): Promise<void> {
  deadline.check();
  const observedAt = new Date(now());
  const sessions = await Promise.all(sessionIds.map((id) => end(id, stripe, deadline)));
  await rpc.applyStripeFacts(
    sessions.flatMap((session) => checkoutSessionFacts(session)),
    "checkout",
    observedAt,
  );
}

/** The session whose time has run out, although nobody has told us of its end: its page would be a dead end. */
export function overdueSession(session: Checkout["session"], now: number): string | null {
  return session?.status === "open" && session.expires_at * 1000 <= now ? session.id : null;
}

async function end(
  id: string,
  stripe: SupersedeDeps["stripe"],
  deadline: Deadline,
): Promise<Stripe.Checkout.Session> {
  try {
    return await stripe.expireSession(id, deadline.stripeMs());
  } catch (error) {
    // Only open sessions can be expired: this one has been paid, or ended by itself.
    if (stripeErrorOf(error)?.statusCode !== 400) throw error;
    return await stripe.retrieveSession(id, deadline.stripeMs());
  }
}
