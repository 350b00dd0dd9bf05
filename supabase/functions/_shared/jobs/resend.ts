/** Resend's HTTP API (https://resend.com/docs/api-reference/emails/send-email), as far as we need it. */
import type { Outcome } from "./outcome.ts";

export interface Mail {
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string;
}

export type MailAnswer =
  /** `id` null: an earlier request with this key was accepted, and its answer was lost. */
  | { kind: "sent"; id: string | null }
  /** Asking again is no use: an address or a sender that Resend does not take. */
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
  switch (response.status) {
    case 400:
    case 422:
      return { kind: "refused", error };
    case 401:
    case 403:
      return { kind: "later", outcome: { kind: "retry", error, provider: "unauthorized" } };
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

function outage(error: string): MailAnswer {
  return { kind: "later", outcome: { kind: "retry", error, provider: "down" } };
}

function waitMs(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  const asked = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, waitMaxSeconds) : 1;
  return asked * 1000 + Math.random() * crowdMs;
}
