/** Mails a customer through Resend, once: the provider replays the answer of a key it has seen. */
import { renderMail } from "../emails/mod.ts";
import { done, type JobHandler, textField } from "./outcome.ts";
import { postMail } from "./resend.ts";

/** Payload: { notification_id }. */
export const sendMail: JobHandler = async (job, { env, rpc, fetch, now }) => {
  const notification = await rpc.getNotification(textField(job, "notification_id"));
  if (notification === null) return { kind: "discard", reason: "the notification does not exist any more" };
  if (notification.status === "sent") return done;
  if (env.resend === null || env.emailFrom === null) {
    await rpc.recordNotificationResult(notification.id, null, {
      status: "failed",
      error: "mail is not set up",
    });
    return { kind: "discard", reason: "RESEND_API_KEY is not set: mail is switched off" };
  }
  if (notification.recipient === null) return { kind: "retry", error: "no address is known yet" };

  const mail = renderMail(notification, env.siteUrl);
  const answer = await postMail(
    { from: env.emailFrom, to: notification.recipient, ...mail },
    `notification_${notification.id}`,
    { resend: env.resend, fetch, now },
  );
  if (answer.kind === "sent") {
    await rpc.recordNotificationResult(notification.id, notification.recipient, {
      status: "sent",
      providerId: answer.id,
    });
    return done;
  }
  if (answer.kind === "refused") {
    await rpc.recordNotificationResult(notification.id, notification.recipient, {
      status: "failed",
      error: answer.error,
    });
    return { kind: "discard", reason: answer.error };
  }
  return { kind: "retry", error: answer.error, ...(answer.after === null ? {} : { after: answer.after }) };
};
