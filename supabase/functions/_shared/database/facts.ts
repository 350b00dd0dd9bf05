/** What Stripe's API says of its objects, merged as an event's facts are. */
import type { Fact } from "../stripe_events/facts.ts";
import type { Call } from "./client.ts";

export type FactCalls = ReturnType<typeof factCalls>;

export const factCalls = (call: Call) => ({
  /**
   * Merges facts that were read from Stripe's API and settles their orders. `observedAt`: before the request was sent.
   * Returns whether anything was ours.
   */
  applyStripeFacts: (
    facts: Fact[],
    source: "order_status" | "reconcile" | "job" | "checkout",
    observedAt: Date,
  ): Promise<boolean> =>
    call("apply_stripe_facts", {
      p_facts: facts,
      p_source: source,
      p_observed_at: observedAt.toISOString(),
    }),
});
