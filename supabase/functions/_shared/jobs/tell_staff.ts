/**
 * Tells staff something: posts it to ALERT_WEBHOOK_URL as Slack and its kind show it, and mails it to ALERT_EMAIL.
 *
 * That mail is broken is what an alert may be about, so mail is never the only way where there is another: what was
 * posted counts as told although the mail fails, and mail alone waits for a provider that refuses us.
 */
import { staffMail, type StaffMessage } from "../mails/alert.ts";
import type { Content } from "../mails/content.ts";
import type { ShopSettings } from "../database/notifications.ts";
import type { JobContext, Outcome } from "./outcome.ts";
import { mailProvider } from "../mail_providers/mod.ts";
import { laterOutcome } from "./mail_outcome.ts";

const timeoutMs = 10_000;
const lookAgainMs = 10 * 60_000;

/** Null when staff know; they may have been told by one way only. */
export async function tellStaff(
  message: StaffMessage,
  shop: ShopSettings,
  /** The same for a repeat of the same message. */
  key: string,
  /** What a program that takes the webhook reads, beside what a person does. */
  extra: Record<string, unknown>,
  context: JobContext,
): Promise<Outcome | null> {
  const { env, log } = context;
  const [posted, mailed] = await Promise.all([
    post(message, key, extra, context),
    mail(message, shop, key, context),
  ]);
  if (posted !== null || mailed === null || env.alertWebhookUrl === null) return posted ?? mailed;
  log.warn("alert_not_mailed", { subject: message.content.subject, outcome: mailed });
  return null;
}

async function post(
  message: StaffMessage,
  key: string,
  extra: Record<string, unknown>,
  { env, fetch }: JobContext,
): Promise<Outcome | null> {
  if (env.alertWebhookUrl === null) return null;
  try {
    const response = await fetch(env.alertWebhookUrl, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ ...chatMessage(message), ...extra }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    if (response.ok) return null;
    return { kind: "retry", error: `the alert webhook answered ${response.status}` };
  } catch (error) {
    return {
      kind: "retry",
      error: `the alert webhook: ${error instanceof Error ? error.message : "no answer"}`,
    };
  }
}

/** Slack's limits: https://docs.slack.dev/reference/block-kit/blocks */
const headerMax = 150;
const sectionMax = 3_000;
const fieldMax = 2_000;
const fieldsMax = 10;

/** What Slack shows as blocks; `text` is its notification, and all that other chats show. */
export function chatMessage({ content, links }: StaffMessage): { text: string; blocks: unknown[] } {
  const { subject, paragraphs, facts = [] } = content;
  const fields = facts.map(({ name, value }) => ({
    type: "mrkdwn",
    text: cut(`*${chatText(name)}*\n${chatText(value)}`, fieldMax),
  }));
  return {
    text: [subject, ...paragraphs, ...facts.map(({ name, value }) => `${name}: ${value}`)].map(chatText).join(
      " ",
    ),
    blocks: [
      { type: "header", text: { type: "plain_text", text: cut(subject, headerMax) } },
      { type: "section", text: { type: "mrkdwn", text: cut(bodyOf(content), sectionMax) } },
      ...rowsOf(fields).map((row) => ({ type: "section", fields: row })),
      ...(links.length === 0 ? [] : [{
        type: "section",
        text: {
          type: "mrkdwn",
          text: links.map(({ label, url }) => `<${url}|${chatText(label)}>`).join(" · "),
        },
      }]),
    ],
  };
}

function bodyOf({ paragraphs, closing = [] }: Content): string {
  return [...paragraphs, ...closing].map(chatText).join("\n");
}

function rowsOf<T>(fields: T[]): T[][] {
  return fields.length === 0 ? [] : [fields.slice(0, fieldsMax), ...rowsOf(fields.slice(fieldsMax))];
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

/** Slack and its kind read what stands in angle brackets as a link or a call to everybody. */
function chatText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

async function mail(
  message: StaffMessage,
  shop: ShopSettings,
  key: string,
  { env, fetch, now }: JobContext,
): Promise<Outcome | null> {
  const mailer = mailProvider(env, fetch);
  if (env.alertEmail === null || mailer === null) return null;
  const rendered = {
    from: mailer.from,
    to: env.alertEmail,
    ...staffMail(message, shop, env.siteUrl),
    notificationId: null,
  };
  const answer = await mailer.provider.send(rendered, key);
  switch (answer.kind) {
    case "sent":
      return null;
    case "busy":
      return laterOutcome(answer, now());
    case "unauthorized":
      return { kind: "snooze", until: new Date(now() + lookAgainMs), reason: answer.error };
    default:
      // The breaker of mail is not that of alerts.
      return { kind: "retry", error: answer.error };
  }
}
