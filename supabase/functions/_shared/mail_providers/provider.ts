/** What a provider of mail must do; each is one file beside this one. */

export interface Mail {
  from: string;
  to: string;
  /** Where answers go; left out: to the sender. */
  replyTo?: string;
  subject: string;
  text: string;
  html: string;
  /** Further header lines, such as those to unsubscribe. */
  headers?: Record<string, string>;
  /** Comes back with what the provider reports of the mail; null: nobody asks. */
  notificationId: string | null;
}

/** What a provider said to a mail; a closed set, so that the jobs know no provider. */
export type MailAnswer =
  /** `id` null: an earlier request with this key was accepted, and its answer was lost. */
  | { kind: "sent"; id: string | null }
  /** Asking again is no use: the provider does not take this recipient. */
  | { kind: "refused"; error: string }
  /** It is the shop that is refused: its key, sender or plan. All mail waits until a person has fixed it. */
  | { kind: "unauthorized"; error: string }
  /** Too many at once. */
  | { kind: "busy"; error: string; waitMs: number }
  /** This mail is not understood, others are. */
  | { kind: "misunderstood"; error: string }
  | { kind: "down"; error: string };

export interface MailProvider {
  name: string;
  /**
   * Sends one mail. Never throws.
   * @param key the same key is the same mail, also when it is sent again because an answer was lost.
   */
  send(mail: Mail, key: string): Promise<MailAnswer>;
}

/** A provider's answer over HTTP; null for none: no connection, or too late. */
export interface HttpAnswer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

const timeoutMs = 10_000;
/** Mails that were one too many come back spread over this time. */
const crowdMs = 4_000;
const waitMaxSeconds = 3_600;

/** Posts JSON; what is not a JSON object counts as an empty one. */
export async function postJson(
  url: string,
  headers: Record<string, string>,
  body: unknown,
  fetcher: typeof fetch,
): Promise<HttpAnswer | { error: string }> {
  try {
    const response = await fetcher(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: objectOf(text) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : "no answer" };
  }
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
  } catch {
    // A proxy's page; the status says what it means.
    return {};
  }
}

/** How long the provider asks to wait, with some luck in it: not all may come back at once. */
export function busyWaitMs(headers: Headers): number {
  const seconds = Number(headers.get("retry-after"));
  const asked = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, waitMaxSeconds) : 1;
  return asked * 1000 + Math.random() * crowdMs;
}

/** A field as text; empty when it is none. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
