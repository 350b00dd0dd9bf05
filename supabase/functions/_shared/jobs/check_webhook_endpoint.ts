/**
 * Asks Stripe whether the webhook endpoint is still as setup left it: Stripe disables one that failed for days, and
 * anybody with access to the dashboard can change it (https://docs.stripe.com/webhooks). What it means is decided in
 * SQL, together with what is really delivered.
 */
import type { EndpointLook } from "../database/webhooks.ts";
import { callStripe, stripeErrorOf } from "../stripe/client.ts";
import { lookAt, readEndpoints, webhookUrl } from "./webhook_endpoints.ts";
import { done, type JobContext, type JobHandler } from "./outcome.ts";

/** Payload: none. */
export const checkWebhookEndpoint: JobHandler = async (_job, context) => {
  const { env, rpc, log } = context;
  const look = await readLook(context);
  await rpc.recordWebhookEndpoint(env.livemode, look);
  if (look.state !== "ok") log.warn("webhook_endpoint_differs", { ...look });
  return done;
};

async function readLook({ env, stripe }: JobContext): Promise<EndpointLook> {
  try {
    return lookAt(await callStripe(() => readEndpoints(stripe, webhookUrl(env.supabaseUrl))));
  } catch (error) {
    // A restricted key need not be able to read endpoints: deliveries are watched all the same.
    if (stripeErrorOf(error)?.statusCode !== 403) throw error;
    return { state: "not_permitted", endpointId: null, differences: [] };
  }
}
