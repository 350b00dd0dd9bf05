import { parseAddresses } from "../../../supabase/functions/_shared/jobs/refresh_webhook_addresses.ts";
import { error, type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const timeoutMs = 10_000;

/** Compares the addresses that may post webhooks with those that Stripe publishes now. */
export async function checkAllowlist({ env, rpc, kind }: Subject): Promise<Finding> {
  if (env.stripeWebhookIpMode === "off") return ok("webhook allowlist is off");
  if (kind === "local") {
    return env.stripeWebhookExtraIps.includes("127.0.0.1")
      ? ok("webhook allowlist lets the stand-in's deliveries in")
      : error(
        "allowlist_without_stand_in",
        "the allowlist shuts out the stand-in",
        "add 127.0.0.1 to STRIPE_WEBHOOK_EXTRA_IPS",
      );
  }
  const known = await rpc.getWebhookAllowlist().catch(() => null);
  if (known === null) return unseen("the allowlist could not be read", "fix the API first");
  const published = await readPublished(env.stripeWebhookIpsUrl);
  if (published === null) {
    return unseen(
      `Stripe's list of addresses could not be read from here`,
      "see that this address answers: " +
        env.stripeWebhookIpsUrl,
    );
  }
  const missing = published.filter((address) => !known.addresses.includes(address));
  if (missing.length === 0) return ok(`webhook allowlist has all ${published.length} addresses of Stripe`);
  const say = env.stripeWebhookIpMode === "enforce" ? error : warning;
  return say(
    "allowlist_stale",
    `webhook allowlist lacks ${missing.join(", ")}`,
    "see why the daily job refresh_webhook_addresses fails; until then STRIPE_WEBHOOK_IP_MODE=report lets them in",
  );
}

async function readPublished(url: string): Promise<string[] | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return parseAddresses(await response.text());
  } catch {
    return null;
  }
}
