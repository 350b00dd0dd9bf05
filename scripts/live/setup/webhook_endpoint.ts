/** The webhook endpoint at Stripe follows the registry of events. */
import type Stripe from "stripe";
import { stripeApiVersion } from "../../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import {
  type EndpointState,
  readEndpoints,
  webhookUrl,
} from "../../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { setInEnvFile } from "./env_file.ts";
import { SetupError } from "./project.ts";
import { type Plan, settled, type SetupContext, type SetupStep } from "./step.ts";

type EnabledEvent = Stripe.WebhookEndpointCreateParams.EnabledEvent;

/** Everything that the functions listen to. */
export const allEvents = enabledEvents as EnabledEvent[];

/** What an endpoint's metadata says of its signing secret: Stripe shows it once, so a run that dies may lose it. */
const secretState = "signing_secret", unsaved = "unsaved";
/** Says that the signing secret is kept. */
export const savedMark = { [secretState]: "saved" };

/** Creates the endpoint, or brings its events and state up to date. */
export const webhookEndpoint: SetupStep = {
  name: "webhook endpoint",
  async plan(context) {
    const url = webhookUrl(context.project.env.supabaseUrl);
    const state = await readEndpoints(context.stripe, url);
    if (state.current === null) return creation(context, url);
    return state.current.metadata[secretState] === unsaved
      ? renewal(context, url, state.current)
      : update(context, state.current, state);
  },
};

/**
 * Disables endpoints that another took the place of. A step of its own, after the functions know the new signing
 * secret: until then the old endpoint delivers.
 */
export const surplusEndpoints: SetupStep = {
  name: "other endpoints at our address",
  async plan({ project, stripe }) {
    const { surplus } = await readEndpoints(stripe, webhookUrl(project.env.supabaseUrl));
    return {
      changes: surplus.map(({ id, api_version: version }) =>
        `disable ${id} (API version ${version ?? "of the account"})`
      ),
      apply: async () => {
        for (const { id } of surplus) await stripe.webhookEndpoints.update(id, { disabled: true });
      },
    };
  },
};

function creation({ stripe, project }: SetupContext, url: string): Plan {
  return {
    changes: [
      `create ${url} with API version ${stripeApiVersion} and ${enabledEvents.length} events`,
      `add its signing secret to STRIPE_WEBHOOK_SECRETS in ${project.envFile}`,
    ],
    apply: () =>
      createEndpoint(stripe, { url, events: allEvents }, async (secret) => {
        const known = secretsOf(project.values);
        if (known.includes(secret)) return;
        const secrets = [...known, secret].join(",");
        await setInEnvFile(project.envFile, "STRIPE_WEBHOOK_SECRETS", secrets);
        project.values["STRIPE_WEBHOOK_SECRETS"] = secrets;
      }),
  };
}

/** Creates an endpoint. @param keep is given its signing secret, which Stripe shows this once. */
export async function createEndpoint(
  stripe: Stripe,
  { url, events, metadata = {} }: { url: string; events: EnabledEvent[]; metadata?: Record<string, string> },
  keep: (secret: string) => Promise<void>,
): Promise<void> {
  const { id, secret } = await stripe.webhookEndpoints.create({
    url,
    enabled_events: events,
    api_version: stripeApiVersion,
    description: "Payment backend (deno task setup)",
    metadata: { ...metadata, [secretState]: unsaved },
  });
  if (secret === undefined) throw new SetupError("Stripe created the endpoint without a signing secret");
  await keep(secret);
  await stripe.webhookEndpoints.update(id, { metadata: savedMark });
}

/**
 * A run ended after it had created the endpoint and before it had kept the signing secret, which nobody has: another
 * endpoint takes its place, before one that still delivers is disabled in its favour.
 */
function renewal(context: SetupContext, url: string, { id }: Stripe.WebhookEndpoint): Plan {
  const { changes, apply } = creation(context, url);
  return {
    changes: [`delete ${id}, whose signing secret was not kept`, ...changes],
    apply: async () => {
      await context.stripe.webhookEndpoints.del(id);
      await apply();
    },
  };
}

function update(
  { stripe, project }: SetupContext,
  current: NonNullable<EndpointState["current"]>,
  { missingEvents, extraEvents }: EndpointState,
): Plan {
  if (secretsOf(project.values).length === 0) {
    throw new SetupError(
      `STRIPE_WEBHOOK_SECRETS is empty and the endpoint ${current.id} exists: copy its signing secret from Stripe's ` +
        `dashboard (Developers, Webhooks) into ${project.envFile}, or delete the endpoint and run setup again`,
    );
  }
  const changes = [
    ...missingEvents.map((event) => `add ${event} to ${current.id}`),
    ...extraEvents.map((event) => `remove ${event} from ${current.id}`),
    ...(current.status === "enabled" ? [] : [`enable ${current.id}`]),
  ];
  if (changes.length === 0) return settled;
  return {
    changes,
    apply: async () => {
      await stripe.webhookEndpoints.update(current.id, {
        enabled_events: allEvents,
        disabled: false,
      });
    },
  };
}

function secretsOf(values: Record<string, string>): string[] {
  return (values["STRIPE_WEBHOOK_SECRETS"] ?? "").split(",").map((secret) => secret.trim()).filter(Boolean);
}
