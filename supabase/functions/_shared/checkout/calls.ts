/** What a payment page asks of the database, each call as urgent as what has begun by then. */
import { checkoutCalls } from "../database/checkout.ts";
import type { Call } from "../database/client.ts";
import { factCalls } from "../database/facts.ts";
import type { Deadline } from "./deadline.ts";

/** The times that calls to the database ask for. */
export type DatabaseDeadline = Pick<Deadline, "databaseMs" | "startMs">;

/** The calls under a deadline; what would hold goods is refused as `busy` when it is late by its turn. */
export function callsUnder(call: Pick<Call, "within">, { databaseMs, startMs }: DatabaseDeadline) {
  const goesOn = call.within(databaseMs);
  const { findOpenCheckout } = checkoutCalls(call.within(databaseMs, "starts"));
  const { beginCheckout, resumeCheckout } = checkoutCalls(call.within(startMs, "starts"));
  return {
    ...checkoutCalls(goesOn),
    ...factCalls(goesOn),
    findOpenCheckout,
    beginCheckout,
    resumeCheckout,
  };
}
