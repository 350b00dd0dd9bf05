/** Tells staff how the day before was, and what waits for them. */
import { digestMessage } from "../mails/digest.ts";
import { done, type JobHandler, textField } from "./outcome.ts";
import { tellStaff } from "./tell_staff.ts";

/** Payload: { day } as `YYYY-MM-DD`. */
export const sendDigest: JobHandler = async (job, context) => {
  const digest = await context.rpc.getDigest(textField(job, "day"), context.env.livemode);
  const message = digestMessage(digest);
  if (message === null) return { kind: "discard", reason: "there is nothing to tell" };
  return await tellStaff(message, digest.shop, `digest_${digest.day}`, { kind: "digest" }, context) ?? done;
};
