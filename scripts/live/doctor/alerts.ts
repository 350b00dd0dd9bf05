import { chatMessage } from "../../../supabase/functions/_shared/jobs/tell_staff.ts";
import { error, type Finding, ok } from "./finding.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 10_000;

/**
 * Whether ALERT_WEBHOOK_URL takes a message.
 * @param send whether to send one; otherwise there is nothing to say.
 */
export async function checkAlerts(
  { env }: Pick<Subject, "env">,
  send: boolean,
  doFetch: typeof fetch = fetch,
): Promise<Finding[]> {
  if (!send) return [];
  const fix = "set ALERT_WEBHOOK_URL to an address that takes a JSON POST, e.g. an incoming webhook of Slack";
  if (env.alertWebhookUrl === null) {
    return [error("alert_webhook_unset", "ALERT_WEBHOOK_URL is not set", fix)];
  }
  try {
    const response = await doFetch(env.alertWebhookUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(chatMessage({
        content: {
          subject: "[test] Alerts arrive here",
          preheader: "",
          heading: "",
          paragraphs: ["A test by deno task doctor. Nothing is wrong."],
        },
        links: [],
      })),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = (await response.text()).slice(0, 100);
    return response.ok
      ? [ok("ALERT_WEBHOOK_URL took a test message: see that it has arrived")]
      : [error("alert_webhook_refuses", `ALERT_WEBHOOK_URL answered ${response.status} ${answer}`, fix)];
  } catch (failure) {
    return [
      error(
        "alert_webhook_refuses",
        `ALERT_WEBHOOK_URL: ${failure instanceof Error ? failure.message : "no answer"}`,
        fix,
      ),
    ];
  }
}
