/** Reminds staff that a dispute waits for evidence; whether it still does is asked when the reminder is due. */
import { done, type JobHandler, textField } from "./outcome.ts";

/** Payload: { dispute_id, days }. */
export const remindDispute: JobHandler = async (job, { rpc }) => {
  const { days } = job.payload;
  if (typeof days !== "number") throw new Error(`job ${job.id} (${job.kind}) has no days`);
  const { outcome, run_at } = await rpc.remindDispute(textField(job, "dispute_id"), days);
  switch (outcome) {
    case "reminded":
      return done;
    case "early":
      return { kind: "snooze", until: new Date(run_at), reason: "the deadline has moved" };
    case "over":
      return { kind: "discard", reason: "the dispute does not wait for evidence" };
  }
};
