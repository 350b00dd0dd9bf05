import { svixHeaders } from "../../../supabase/functions/mail-webhook/signature.ts";
import { reportTypes } from "../../../supabase/functions/mail-webhook/mail_event.ts";
import { error, type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 15_000;

/** Whether the provider's reports get through, and it sends for the shop's domain. */
export async function checkMail(subject: Subject): Promise<Finding[]> {
  return [await checkReports(subject), await checkDomain(subject)].flat();
}

async function checkReports({ env, kind }: Subject): Promise<Finding[]> {
  if (env.mailProvider !== "resend" || env.resend === null) return [];
  const url = `${env.supabaseUrl}/functions/v1/mail-webhook`;
  const [secret] = env.resendWebhookSecrets;
  if (secret === undefined) {
    return [
      warning(
        "mail_reports_off",
        "nobody hears of mails that come back",
        `add a webhook to ${url} at Resend, with ${reportTypes.join(", ")}, and set its signing secret as ` +
          "RESEND_WEBHOOK_SECRETS",
      ),
    ];
  }
  // Signed and of no kind that is listened to: acknowledged, and nothing is changed.
  const body = new TextEncoder().encode('{"type":"doctor"}');
  const headers = await svixHeaders(body, secret, "doctor", Math.floor(Date.now() / 1000));
  const answer = await ask(url, { method: "POST", headers, body });
  if (answer === 200) return [ok("mail-webhook takes what RESEND_WEBHOOK_SECRETS signs")];
  return answer === 400
    ? [
      error(
        "mail_secret_unknown",
        "mail-webhook does not know the secret of RESEND_WEBHOOK_SECRETS",
        fixOf(kind),
      ),
    ]
    : [
      error(
        "mail_webhook_silent",
        `the function mail-webhook does not answer (${answer ?? "nothing"})`,
        fixOf(kind),
      ),
    ];
}

/** The sender's domain at Resend, where setup's key may look: mail from one that is not verified is refused. */
async function checkDomain({ env, values }: Subject): Promise<Finding[]> {
  const key = values["RESEND_SETUP_API_KEY"];
  const domain = /@([^\s>]+)>?\s*$/.exec(env.emailFrom ?? "")?.[1]?.toLowerCase();
  if (env.mailProvider !== "resend" || env.resend === null || key === undefined || domain === undefined) {
    return [];
  }
  try {
    const response = await fetch(`${env.resend.apiBase}/domains`, {
      headers: { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`${response.status}`);
    const { data }: { data: { name: string; status: string }[] } = await response.json();
    return judgeDomain(domain, data);
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : "no answer";
    return [
      unseen(`Resend's domains could not be read (${reason})`, "give RESEND_SETUP_API_KEY full access"),
    ];
  }
}

/** Whether Resend sends for the sender's domain, or for the one that it is part of. */
export function judgeDomain(domain: string, known: { name: string; status: string }[]): Finding[] {
  const found = known.find(({ name }) => domain === name || domain.endsWith(`.${name}`));
  if (found?.status === "verified") return [ok(`Resend has verified ${found.name}`)];
  return [
    error(
      "mail_domain_unverified",
      found === undefined
        ? `Resend does not know the sender's domain ${domain}`
        : `Resend has not verified ${found.name} (${found.status})`,
      'add the DNS records that Resend shows under Domains (SPF and DKIM), and wait for "Verified"',
    ),
  ];
}

function fixOf(kind: Subject["kind"]): string {
  return kind === "local" ? "look at the gateway's log in $LOCAL_DIR/logs" : "run 'deno task setup'";
}

/** The status of the function's own answer; another's, or none, is null. */
async function ask(url: string, init: RequestInit = {}): Promise<number | null> {
  try {
    const response = await fetch(url, {
      ...init,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    return response.headers.has("x-request-id") ? response.status : null;
  } catch {
    return null;
  }
}
