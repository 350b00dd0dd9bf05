/** Tells staff: posts the alert to ALERT_WEBHOOK_URL, mails it to ALERT_EMAIL. With neither, the row is enough. */
import { alertMail } from "../emails/alert.ts";
import type { StoredAlert } from "../rpc.ts";
import { done, type JobContext, type JobHandler, textField } from "./outcome.ts";
import { postMail } from "./resend.ts";

const timeoutMs = 10_000;

/** Payload: { alert_id }. */
export const sendAlert: JobHandler = async (job, context) => {
  const alert = await context.rpc.getAlert(textField(job, "alert_id"));
  if (alert === null) return { kind: "discard", reason: "the alert does not exist any more" };
  await Promise.all([postAlert(alert, context), mailAlert(alert, context)]);
  return done;
};

async function postAlert(alert: StoredAlert, { env, fetch }: JobContext): Promise<void> {
  if (env.alertWebhookUrl === null) return;
  const response = await fetch(env.alertWebhookUrl, {
    method: "POST",
    // The receiver can tell repeats by it; `text` is what Slack and its kind show.
    headers: { "content-type": "application/json", "idempotency-key": `alert_${alert.id}` },
    body: JSON.stringify({
      text: `[${alert.severity}] ${alert.kind}: ${JSON.stringify(alert.data)}`,
      alert: {
        id: alert.id,
        kind: alert.kind,
        severity: alert.severity,
        data: alert.data,
        first_at: alert.first_at,
      },
    }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the alert webhook answered ${response.status}`);
}

async function mailAlert(alert: StoredAlert, { env, fetch, now }: JobContext): Promise<void> {
  if (env.alertEmail === null || env.resend === null || env.emailFrom === null) return;
  const mail = { from: env.emailFrom, to: env.alertEmail, ...alertMail(alert) };
  const answer = await postMail(mail, `alert_${alert.id}`, { resend: env.resend, fetch, now });
  if (answer.kind !== "sent") throw new Error(answer.error);
}
