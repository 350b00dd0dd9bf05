/** Resend's HTTP API (https://resend.com/docs/api-reference/emails/send-email), as far as we need it. */
import {
  busyWaitMs,
  type HttpAnswer,
  type Mail,
  type MailAnswer,
  type MailProvider,
  postJson,
  textOf,
} from "./provider.ts";

/** The tag that comes back in webhooks. */
export const notificationTag = "notification_id";

/** Sends nothing twice: the same key within 24 hours is answered as before. */
export function resend(
  { apiKey, apiBase }: { apiKey: string; apiBase: string },
  fetcher: typeof fetch,
): MailProvider {
  return {
    name: "resend",
    async send(mail, key) {
      const headers = { authorization: `Bearer ${apiKey}`, "idempotency-key": key };
      const answer = await postJson(`${apiBase}/emails`, headers, bodyOf(mail), fetcher);
      if ("error" in answer) return { kind: "down", error: `resend: ${answer.error}` };
      const { status, body } = answer;
      if (status >= 200 && status < 300 && typeof body["id"] === "string") {
        return { kind: "sent", id: body["id"] };
      }
      return failure(answer);
    },
  };
}

function bodyOf({ from, to, replyTo, subject, text, html, headers, notificationId }: Mail) {
  return {
    from,
    to,
    ...(replyTo === undefined ? {} : { reply_to: replyTo }),
    subject,
    text,
    html,
    ...(headers === undefined ? {} : { headers }),
    ...(notificationId === null ? {} : { tags: [{ name: notificationTag, value: notificationId }] }),
  };
}

function failure({ status, headers, body }: HttpAnswer): MailAnswer {
  const error = `resend ${status}: ${textOf(body["message"]) || "no message"}`;
  if (isConfiguration(status, body)) return { kind: "unauthorized", error };
  switch (status) {
    case 400:
    case 422:
      return { kind: isAboutRecipient(body) ? "refused" : "misunderstood", error };
    case 409:
      // Another body under this key: the order changed since a request whose answer we never saw.
      return body["name"] === "invalid_idempotent_request"
        ? { kind: "sent", id: null }
        : { kind: "misunderstood", error };
    case 413:
    case 451:
      // About this mail alone, its size or what is in it: as an outage it would hold all others.
      return { kind: "misunderstood", error };
    case 429:
      return { kind: "busy", error, waitMs: busyWaitMs(headers) };
    default:
      return { kind: "down", error };
  }
}

/**
 * Whether it is the shop that Resend refuses and not this mail: its key, a domain that is not verified, a sender that
 * is none, a plan that is used up. Every mail would meet the same, so all of them wait until a person has fixed it.
 */
function isConfiguration(status: number, body: HttpAnswer["body"]): boolean {
  const name = textOf(body["name"]), message = textOf(body["message"]);
  switch (status) {
    case 401:
    case 403:
      return true;
    case 400:
    case 422:
      return name === "invalid_from_address" || /[`'"]from[`'"]|\bfrom (field|address)\b/i.test(message);
    case 429:
      return name.endsWith("_quota_exceeded");
    default:
      return false;
  }
}

function isAboutRecipient(body: HttpAnswer["body"]): boolean {
  return textOf(body["name"]) === "invalid_to_address" || /[`'"]to[`'"]/i.test(textOf(body["message"]));
}
