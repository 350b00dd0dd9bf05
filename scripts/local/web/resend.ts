import type { Mail, MailStore } from "./mail_store.ts";
import { reportsOf } from "./mail_reports.ts";
import { jsonResponse } from "./responses.ts";
import type { Pages } from "./site.ts";

/** A refusal in Resend's own shape (https://resend.com/docs/api-reference/errors). */
class ResendError extends Error {
  constructor(readonly status: number, override readonly name: string, message: string) {
    super(message);
  }
}

/** One fault to answer with before mails are accepted again. */
interface Fault {
  status: number;
  times: number;
  retryAfter: string | null;
}

const FAULT_NAMES: Readonly<Record<number, string>> = {
  429: "rate_limit_exceeded",
  500: "application_error",
  503: "service_unavailable",
};

const UNSUPPORTED = ["scheduled_at", "template", "react", "topic_id"] as const;

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new ResendError(422, "validation_error", `The ${what} must be a JSON object.`);
}

function optionalText(body: Record<string, unknown>, field: string): string | null {
  const value = body[field];
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  throw new ResendError(422, "validation_error", `The \`${field}\` field must be a string.`);
}

function requiredText(body: Record<string, unknown>, field: string): string {
  const value = optionalText(body, field);
  if (value === null || value === "") {
    throw new ResendError(422, "missing_required_field", `Missing \`${field}\` field.`);
  }
  if (/[\r\n]/.test(value)) {
    throw new ResendError(422, "validation_error", `The \`${field}\` field must not contain line breaks.`);
  }
  return value;
}

const ADDRESS = /^(?:[^<>\r\n]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/;

function addresses(body: Record<string, unknown>, field: string): string[] {
  const value = body[field];
  if (value === undefined || value === null) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  const valid = list.filter((item): item is string => typeof item === "string" && ADDRESS.test(item));
  if (valid.length !== list.length || list.length > 50) {
    throw new ResendError(
      422,
      "validation_error",
      `Invalid \`${field}\` field. The email address needs to follow the \`email@example.com\` or \`Name <email@example.com>\` format, at most 50 of them.`,
    );
  }
  return valid;
}

function textRecord(body: Record<string, unknown>, field: string): Record<string, string> {
  if (body[field] === undefined || body[field] === null) return {};
  const entries = Object.entries(asRecord(body[field], `\`${field}\` field`));
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

function records(body: Record<string, unknown>, field: string): Record<string, unknown>[] {
  const value = body[field] ?? [];
  if (!Array.isArray(value)) {
    throw new ResendError(422, "validation_error", `The \`${field}\` field must be an array.`);
  }
  return value.map((item) => asRecord(item, `\`${field}\` entry`));
}

function parseBody(text: string): Record<string, unknown> {
  try {
    return asRecord(JSON.parse(text), "request body");
  } catch (error) {
    if (error instanceof ResendError) throw error;
    throw new ResendError(400, "validation_error", "The request body is not valid JSON.");
  }
}

function toMail(body: Record<string, unknown>, idempotencyKey: string | null, bodyHash: string): Mail {
  for (const field of UNSUPPORTED) {
    if (body[field] !== undefined) {
      throw new ResendError(501, "not_supported", `The local Resend stand-in does not support \`${field}\`.`);
    }
  }
  const from = requiredText(body, "from");
  if (!ADDRESS.test(from)) throw new ResendError(422, "invalid_from_address", "Invalid `from` field.");
  const to = addresses(body, "to");
  if (to.length === 0) throw new ResendError(422, "missing_required_field", "Missing `to` field.");
  const subject = requiredText(body, "subject");
  const markup = optionalText(body, "html");
  const text = optionalText(body, "text");
  if (markup === null && text === null) {
    throw new ResendError(422, "missing_required_field", "Missing `html` or `text` field.");
  }
  return {
    id: crypto.randomUUID(),
    created_at: new Date().toISOString(),
    from,
    to,
    cc: addresses(body, "cc"),
    bcc: addresses(body, "bcc"),
    reply_to: addresses(body, "reply_to"),
    subject,
    html: markup,
    text,
    headers: textRecord(body, "headers"),
    tags: records(body, "tags").map((tag) => ({ name: String(tag.name), value: String(tag.value) })),
    attachments: records(body, "attachments").map((file) => ({
      filename: String(file.filename ?? "attachment"),
      content_type: typeof file.content_type === "string" ? file.content_type : null,
      size: typeof file.content === "string" ? file.content.length : 0,
    })),
    idempotency_key: idempotencyKey,
    body_hash: bodyHash,
  };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A key whose name says so may only send, as keys with "sending access" at Resend. */
const SENDING_ONLY = "re_sending_";

function authenticate(request: Request, path: string): void {
  const header = request.headers.get("authorization") ?? "";
  const key = /^Bearer\s+(\S+)$/i.exec(header)?.[1];
  if (key === undefined) throw new ResendError(401, "missing_api_key", "Missing API Key");
  if (!key.startsWith("re_")) throw new ResendError(403, "invalid_api_key", "API key is invalid");
  if (key.startsWith(SENDING_ONLY) && path !== "/emails") {
    throw new ResendError(401, "restricted_api_key", "This API key is restricted to only send emails");
  }
}

async function send(request: Request, mails: MailStore, report: (mail: Mail) => void): Promise<Response> {
  const key = request.headers.get("idempotency-key");
  if (key !== null && (key.length < 1 || key.length > 256)) {
    throw new ResendError(400, "invalid_idempotency_key", "The key must be between 1-256 chars.");
  }
  const text = await request.text();
  const hash = await sha256(text);
  // From here to add() nothing is awaited, so that parallel requests with one key cannot both be accepted.
  const earlier = key === null ? undefined : mails.byIdempotencyKey(key);
  if (earlier !== undefined) {
    if (earlier.body_hash === hash) return jsonResponse({ id: earlier.id });
    throw new ResendError(
      409,
      "invalid_idempotent_request",
      "Same idempotency key used with a different request payload.",
    );
  }
  const mail = toMail(parseBody(text), key, hash);
  mails.add(mail);
  report(mail);
  return jsonResponse({ id: mail.id });
}

/** Resend's "retrieve email": what was accepted, plus `last_event`. */
function retrieve(mail: Mail): Response {
  const { idempotency_key: _key, body_hash: _hash, ...rest } = mail;
  const last = reportsOf(mail).at(-1) ?? "email.delivered";
  return jsonResponse({ object: "email", ...rest, last_event: last.slice("email.".length) });
}

interface Webhook {
  id: string;
  object: "webhook";
  endpoint: string;
  created_at: string;
  status: string;
  events: string[];
  signing_secret: string;
}

/** What may be done with webhooks (https://resend.com/docs/api-reference/webhooks); null: not one of these. */
async function webhookAnswer(
  request: Request,
  path: string,
  webhooks: Map<string, Webhook>,
): Promise<Response | null> {
  const id = /^\/webhooks(?:\/([0-9a-f-]{36}))?$/.exec(path);
  if (id === null) return null;
  const known = id[1] === undefined ? undefined : webhooks.get(id[1]);
  if (id[1] !== undefined && known === undefined) {
    throw new ResendError(404, "not_found", "Webhook not found");
  }
  if (request.method === "DELETE" && known !== undefined) {
    webhooks.delete(known.id);
    return jsonResponse({ object: "webhook", id: known.id, deleted: true });
  }
  if (request.method === "GET") {
    if (known !== undefined) return jsonResponse(known);
    const data = [...webhooks.values()].map(({ object: _object, signing_secret: _secret, ...shown }) =>
      shown
    );
    return jsonResponse({ object: "list", has_more: false, data });
  }
  const body = parseBody(await request.text());
  if (request.method === "POST" && known === undefined) {
    const webhook: Webhook = {
      id: crypto.randomUUID(),
      object: "webhook",
      endpoint: requiredText(body, "endpoint"),
      created_at: new Date().toISOString(),
      status: "enabled",
      events: eventNames(body),
      signing_secret: `whsec_${crypto.getRandomValues(new Uint8Array(24)).toBase64()}`,
    };
    webhooks.set(webhook.id, webhook);
    return jsonResponse({ object: "webhook", id: webhook.id, signing_secret: webhook.signing_secret }, 201);
  }
  if (request.method === "PATCH" && known !== undefined) {
    known.endpoint = optionalText(body, "endpoint") ?? known.endpoint;
    if (body.events !== undefined) known.events = eventNames(body);
    known.status = optionalText(body, "status") ?? known.status;
    return jsonResponse({ object: "webhook", id: known.id });
  }
  return null;
}

function eventNames({ events }: Record<string, unknown>): string[] {
  if (
    Array.isArray(events) && events.length > 0 &&
    events.every((name) => /^(email|domain|contact)\.\w+$/.test(String(name)))
  ) {
    return events.map(String);
  }
  throw new ResendError(422, "validation_error", "The `events` field must name events.");
}

async function setFault(request: Request): Promise<Fault | null> {
  if (request.method === "DELETE") return null;
  const body = parseBody(await request.text());
  const status = Number(body.status ?? 500);
  const times = Number(body.times ?? 1);
  if (!Number.isInteger(status) || status < 400 || status > 599 || !Number.isInteger(times) || times < 1) {
    throw new ResendError(422, "validation_error", "A fault is { status: 400–599, times: 1 or more }.");
  }
  return { status, times, retryAfter: body.retry_after === undefined ? null : String(body.retry_after) };
}

/**
 * Enough of Resend's API to send mail offline: `POST /resend/emails`, `GET /resend/emails/{id}`, and `/resend/webhooks`,
 * which are kept and not called.
 * `report` is told of each mail that was accepted.
 * `POST /resend/_control/faults { status, times, retry_after? }` makes the next sends fail; `DELETE` clears it.
 */
export function resendStandIn(mails: MailStore, report: (mail: Mail) => void = () => {}): Pages {
  let fault: Fault | null = null;
  const webhooks = new Map<string, Webhook>();

  function injectedFault(): Response | null {
    if (fault === null) return null;
    const { status, retryAfter } = fault;
    fault = fault.times > 1 ? { ...fault, times: fault.times - 1 } : null;
    const name = FAULT_NAMES[status] ?? "application_error";
    const headers: Record<string, string> = retryAfter === null ? {} : { "retry-after": retryAfter };
    return jsonResponse(
      { statusCode: status, name, message: "Injected by _control/faults." },
      status,
      headers,
    );
  }

  async function answer(request: Request, path: string): Promise<Response> {
    if (path === "/_control/faults" && (request.method === "POST" || request.method === "DELETE")) {
      fault = await setFault(request);
      return jsonResponse({ fault });
    }
    authenticate(request, path);
    if (path === "/emails" && request.method === "POST") {
      return injectedFault() ?? await send(request, mails, report);
    }
    const id = /^\/emails\/([0-9a-f-]{36})$/.exec(path)?.[1];
    if (id !== undefined && request.method === "GET") {
      const mail = mails.get(id);
      if (mail === undefined) throw new ResendError(404, "not_found", "Email not found");
      return retrieve(mail);
    }
    const answered = await webhookAnswer(request, path, webhooks);
    if (answered !== null) return answered;
    throw new ResendError(
      501,
      "not_supported",
      `The local Resend stand-in has no ${request.method} ${path}.`,
    );
  }

  return async (request, url) => {
    try {
      return await answer(request, url.pathname.slice("/resend".length));
    } catch (error) {
      if (!(error instanceof ResendError)) throw error;
      const { status, name, message } = error;
      return jsonResponse({ statusCode: status, name, message }, status);
    }
  };
}
