/** Resend's HTTP API (https://resend.com/docs/api-reference/emails/send-email), as far as we need it. */
import type { Outcome } from "./outcome.ts";

export interface Mail {
  from: string;
  to: string;
  /** Where answers go; left out: to the sender. */
  reply_to?: string;
  subject: string;
  text: string;
  html: string;
}

export type MailAnswer =
  /** `id` null: an earlier request with this key was accepted, and its answer was lost. */
  | { kind: "sent"; id: string | null }
  /** Asking again is no use: Resend does not take this recipient. */
  | { kind: "refused"; error: string }
  | { kind: "later"; outcome: Outcome };

export interface ResendDeps {
  resend: { apiKey: string; apiBase: string };
  fetch: typeof fetch;
  now: () => number;
}

interface ResendBody {
  id?: unknown;
  name?: unknown;
  message?: unknown;
}

const timeoutMs = 10_000;
/** Resend takes two mails a second; those that were one too many come back spread over this time. */
const crowdMs = 4_000;
const waitMaxSeconds = 3_600;

/** Sends one mail; the same key within 24 hours sends nothing twice. */
export async function postMail(mail: Mail, idempotencyKey: string, deps: ResendDeps): Promise<MailAnswer> {
  let response: Response;
  let body: ResendBody | null;
  try {
    response = await deps.fetch(`${deps.resend.apiBase}/emails`, {
      method: "POST",
      headers: {
        "authorization": `Bearer ${deps.resend.apiKey}`,
        "content-type": "application/json",
        "idempotency-key": idempotencyKey,
      },
      body: JSON.stringify(mail),
      signal: AbortSignal.timeout(timeoutMs),
    });
    body = await response.json().catch(() => null) as ResendBody | null;
  } catch (error) {
    return outage(`resend: ${error instanceof Error ? error.message : "no answer"}`);
  }
  if (response.ok && typeof body?.id === "string") return { kind: "sent", id: body.id };
  return failure(response, body, deps.now());
}

function failure(response: Response, body: ResendBody | null, now: number): MailAnswer {
  const error = `resend ${response.status}: ${
    typeof body?.message === "string" ? body.message : "no message"
  }`;
  if (isConfiguration(response.status, body)) {
    return { kind: "later", outcome: { kind: "retry", error, provider: "unauthorized" } };
  }
  switch (response.status) {
    case 400:
    case 422:
      return isAboutRecipient(body)
        ? { kind: "refused", error }
        : { kind: "later", outcome: { kind: "retry", error, provider: "up" } };
    case 409:
      // Another body under this key: the order changed since a request whose answer we never saw.
      return body?.name === "invalid_idempotent_request"
        ? { kind: "sent", id: null }
        : { kind: "later", outcome: { kind: "retry", error, provider: "up" } };
    case 429:
      return {
        kind: "later",
        outcome: { kind: "snooze", until: new Date(now + waitMs(response)), reason: error },
      };
    default:
      return outage(error);
  }
}

/**
 * Whether it is the shop that Resend refuses and not this mail: its key, a domain that is not verified, a sender that
 * is none, a plan that is used up. Every mail would meet the same, so all of them wait until a person has fixed it.
 */
function isConfiguration(status: number, body: ResendBody | null): boolean {
  const name = textOf(body?.name), message = textOf(body?.message);
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

function isAboutRecipient(body: ResendBody | null): boolean {
  return textOf(body?.name) === "invalid_to_address" || /[`'"]to[`'"]/i.test(textOf(body?.message));
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function outage(error: string): MailAnswer {
  return { kind: "later", outcome: { kind: "retry", error, provider: "down" } };
}

function waitMs(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  const asked = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, waitMaxSeconds) : 1;
  return asked * 1000 + Math.random() * crowdMs;
}
