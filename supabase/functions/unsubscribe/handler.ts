/**
 * Ends reminders, by the link that each of them carries (RFC 8058). Mailboxes `POST` it when their reader presses
 * "unsubscribe"; scanners and previews open links too, so a `GET` only leads to the shop's page, which offers to `POST`.
 */
import type { z } from "zod";
import type { NotificationCalls } from "../_shared/database/notifications.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { unsubscribeAnswer } from "../_shared/http/answers.ts";
import { json, readBody, respond } from "../_shared/http/endpoint.ts";
import { readable } from "../_shared/http/refusal_page.ts";
import type { Logger } from "../_shared/log.ts";
import { readUnsubscribeToken } from "../_shared/mails/unsubscribe_link.ts";

export interface Deps {
  env: Pick<Env, "allowedOrigins" | "siteUrl" | "linkSigningSecret" | "earlierLinkSigningSecrets">;
  rpc: Pick<NotificationCalls, "unsubscribeReminders">;
  log: Logger;
}

const bodyLimitBytes = 4 * 1024;

/** Answers `GET ?token=…` with 303 and changes nothing; `POST ?token=…` with the body of RFC 8058 unsubscribes. */
export async function handle(request: Request, deps: Deps): Promise<Response> {
  const endpoint = {
    methods: ["GET", "POST"] as const,
    allowedOrigins: deps.env.allowedOrigins,
    log: deps.log,
  };
  const answer = await respond(request, endpoint, async () => {
    const token = new URL(request.url).searchParams.get("token") ?? "";
    const hmac = await readUnsubscribeToken(token, deps.env);
    if (request.method !== "POST") return toPage(token, deps.env.siteUrl);
    await requireOneClick(request);
    await deps.rpc.unsubscribeReminders(hmac);
    const answer: z.infer<typeof unsubscribeAnswer> = { unsubscribed: true };
    return json(answer);
  });
  return await readable(request, answer, deps.env.siteUrl);
}

function toPage(token: string, siteUrl: string): Response {
  const page = new URL(`${siteUrl}/unsubscribe`);
  page.searchParams.set("token", token);
  return new Response(null, {
    status: 303,
    headers: { location: page.href, "referrer-policy": "no-referrer" },
  });
}

/**
 * The body `List-Unsubscribe=One-Click`, as either kind of form.
 * @throws AppError `unsupported_media_type`, `invalid_request`, `body_too_large`.
 */
async function requireOneClick(request: Request): Promise<void> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^(application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(type)) {
    throw new AppError("unsupported_media_type", {
      message: "Send List-Unsubscribe=One-Click as a form (RFC 8058).",
    });
  }
  const body = await readBody(request, bodyLimitBytes);
  if (await fieldOf(body, type) !== "One-Click") {
    throw new AppError("invalid_request", {
      details: [{ path: "List-Unsubscribe", message: "must be One-Click" }],
    });
  }
}

async function fieldOf(body: Uint8Array, type: string): Promise<unknown> {
  try {
    const bytes = new Uint8Array(body);
    const form = await new Response(bytes.buffer, { headers: { "content-type": type } }).formData();
    return form.get("List-Unsubscribe");
  } catch (cause) {
    throw new AppError("invalid_request", { message: "The request body is no form.", cause });
  }
}
