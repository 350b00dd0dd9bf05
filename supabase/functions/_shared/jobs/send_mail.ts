/**
 * Mails a customer through Resend, once: the provider replays the answer of a key it has seen.
 *
 * While mail is not set up, mails wait: a key that got lost must not cost a confirmation. A shop that has no mail at
 * all does not pile them up either: after some days a mail would say what is no longer so.
 */
import { orderPageToken } from "../checkout/order_link.ts";
import { resumeLink } from "../checkout/resume_link.ts";
import { renderMail } from "../mails/mod.ts";
import { senderOf } from "../mails/shop.ts";
import { done, type JobHandler, textField } from "./outcome.ts";
import { postMail } from "./resend.ts";

const waitMaxMs = 3 * 24 * 3_600_000;
const lookAgainMs = 3_600_000;

/** Payload: { notification_id }. */
export const sendMail: JobHandler = async (job, { env, rpc, fetch, now }) => {
  const notification = await rpc.getNotification(textField(job, "notification_id"));
  if (notification === null) return { kind: "discard", reason: "the notification does not exist any more" };
  if (notification.status === "sent") return done;
  const { id, recipient } = notification;
  if (notification.problem !== null) {
    await rpc.recordNotificationResult(id, null, { status: "skipped", error: notification.problem });
    return { kind: "discard", reason: notification.problem };
  }
  const fail = (error: string) => rpc.recordNotificationResult(id, recipient, { status: "failed", error });
  if (env.resend === null || env.emailFrom === null) {
    const reason = "mail is not set up: RESEND_API_KEY and EMAIL_FROM are missing";
    if (now() < Date.parse(job.created_at) + waitMaxMs) {
      return { kind: "snooze", until: new Date(now() + lookAgainMs), reason, alert: "warning" };
    }
    await fail(reason);
    return { kind: "discard", reason };
  }
  if (recipient === null) {
    if (job.attempts < job.max_attempts) return { kind: "retry", error: "no address is known yet" };
    // None has come in hours. Nobody can deliver this, so nobody is told.
    await fail("no address is known");
    return { kind: "discard", reason: "no address is known" };
  }

  // Counted from the job's birth: a repeat must be the same mail, or the provider refuses its key.
  const born = Date.parse(job.created_at);
  const links = {
    siteUrl: env.siteUrl,
    resumeUrl: await resumeLink(notification.order_id, env, born),
    orderToken: await orderPageToken(notification.order_id, env, born),
  };
  const { shop } = notification;
  const mail = {
    from: senderOf(env.emailFrom, shop),
    to: recipient,
    ...(shop.contact_email === null ? {} : { reply_to: shop.contact_email }),
    ...renderMail(notification, links),
  };
  const answer = await postMail(mail, `notification_${id}`, { resend: env.resend, fetch, now });
  switch (answer.kind) {
    case "sent":
      await rpc.recordNotificationResult(id, recipient, { status: "sent", providerId: answer.id });
      return done;
    case "refused":
      await fail(answer.error);
      return { kind: "discard", reason: answer.error, alert: "warning", provider: "up" };
    case "later":
      return answer.outcome;
  }
};
