/** Tells staff of an incident: all alerts of one kind that are news, or that the kind is over. */
import { alertMessage } from "../mails/alert.ts";
import { done, type JobHandler, textField } from "./outcome.ts";
import { tellStaff } from "./tell_staff.ts";

/** Payload: { alert_id }. */
export const sendAlert: JobHandler = async (job, context) => {
  const { env, rpc } = context;
  const message = await rpc.takeAlertMessage(textField(job, "alert_id"));
  if (message.outcome === "told") return { kind: "discard", reason: "staff know, or it is over" };
  if (message.outcome === "wait") {
    return { kind: "snooze", until: new Date(message.until), reason: "collected with others of its kind" };
  }
  const { shop, alert_ids, alerts, over, count } = message;
  // An alert that was resolved and came back has another count, and is another message.
  const key = `alert_${alert_ids[0]}_${over ? "over" : "open"}_${count}`;
  const outcome = await tellStaff(
    alertMessage(message, { siteUrl: env.siteUrl, livemode: env.livemode }),
    shop,
    key,
    { over, kind: message.kind, severity: message.severity, count, alert: alerts[0], alerts },
    context,
  );
  if (outcome !== null) return outcome;
  await rpc.recordAlertMessage(alert_ids, over);
  return done;
};
