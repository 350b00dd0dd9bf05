/**
 * A shopper who comes with another cart leaves an open payment page behind. It is ended at Stripe before the new
 * order is made: its stock is free only once nobody can pay for it any more, and may be what the new cart needs.
 */
import type Stripe from "stripe";
import type { Superseded } from "../database/checkout.ts";
import { observe, type Observer } from "../database/readings.ts";
import { AppError } from "../errors.ts";
import { stripeErrorOf } from "../stripe/client.ts";
import { checkoutSessionFacts } from "../stripe_events/checkout_session.ts";
import type { Deadline } from "./deadline.ts";
import type { StripeCalls } from "./stripe_calls.ts";

export interface SupersedeDeps {
  rpc: Observer["rpc"];
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
  await observe(
    { rpc, now, source: "checkout" },
    () => Promise.all(sessionIds.map((id) => end(id, stripe, deadline))),
    (sessions) => sessions.flatMap((session) => session === null ? [] : checkoutSessionFacts(session)),
  );
}

/** Other pages of the shopper are ended so often before a checkout goes on beside what is left of them. */
const roundsMax = 3;

/**
 * Asks the database for a page to pay at. While it names pages that have run out, or that the new one takes the place
 * of, they are ended at Stripe first. `ask` is told whether such pages are still to be ended: without, none is named.
 * @throws AppError as expireSuperseded() does, and what `ask` throws.
 */
export async function enterCheckout<T extends { outcome: string }>(
  ask: (supersede: boolean) => Promise<T>,
  deps: SupersedeDeps,
  deadline: Deadline,
): Promise<Exclude<T, Superseded>> {
  for (let round = 1;; round++) {
    const answer = await ask(round < roundsMax);
    if (!isSuperseded(answer)) return answer as Exclude<T, Superseded>;
    if (round === roundsMax) throw new AppError("internal_error", { cause: new Error("superseded unasked") });
    await expireSuperseded(answer.session_ids, deps, deadline);
  }
}

function isSuperseded(answer: { outcome: string }): answer is Superseded {
  return answer.outcome === "superseded";
}

async function end(
  id: string,
  stripe: SupersedeDeps["stripe"],
  deadline: Deadline,
): Promise<Stripe.Checkout.Session | null> {
  try {
    return await stripe.expireSession(id, deadline.stripeMs());
  } catch (error) {
    // Stripe has no such session, since its account is another one or its test data was deleted: nobody can pay there.
    if (stripeErrorOf(error)?.code === "resource_missing") return null;
    // Only open sessions can be expired: this one has been paid, or ended by itself.
    if (stripeErrorOf(error)?.statusCode !== 400) throw error;
    return await stripe.retrieveSession(id, deadline.stripeMs());
  }
}
