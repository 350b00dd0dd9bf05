/**
 * Tells staff: posts the alert to ALERT_WEBHOOK_URL, mails it to ALERT_EMAIL. With neither, the row is enough.
 *
 * That mail is broken is what an alert may be about, so mail is never the only way where there is another: what was
 * posted counts as told although the mail fails, and the mail of an alert waits for a provider that refuses us.
 */
import { alertFields, alertMail } from "../mails/alert.ts";
import type { StoredAlert } from "../database/notifications.ts";
import { done, type JobContext, type JobHandler, type Outcome, textField } from "./outcome.ts";
import { postMail } from "./resend.ts";

const timeoutMs = 10_000;

/** Payload: { alert_id }. */
export const sendAlert: JobHandler = async (job, context) => {
  const alert = await context.rpc.getAlert(textField(job, "alert_id"));
  if (alert === null) return { kind: "discard", reason: "the alert does not exist any more" };
  if (alert.status === "resolved") return { kind: "discard", reason: "the alert has been resolved" };
  // An alert that was resolved and came back is another message.
  const key = `alert_${alert.id}_${job.id}`;
  const [posted, mailed] = await Promise.all([
    postAlert(alert, key, context),
    mailAlert(alert, key, context),
  ]);
  if (posted !== null) return posted;
  if (mailed === null) return done;
  if (context.env.alertWebhookUrl === null) return mailed;
  context.log.warn("alert_not_mailed", { alert_id: alert.id, kind: alert.kind, outcome: mailed });
  return done;
};

const lookAgainMs = 10 * 60_000;

/** Null when there is nothing (more) to do. */
async function postAlert(
  alert: StoredAlert,
  key: string,
  { env, fetch }: JobContext,
): Promise<Outcome | null> {
  if (env.alertWebhookUrl === null) return null;
  try {
    const response = await fetch(env.alertWebhookUrl, {
      method: "POST",
      // The receiver can tell repeats by it; `text` is what Slack and its kind show.
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({
        text: chatText(`[${alert.severity}] ${alert.kind}: ${alertFields(alert).join(", ")}`),
        alert: {
          id: alert.id,
          kind: alert.kind,
          severity: alert.severity,
          data: alert.data,
          count: alert.count,
          first_at: alert.first_at,
          last_at: alert.last_at,
        },
      }),
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

/** Slack and its kind read what stands in angle brackets as a link or a call to everybody. */
function chatText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

async function mailAlert(alert: StoredAlert, key: string, context: JobContext): Promise<Outcome | null> {
  const { env, fetch, now } = context;
  if (env.alertEmail === null || env.resend === null || env.emailFrom === null) return null;
  const mail = { from: env.emailFrom, to: env.alertEmail, ...alertMail(alert, env.siteUrl, env.livemode) };
  const answer = await postMail(mail, key, { resend: env.resend, fetch, now });
  if (answer.kind === "later") {
    const { outcome } = answer;
    if (outcome.kind !== "retry") return outcome;
    if (outcome.provider === "unauthorized") {
      return { kind: "snooze", until: new Date(now() + lookAgainMs), reason: outcome.error };
    }
    // The breaker of mail is not that of alerts.
    return { kind: "retry", error: outcome.error };
  }
  return answer.kind === "refused" ? { kind: "retry", error: answer.error } : null;
}
