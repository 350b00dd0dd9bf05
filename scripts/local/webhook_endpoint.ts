import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { SUPABASE_DIR } from "../lib/paths.ts";
import { StackError } from "../lib/errors.ts";

const WEBHOOK_PATH = "/functions/v1/stripe-webhook";

/**
 * Makes the stand-in deliver to this stack's webhook function, signed with its secret, whether or not it did so before:
 * the secret may be another one than at the last start.
 */
export async function ensureWebhookEndpoint(
  stripeUrl: string,
  { stripe_secret_key: secretKey, stripe_webhook_secret: secret }: {
    stripe_secret_key: string;
    stripe_webhook_secret: string;
  },
  apiUrl: string,
): Promise<void> {
  const call = async (method: string, path: string, body?: URLSearchParams | string) => {
    const response = await fetch(`${stripeUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${secretKey}` },
      body: body ?? null,
    });
    const answer = await response.json();
    if (!response.ok) throw new StackError(`Stripe stand-in: ${method} ${path}: ${answer?.error?.message}`);
    return answer;
  };
  const form = new URLSearchParams({ url: `${apiUrl}${WEBHOOK_PATH}` });
  for (const event of await enabledEvents()) form.append("enabled_events[]", event);
  const list = await call("GET", "/v1/webhook_endpoints?limit=100");
  const own = list.data.find((endpoint: { url: string }) => endpoint.url.endsWith(WEBHOOK_PATH));
  if (own !== undefined) {
    form.append("disabled", "false");
    await call("POST", `/v1/webhook_endpoints/${own.id}`, form);
    await call("POST", "/_control/roll_secret", JSON.stringify({ webhook_endpoint: own.id, secret }));
    return;
  }
  form.append("api_version", stripeApiVersion);
  await call("POST", "/v1/webhook_endpoints", form);
}

/** The registry decides what Stripe sends; without one, everything comes. */
async function enabledEvents(): Promise<string[]> {
  const registry = join(SUPABASE_DIR, "functions", "_shared", "stripe_events", "mod.ts");
  if (!(await Deno.stat(registry).then(() => true, () => false))) return ["*"];
  const module = await import(pathToFileURL(registry).href);
  return Array.isArray(module.enabledEvents) ? module.enabledEvents : ["*"];
}
