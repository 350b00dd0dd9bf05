/** What Stripe's API says, merged as the facts of an event are. */
import type { Fact } from "../stripe_events/facts.ts";
import type { FactCalls } from "./facts.ts";

/** An answer of Stripe's, and since when it holds. */
export interface Reading<T> {
  object: T;
  /** From before the request: what happens at Stripe while it answers is newer than the answer. */
  observedAt: Date;
}

/** Who asks, for the audit trail, and with which clock. */
export interface Observer {
  rpc: Pick<FactCalls, "applyStripeFacts">;
  now: () => number;
  source: Parameters<FactCalls["applyStripeFacts"]>[1];
}

/** Asks Stripe, by one call or several, and notes the time from before. */
export async function takeReading<T>(now: () => number, ask: () => Promise<T>): Promise<Reading<T>> {
  const observedAt = new Date(now());
  return { object: await ask(), observedAt };
}

/** Asks Stripe, merges the facts of its answer and settles their orders. Returns the answer. */
export async function observe<T>(
  { rpc, now, source }: Observer,
  ask: () => Promise<T>,
  factsOf: (object: T) => Fact[],
): Promise<T> {
  const { object, observedAt } = await takeReading(now, ask);
  const facts = factsOf(object);
  if (facts.length > 0) await rpc.applyStripeFacts(facts, source, observedAt);
  return object;
}
