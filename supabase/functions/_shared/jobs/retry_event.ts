/** A stored event whose facts could not be applied, or that staff want translated anew: from its stored payload. */
import { judge } from "../stripe_events/judge.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

/** Payload: { event_id }. */
export const retryEvent: JobHandler = async (job, { rpc, env }) => {
  const eventId = textField(job, "event_id");
  const event = await rpc.getStripeEvent(eventId);
  if (event === null) return { kind: "discard", reason: "the event is not stored" };
  const { outcome, reason } = await rpc.retryStripeEvent(eventId, judge(event.payload, env));
  if (outcome !== "queued") return done;
  return { kind: "retry", error: reason ?? "the facts could not be applied" };
};
