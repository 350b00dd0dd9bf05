import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { SUPABASE_DIR } from "../lib/paths.ts";
import { StackError } from "../lib/errors.ts";

const WEBHOOK_PATH = "/functions/v1/stripe-webhook";

/** Makes the stand-in deliver to this stack's webhook function, whether or not it did so before. */
export async function ensureWebhookEndpoint(
  stripeUrl: string,
  secretKey: string,
  apiUrl: string,
): Promise<void> {
  const call = async (method: string, path: string, form?: URLSearchParams) => {
    const response = await fetch(`${stripeUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${secretKey}` },
      body: form ?? null,
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
