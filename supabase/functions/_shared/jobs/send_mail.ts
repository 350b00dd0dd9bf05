/**
 * Mails a customer, once: Resend replays the answer of a key that it has seen.
 *
 * While mail is not set up, mails wait: a key that got lost must not cost a confirmation. A shop that has no mail at
 * all does not pile them up either: after some days a mail would say what is no longer so.
 */
import { orderPageToken } from "../checkout/order_link.ts";
import { resumeLink } from "../checkout/resume_link.ts";
import { mailProvider } from "../mail_providers/mod.ts";
import { renderMail } from "../mails/mod.ts";
import { senderOf } from "../mails/shop.ts";
import { unsubscribeHeaders, unsubscribeLink } from "../mails/unsubscribe_link.ts";
import { laterOutcome } from "./mail_outcome.ts";
import { done, type JobHandler, textField } from "./outcome.ts";

const waitMaxMs = 3 * 24 * 3_600_000;
const lookAgainMs = 3_600_000;

/** Payload: { notification_id }. */
export const sendMail: JobHandler = async (job, { env, rpc, fetch, now }) => {
  const notification = await rpc.getNotification(textField(job, "notification_id"));
  if (notification === null) return { kind: "discard", reason: "the notification does not exist any more" };
  if (notification.is_sent) return done;
  const { id, recipient } = notification;
  if (notification.suppression !== null) {
    const error = notification.suppression;
    await rpc.recordNotificationResult(id, recipient, { status: "suppressed", error });
    return { kind: "discard", reason: error };
  }
  if (notification.problem !== null) {
    await rpc.recordNotificationResult(id, null, { status: "skipped", error: notification.problem });
    return { kind: "discard", reason: notification.problem };
  }
  const fail = (error: string) => rpc.recordNotificationResult(id, recipient, { status: "failed", error });
  const mailer = mailProvider(env, fetch);
  if (mailer === null) {
    const key = env.mailProvider === "postmark" ? "POSTMARK_SERVER_TOKEN" : "RESEND_API_KEY";
    const reason = `mail is not set up: ${key} and EMAIL_FROM are missing`;
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
  const unsubscribeUrl = notification.is_reminder && notification.recipient_hmac !== null
    ? await unsubscribeLink(notification.recipient_hmac, env)
    : null;
  const links = {
    siteUrl: env.siteUrl,
    resumeUrl: await resumeLink(notification.order_id, env, born),
    orderToken: await orderPageToken(notification.order_id, env, born),
    unsubscribeUrl,
  };
  const { shop } = notification;
  const mail = {
    from: senderOf(mailer.from, shop),
    to: recipient,
    ...(shop.contact_email === null ? {} : { replyTo: shop.contact_email }),
    ...renderMail(notification, links),
    ...(unsubscribeUrl === null ? {} : { headers: unsubscribeHeaders(unsubscribeUrl) }),
    notificationId: id,
  };
  const answer = await mailer.provider.send(mail, `notification_${id}`);
  switch (answer.kind) {
    case "sent":
      await rpc.recordNotificationResult(id, recipient, { status: "sent", providerId: answer.id });
      return done;
    case "refused":
      await fail(answer.error);
      return { kind: "discard", reason: answer.error, alert: "warning", provider: "up" };
    default:
      return laterOutcome(answer, now());
  }
};
