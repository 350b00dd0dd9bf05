/** Whether the deployed stripe-webhook takes what the signing secrets sign, asked over its public address. */
import { webhookUrl } from "../../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { signPayload } from "../../../supabase/functions/_shared/stripe/signature.ts";
import { error, type Finding, ok, unseen } from "./finding.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 15_000;

/**
 * Signs what is no event with each secret. The function looks at the signature first, so its refusal tells whether it
 * knows the secret; nothing is stored but one more count in webhook_rejections.
 */
export async function checkWebhookSecrets({ env, kind }: Pick<Subject, "env" | "kind">): Promise<Finding[]> {
  const url = webhookUrl(env.supabaseUrl);
  const answers: (string | null)[] = [];
  for (const secret of env.stripeWebhookSecrets) answers.push(await ask(url, secret));
  const findings = answers.flatMap((code, at) => judgeAnswer(code, at, answers.length, kind));
  if (findings.length > 0) return findings;
  return answers.includes("ip_not_allowed")
    ? [ok("stripe-webhook takes deliveries of Stripe's addresses alone, so no probe from here")]
    : [ok("stripe-webhook takes what STRIPE_WEBHOOK_SECRETS signs")];
}

function judgeAnswer(code: string | null, at: number, of: number, kind: Subject["kind"]): Finding[] {
  // Of these two the first is refused behind the signature, the second before it.
  if (code === "invalid_payload" || code === "ip_not_allowed") return [];
  const fix = kind === "local" ? "restart 'deno task dev'" : "run 'deno task setup'";
  if (code === "invalid_signature") {
    return [error(
      "webhook_secret_unknown",
      `stripe-webhook does not know secret ${at + 1} of ${of} in STRIPE_WEBHOOK_SECRETS`,
      `compare it with the endpoint's in Stripe's dashboard (Developers, Webhooks), then ${fix}`,
    )];
  }
  if (code === "rate_limited" || code === "timestamp_out_of_tolerance") {
    return [unseen(`stripe-webhook does not judge a signature from here (${code})`, "try again in a minute")];
  }
  return [error("webhook_silent", `the function stripe-webhook does not answer (${code ?? "nothing"})`, fix)];
}

/** The code of the function's own answer; another's status, or null where none came. */
async function ask(url: string, secret: string): Promise<string | null> {
  const body = new TextEncoder().encode('{"object":"doctor"}');
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "stripe-signature": await signPayload(body, secret, Math.floor(Date.now() / 1000)) },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer: { error?: { code?: string } } | null = await response.json().catch(() => null);
    return answer?.error?.code ?? `${response.status}`;
  } catch {
    return null;
  }
}
