/** What Stripe's webhook endpoints are, against what they should be. */
import type Stripe from "stripe";
import type { EndpointLook } from "../database/webhooks.ts";
import { stripeApiVersion } from "../stripe/api_version.ts";
import { enabledEvents } from "../stripe_events/mod.ts";

/** The endpoints at our address. */
export interface EndpointState {
  /** The one to keep; null where none has our API version. */
  current: Stripe.WebhookEndpoint | null;
  /**
   * Enabled endpoints besides it: they deliver the same events again, or in another API version. Not one that a rotation
   * has made.
   */
  surplus: Stripe.WebhookEndpoint[];
  /** All that Stripe posts nothing to. */
  disabled: Stripe.WebhookEndpoint[];
  missingEvents: string[];
  extraEvents: string[];
}

/** In an endpoint's metadata while its signing secret is to take the place of another's (docs/rotation.md). */
export const rotationMark = "rotation";

/** Where Stripe is to post events. */
export function webhookUrl(supabaseUrl: string): string {
  return `${supabaseUrl}/functions/v1/stripe-webhook`;
}

/** Reads all endpoints of the account in the key's mode and sorts those at this address. One call for up to 100. */
export async function readEndpoints(stripe: Stripe, url: string): Promise<EndpointState> {
  const all = await stripe.webhookEndpoints.list({ limit: 100 }).autoPagingToArray({ limit: 1_000 });
  return sortEndpoints(all.filter((endpoint) => endpoint.url === url));
}

/** Chooses the endpoint to keep: with our API version (it is fixed at creation), enabled before disabled, oldest first. */
export function sortEndpoints(own: Stripe.WebhookEndpoint[]): EndpointState {
  const settled = own.filter(({ metadata }) => metadata[rotationMark] === undefined);
  // What a rotation has made is silent at first, and counts once it is alone.
  const judged = settled.some(({ status }) => status === "enabled") ? settled : own;
  const fitting = judged.filter((endpoint) => endpoint.api_version === stripeApiVersion)
    .sort((a, b) => Number(b.status === "enabled") - Number(a.status === "enabled") || a.created - b.created);
  const current = fitting[0] ?? null;
  return {
    current,
    surplus: judged.filter(({ id, status }) => id !== current?.id && status === "enabled"),
    disabled: own.filter((endpoint) => endpoint.status !== "enabled"),
    missingEvents: current === null ? [] : missing(enabledEvents, current.enabled_events),
    extraEvents: current === null ? [] : missing(current.enabled_events, enabledEvents),
  };
}

/** The events of `wanted` that an endpoint is not subscribed to. */
export function missing(wanted: string[], given: string[]): string[] {
  return given.includes("*") ? [] : wanted.filter((event) => !given.includes(event));
}

/** The endpoint that delivers, against the registry of events and the pinned API version. */
export function lookAt(state: EndpointState): EndpointLook {
  const delivering = state.current?.status === "enabled" ? state.current : state.surplus[0];
  if (delivering === undefined) {
    const endpointId = state.disabled[0]?.id ?? null;
    return { state: endpointId === null ? "missing" : "disabled", endpointId, differences: [] };
  }
  const differences = differencesOf(delivering);
  return { state: differences.length === 0 ? "ok" : "changed", endpointId: delivering.id, differences };
}

function differencesOf({ enabled_events: given, api_version: version }: Stripe.WebhookEndpoint): string[] {
  const lacking = missing(enabledEvents, given), extra = missing(given, enabledEvents);
  return [
    ...(version === stripeApiVersion
      ? []
      : [`sends API version ${version ?? "of the account"}, not ${stripeApiVersion}`]),
    ...(lacking.length === 0 ? [] : [`lacks ${lacking.join(", ")}`]),
    ...(extra.length === 0 ? [] : [`also sends ${extra.join(", ")}`]),
  ];
}
