/**
 * Takes over the addresses that Stripe posts webhooks from (https://stripe.com/files/ips/ips_webhooks.json, changed
 * with seven days' notice). A list frozen in code becomes an outage.
 */
import * as z from "zod/mini";
import { normalizeAddress } from "../http/client_ip.ts";
import { done, type JobHandler, type Outcome } from "./outcome.ts";

const timeoutMs = 10_000;
const published = z.looseObject({ WEBHOOKS: z.array(z.string()).check(z.minLength(1), z.maxLength(1000)) });

/** Payload: none. */
export const refreshWebhookAddresses: JobHandler = async (_job, { env, rpc, fetch, log }) => {
  if (env.stripeApiBase !== null && new URL(env.stripeWebhookIpsUrl).hostname === "stripe.com") {
    return { kind: "discard", reason: "offline: STRIPE_API_BASE is set, and Stripe's list is not asked for" };
  }
  let response: Response;
  try {
    response = await fetch(env.stripeWebhookIpsUrl, { signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    return outage(error instanceof Error ? error.message : "no answer");
  }
  const body = await response.text();
  if (!response.ok) return outage(`status ${response.status}`);
  const addresses = parseAddresses(body);
  // A page that is no list must not empty ours: the last good one stays.
  if (addresses === null) return outage("not a list of addresses");
  const changes = await rpc.replaceWebhookAddresses(addresses);
  if (changes.added.length > 0 || changes.removed.length > 0) log.warn("webhook_addresses_changed", changes);
  return done;
};

function outage(error: string): Outcome {
  return {
    kind: "retry",
    error: `the list of webhook addresses could not be read: ${error}`,
    provider: "down",
  };
}

/** The addresses in canonical form; null when the text is not such a list, or any entry is no address. */
export function parseAddresses(body: string): string[] | null {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return null;
  }
  const parsed = published.safeParse(value);
  if (!parsed.success) return null;
  const addresses = parsed.data.WEBHOOKS.map(normalizeAddress);
  return addresses.every((address) => address !== null) ? addresses : null;
}
