/** What Stripe's webhook endpoints are, against what they should be. */
import type Stripe from "stripe";
import { stripeApiVersion } from "../../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";

/** The endpoints at our address. */
export interface EndpointState {
  /** The one to keep; null where none has our API version. */
  current: Stripe.WebhookEndpoint | null;
  /** Enabled endpoints besides it: they deliver the same events again, or in another API version. */
  surplus: Stripe.WebhookEndpoint[];
  missingEvents: string[];
  extraEvents: string[];
}

/** Where Stripe is to post events. */
export function webhookUrl(supabaseUrl: string): string {
  return `${supabaseUrl}/functions/v1/stripe-webhook`;
}

/** Reads all endpoints of the account and sorts those at this address. */
export async function readEndpoints(stripe: Stripe, url: string): Promise<EndpointState> {
  const all = await stripe.webhookEndpoints.list({ limit: 100 }).autoPagingToArray({ limit: 1_000 });
  return sortEndpoints(all.filter((endpoint) => endpoint.url === url));
}

/** Chooses the endpoint to keep: with our API version (it is fixed at creation), enabled before disabled, oldest first. */
export function sortEndpoints(own: Stripe.WebhookEndpoint[]): EndpointState {
  const fitting = own.filter((endpoint) => endpoint.api_version === stripeApiVersion)
    .sort((a, b) => Number(b.status === "enabled") - Number(a.status === "enabled") || a.created - b.created);
  const current = fitting[0] ?? null;
  return {
    current,
    surplus: own.filter((endpoint) => endpoint.id !== current?.id && endpoint.status === "enabled"),
    missingEvents: current === null ? [] : missing(enabledEvents, current.enabled_events),
    extraEvents: current === null ? [] : missing(current.enabled_events, enabledEvents),
  };
}

/** The events of `wanted` that an endpoint is not subscribed to. */
export function missing(wanted: string[], given: string[]): string[] {
  return given.includes("*") ? [] : wanted.filter((event) => !given.includes(event));
}
