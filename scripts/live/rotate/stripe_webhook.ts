/**
 * The signing secret of Stripe's webhook endpoint. Stripe's API cannot roll it (its dashboard can), so a second endpoint
 * at the same address takes the place of the first: for a while both deliver, and what comes twice is known by its id.
 */
import type Stripe from "stripe";
import { rotationMark, webhookUrl } from "../../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { allEvents, createEndpoint, savedMark } from "../setup/webhook_endpoint.ts";
import { list, type RotateContext, type Rotation, workerMs } from "./rotation.ts";

/** An endpoint cannot be created disabled: until the functions know its secret it listens to what never happens. */
const silence: Stripe.WebhookEndpointCreateParams.EnabledEvent[] = [
  "test_helpers.test_clock.internal_failure",
];
const next = { [rotationMark]: "next" };

export const stripeWebhook: Rotation = {
  variable: "STRIPE_WEBHOOK_SECRETS",
  shape: list,
  checkedHere: true,
  finishAfterMs: workerMs,
  says: {
    obtain: "create a second endpoint at Stripe that is silent, and have the functions accept both secrets",
    use: "have both endpoints deliver every event",
    retire: "delete the first endpoint at Stripe, and have the functions forget its secret",
  },
  async obtain(context, _progress, keep) {
    // One whose secret was not kept is of no use.
    for (const { id } of (await endpoints(context)).fresh) await context.stripe.webhookEndpoints.del(id);
    const url = webhookUrl(context.project.env.supabaseUrl);
    await createEndpoint(context.stripe, { url, events: silence, metadata: next }, keep);
  },
  notReady: lost,
  lost,
  async use(context) {
    for (const { id } of (await endpoints(context)).fresh) {
      // The run that has kept its secret may have died before it said so: setup would take it for lost.
      await context.stripe.webhookEndpoints.update(id, { enabled_events: allEvents, metadata: savedMark });
    }
  },
  async unproved({ stripe }, { at }) {
    const ask = async (delivered: boolean) => {
      const created = { gte: Math.ceil(at / 1000) };
      const { data } = await stripe.events.list({ delivery_success: delivered, created, limit: 100 });
      return data.filter(({ type }) => enabledEvents.includes(type));
    };
    const [failed, delivered] = await Promise.all([ask(false), ask(true)]);
    if (failed[0] !== undefined) {
      return `${failed[0].id} and ${
        failed.length - 1
      } more events since then have not reached each endpoint: ` +
        "try again in a minute, then see their deliveries at Stripe";
    }
    return delivered.length > 0
      ? null
      : "no event has come since then to prove the new secret: try again after the next order";
  },
  async retire(context) {
    const { fresh, others } = await endpoints(context);
    // Where the first is gone already, the mark may be.
    if (fresh.length === 0) return;
    for (const { id } of others) await context.stripe.webhookEndpoints.del(id);
    for (const { id } of fresh) {
      await context.stripe.webhookEndpoints.update(id, { metadata: { [rotationMark]: "" } });
    }
  },
  async undo(context) {
    for (const { id } of (await endpoints(context)).fresh) await context.stripe.webhookEndpoints.del(id);
  },
};

async function lost(context: RotateContext): Promise<string | null> {
  const { fresh } = await endpoints(context);
  return fresh.length === 1 ? null : "the second endpoint is not at Stripe any more: go back and begin again";
}

/** The endpoints at our address: what a rotation made, and the rest. */
async function endpoints({ stripe, project }: RotateContext) {
  const url = webhookUrl(project.env.supabaseUrl);
  const all = await stripe.webhookEndpoints.list({ limit: 100 }).autoPagingToArray({ limit: 1_000 });
  const own = all.filter((endpoint) => endpoint.url === url);
  const isFresh = ({ metadata }: Stripe.WebhookEndpoint) => metadata[rotationMark] !== undefined;
  return { fresh: own.filter(isFresh), others: own.filter((endpoint) => !isFresh(endpoint)) };
}
