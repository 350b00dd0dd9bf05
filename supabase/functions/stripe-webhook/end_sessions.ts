/**
 * Ends payment pages at Stripe as soon as the event that gives them away is stored: their jobs would do it up to a
 * minute later, which is many cards. After the answer, in the background; what fails is done by the jobs. Loaded
 * when it is first needed: hardly any delivery is such an event, and Stripe's SDK is most of a cold start.
 */
import { startDeadline } from "../_shared/checkout/deadline.ts";
import { type StripeCalls, stripeCalls } from "../_shared/checkout/stripe_calls.ts";
import { expireSuperseded } from "../_shared/checkout/supersede.ts";
import type { Env } from "../_shared/env.ts";
import type { Logger } from "../_shared/log.ts";
import type { Call } from "../_shared/database/client.ts";
import { factCalls } from "../_shared/database/facts.ts";
import { createStripe } from "../_shared/stripe/client.ts";

export interface EndSessionsDeps {
  env: Env;
  call: Pick<Call, "within">;
  log: Logger;
  stripe?: Pick<StripeCalls, "expireSession" | "retrieveSession">;
  now?: () => number;
}

/** One event ends few pages; more than that is the work of the queue. */
const sessionsMax = 20;

/** Ends pages side by side, each for itself. Never rejects. */
export async function endSessions(
  sessionIds: string[],
  { env, call, log, stripe = stripeCalls(createStripe(env)), now = Date.now }: EndSessionsDeps,
): Promise<void> {
  const deadline = startDeadline(now);
  const rpc = factCalls(call.within(deadline.databaseMs));
  await Promise.all(
    sessionIds.slice(0, sessionsMax).map(async (id) => {
      try {
        await expireSuperseded([id], { rpc, stripe, now }, deadline);
        log.info("session_ended", { session_id: id });
      } catch (error) {
        log.warn("session_not_ended", { session_id: id, error });
      }
    }),
  );
}
