/** Resend's HTTP API (https://resend.com/docs/api-reference/emails/send-email), as far as we need it. */

export interface Mail {
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string;
}

export type MailAnswer =
  | { kind: "sent"; id: string }
  /** Asking again is no use: an address or a sender that Resend does not take. */
  | { kind: "refused"; error: string }
  | { kind: "busy"; error: string; after: Date | null };

export interface ResendDeps {
  resend: { apiKey: string; apiBase: string };
  fetch: typeof fetch;
  now: () => number;
}

const timeoutMs = 10_000;

/** Sends one mail; the same key within 24 hours sends nothing twice. */
export async function postMail(mail: Mail, idempotencyKey: string, deps: ResendDeps): Promise<MailAnswer> {
  const response = await deps.fetch(`${deps.resend.apiBase}/emails`, {
    method: "POST",
    headers: {
      "authorization": `Bearer ${deps.resend.apiKey}`,
      "content-type": "application/json",
      "idempotency-key": idempotencyKey,
    },
    body: JSON.stringify(mail),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const answer = await response.json().catch(() => null) as { id?: unknown; message?: unknown } | null;
  if (response.ok && typeof answer?.id === "string") return { kind: "sent", id: answer.id };
  const error = `resend ${response.status}: ${
    typeof answer?.message === "string" ? answer.message : "no message"
  }`;
  // A wrong key (401, 403) is mended by a person, so the mail waits for them.
  const final = response.status === 400 || response.status === 422;
  return final ? { kind: "refused", error } : { kind: "busy", error, after: waitOf(response, deps.now()) };
}

function waitOf(response: Response, now: number): Date | null {
  const seconds = Number(response.headers.get("retry-after"));
  return Number.isFinite(seconds) && seconds > 0 ? new Date(now + Math.min(seconds, 3600) * 1000) : null;
}
