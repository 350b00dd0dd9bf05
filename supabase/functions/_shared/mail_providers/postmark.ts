/**
 * Postmark's HTTP API (https://postmarkapp.com/developer/api/email-api), as far as we need it: the provider to change
 * to while Resend cannot be used. It knows no idempotency keys, so a mail whose answer was lost may come twice.
 */
import {
  busyWaitMs,
  type HttpAnswer,
  type Mail,
  type MailAnswer,
  type MailProvider,
  postJson,
  textOf,
} from "./provider.ts";

const address = "https://api.postmarkapp.com/email";

/** ErrorCodes about the shop: token, sender, account (https://postmarkapp.com/developer/api/overview#error-codes). */
const ofTheShop: ReadonlySet<unknown> = new Set([10, 400, 401, 405, 412, 413]);
/** The recipient bounced for good or complained, and Postmark keeps it from getting more. */
const inactiveRecipient = 406;
const invalidMail = 300;

/** Sends through the transactional stream of a Postmark server. */
export function postmark({ serverToken }: { serverToken: string }, fetcher: typeof fetch): MailProvider {
  return {
    name: "postmark",
    async send(mail) {
      const headers = { "x-postmark-server-token": serverToken };
      const answer = await postJson(address, headers, bodyOf(mail), fetcher);
      if ("error" in answer) return { kind: "down", error: `postmark: ${answer.error}` };
      const { status, body } = answer;
      if (status === 200 && body["ErrorCode"] === 0) {
        return { kind: "sent", id: textOf(body["MessageID"]) || null };
      }
      return failure(answer);
    },
  };
}

function bodyOf({ from, to, replyTo, subject, text, html, headers, notificationId }: Mail) {
  return {
    From: from,
    To: to,
    ...(replyTo === undefined ? {} : { ReplyTo: replyTo }),
    Subject: subject,
    TextBody: text,
    HtmlBody: html,
    Headers: Object.entries(headers ?? {}).map(([Name, Value]) => ({ Name, Value })),
    ...(notificationId === null ? {} : { Metadata: { notification_id: notificationId } }),
    MessageStream: "outbound",
  };
}

function failure({ status, headers, body }: HttpAnswer): MailAnswer {
  const code = body["ErrorCode"], message = textOf(body["Message"]);
  const error = `postmark ${status}: ${message || "no message"}`;
  if (status === 401 || (status === 422 && ofTheShop.has(code))) return { kind: "unauthorized", error };
  if (status === 429) return { kind: "busy", error, waitMs: busyWaitMs(headers) };
  if (status !== 422) return { kind: "down", error };
  if (code === inactiveRecipient || (code === invalidMail && /['"]To['"]/.test(message))) {
    return { kind: "refused", error };
  }
  return code === invalidMail && /['"]From['"]/.test(message)
    ? { kind: "unauthorized", error }
    : { kind: "misunderstood", error };
}
