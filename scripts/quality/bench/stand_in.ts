/** What the benches ask of the stand-in. */
import Stripe from "stripe";
import type { Stack } from "../../local/stack.ts";
import { post } from "./post.ts";

/** Stripe's SDK, talking to a stack's stand-in. */
export function stripeOf(stack: Stack): Stripe {
  const { hostname, port } = new URL(stack.stripe_url);
  return new Stripe(stack.stripe_secret_key, { host: hostname, port, protocol: "http", telemetry: false });
}

/** A call of the stand-in's control API. Throws what it answers when it refuses. */
export async function control(stack: Stack, call: string, body: object): Promise<void> {
  await post(`${stack.stripe_url}/_control/${call}`, body);
}

/** The header that Stripe signs a delivery with. */
export function signatureOf(stack: Stack, payload: string): Promise<string> {
  return Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret: stack.stripe_webhook_secret });
}
