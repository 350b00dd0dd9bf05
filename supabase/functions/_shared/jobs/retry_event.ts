/** A stored event whose facts could not be applied, or that staff want translated anew: from its stored payload. */
import { judge } from "../stripe_events/judge.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

/** Payload: { event_id }. */
export const retryEvent: JobHandler = async (job, { rpc, env }) => {
  const eventId = textField(job, "event_id");
  const event = await rpc.getStripeEvent(eventId);
  if (event === null) return { kind: "discard", reason: "the event is not stored" };
  const payload = event.payload as { object?: unknown } | null;
  // Purged or erased since it was asked for again: nothing can be made of it.
  if (payload?.object === undefined) return { kind: "discard", reason: "the event's payload is gone" };
  const { outcome, reason } = await rpc.retryStripeEvent(eventId, judge(payload, env));
  if (outcome !== "queued") return done;
  return { kind: "retry", error: reason ?? "the facts could not be applied" };
};
