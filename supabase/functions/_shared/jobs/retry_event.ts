/** A stored event whose facts could not be applied: translate the stored payload afresh and try again. */
import type Stripe from "stripe";
import type { Fact } from "../stripe_events/facts.ts";
import { translate } from "../stripe_events/mod.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

/** What is to be done about an event that did not come in by the webhook. */
export type Judgement = { facts: Fact[] } | { ignoredReason: string } | { error: string };

/** Payload: { event_id }. */
export const retryEvent: JobHandler = async (job, { rpc }) => {
  const eventId = textField(job, "event_id");
  const event = await rpc.getStripeEvent(eventId);
  if (event === null) return { kind: "discard", reason: "the event is not stored" };
  const { outcome, reason } = await rpc.retryStripeEvent(eventId, judge(event.payload));
  if (outcome !== "queued") return done;
  return { kind: "retry", error: reason ?? "the facts could not be applied" };
};

/** Translates an event's payload; a translator that throws is an error to be stored, not a crash. */
export function judge(payload: unknown): Judgement {
  try {
    const translation = translate(payload as Stripe.Event);
    return translation.kind === "facts"
      ? { facts: translation.facts }
      : { ignoredReason: translation.reason };
  } catch (error) {
    return { error: `translation failed: ${error instanceof Error ? error.message : "unknown error"}` };
  }
}
