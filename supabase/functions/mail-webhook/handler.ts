/**
 * What became of mails, as Resend reports it: signed, late, twice, in any order. The database merges it. What could
 * not be stored is answered 5xx, and Resend tells it again.
 */
import type { z } from "zod";
import type { NotificationCalls } from "../_shared/database/notifications.ts";
import type { Env } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import type { mailWebhookAnswer } from "../_shared/http/answers.ts";
import { json, readBody, respond } from "../_shared/http/endpoint.ts";
import type { Logger } from "../_shared/log.ts";
import { readMailEvent, reportTypeOf } from "./mail_event.ts";
import { isSigned } from "./signature.ts";

export interface Deps {
  env: Pick<Env, "resendWebhookSecrets">;
  rpc: Pick<NotificationCalls, "recordMailEvent">;
  log: Logger;
  now: () => number;
}

/** Reports carry a subject and addresses, never a body. */
const bodyLimitBytes = 64 * 1024;

/** Answers one delivery; `POST` only. */
export function handle(request: Request, deps: Deps): Promise<Response> {
  return respond(request, { methods: ["POST"], allowedOrigins: null, log: deps.log }, async (context) => {
    const body = await readBody(request, bodyLimitBytes);
    if (!await isSigned(body, request.headers, deps.env.resendWebhookSecrets, deps.now())) {
      throw new AppError("invalid_signature");
    }
    const payload = parse(body);
    const event = readMailEvent(payload);
    const type = reportTypeOf(payload);
    if (event === null && type !== null) context.log.warn("mail_event_not_understood", { type });
    const { outcome, order_id: orderId } = event === null
      ? { outcome: "ignored" as const, order_id: null }
      : await deps.rpc.recordMailEvent(event);
    const log = orderId === null ? context.log : context.concerns(orderId);
    context.span?.set({ "mail.status": event?.status, "mail.outcome": outcome });
    log.info("mail_event", { outcome, status: event?.status, notification_id: event?.notificationId });
    const answer: z.infer<typeof mailWebhookAnswer> = { received: true, outcome };
    return json(answer);
  });
}

/** What was signed and is no JSON is no report either. */
function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return null;
  }
}
