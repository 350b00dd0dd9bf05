import type Stripe from "stripe";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { stripeApiVersion } from "../../../supabase/functions/_shared/stripe/api_version.ts";
import { stripeErrorOf } from "../../../supabase/functions/_shared/stripe/client.ts";
import {
  type EndpointState,
  missing,
  readEndpoints,
  webhookUrl,
} from "../../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import { error, type Finding, ok, unseen, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

/** Stripe tries a live delivery for three days. */
const deliveryDays = 3;

/** Stripe's key, the webhook endpoint, and what it could not deliver. */
export async function checkStripe(subject: Subject): Promise<Finding[]> {
  const { stripe, env, kind } = subject;
  const url = webhookUrl(env.supabaseUrl);
  let state: EndpointState;
  try {
    state = await readEndpoints(stripe, url);
  } catch (failure) {
    return [unreadable(failure)];
  }
  const fix = kind === "local" ? "restart 'deno task dev'" : "run 'deno task setup'";
  return [
    ok("Stripe accepts the key"),
    ...await checkAccount(subject),
    ...await elsewhere(subject, state, url) ?? judgeEndpoint(state, url, fix),
    await checkDeliveries(subject),
  ];
}

function unreadable(failure: unknown): Finding {
  const refusal = stripeErrorOf(failure);
  if (refusal?.statusCode === 401) {
    return error(
      "stripe_key_refused",
      "Stripe refuses the key",
      "copy a key from Stripe's dashboard (Developers, API keys) to STRIPE_SECRET_KEY",
    );
  }
  if (refusal?.statusCode === 403) {
    return error(
      "stripe_key_blind",
      "the restricted key may not read webhook endpoints",
      "give it that permission in Stripe's dashboard (Developers, API keys)",
    );
  }
  return error(
    "stripe_down",
    "Stripe does not answer",
    "see status.stripe.com, and STRIPE_API_BASE where it is set",
  );
}

/** Where Stripe posts instead, when nothing is at our address; null otherwise. */
async function elsewhere(
  { stripe }: Subject,
  { current, surplus, disabled }: EndpointState,
  url: string,
): Promise<Finding[] | null> {
  if (current !== null || surplus.length + disabled.length > 0) return null;
  const { data } = await stripe.webhookEndpoints.list({ limit: 100 });
  const others = data.filter((endpoint) =>
    endpoint.status === "enabled" && endpoint.url.endsWith("/stripe-webhook")
  );
  return others.length === 0 ? null : [error(
    "endpoint_elsewhere",
    `Stripe posts to ${others.map((endpoint) => endpoint.url).join(", ")}, not to ${url}`,
    "run 'deno task setup', which makes an endpoint for this project; disable the other when its project is gone",
  )];
}

/** What is wrong with the endpoint at our address. */
export function judgeEndpoint(state: EndpointState, url: string, fix: string): Finding[] {
  const { current, surplus, disabled, missingEvents, extraEvents } = state;
  if (current === null) {
    if (surplus.length === 0) {
      return [
        disabled[0] === undefined
          ? error("endpoint_missing", `Stripe has no webhook endpoint for ${url}`, fix)
          : disabledAt(disabled[0].id, fix),
      ];
    }
    return surplus.flatMap((endpoint) => [
      otherVersion(endpoint, fix),
      ...lackingEvents(endpoint.id, missing(enabledEvents, endpoint.enabled_events), fix),
    ]);
  }
  const findings: Finding[] = [];
  if (current.status !== "enabled") {
    findings.push(disabledAt(current.id, fix));
  }
  findings.push(...lackingEvents(current.id, missingEvents, fix));
  if (extraEvents.length > 0) {
    findings.push(
      warning(
        "endpoint_extra_events",
        `webhook endpoint ${current.id} also sends ${extraEvents.join(", ")}`,
        fix,
      ),
    );
  }
  for (const { id } of surplus) {
    findings.push(warning("endpoint_surplus", `webhook endpoint ${id} delivers to the same address`, fix));
  }
  return findings.length > 0
    ? findings
    : [ok(`webhook endpoint ${current.id} is enabled, ${enabledEvents.length} events, ${stripeApiVersion}`)];
}

function disabledAt(id: string, fix: string): Finding {
  return error(
    "endpoint_disabled",
    `webhook endpoint ${id} is disabled at Stripe`,
    `${fix}, then 'deno task reconcile --since 7d' fetches what was missed`,
  );
}

function lackingEvents(id: string, events: string[], fix: string): Finding[] {
  return events.length === 0
    ? []
    : [error("endpoint_lacks_events", `webhook endpoint ${id} lacks ${events.join(", ")}`, fix)];
}

/**
 * An endpoint of another version: events of an older one are read all the same, but each that leaves something out
 * costs a call to Stripe, and Stripe ends versions some day. Of a newer one, or one that moves, nobody knows.
 */
function otherVersion({ id, api_version: version }: Stripe.WebhookEndpoint, fix: string): Finding {
  const renewal = `${fix}: a version is fixed at creation, so a new one takes its place`;
  const behind = version === null ? null : howFarBehind(version, stripeApiVersion);
  if (behind !== null) {
    return warning(
      "endpoint_version_old",
      `webhook endpoint ${id} sends API version ${version}, ${behind} behind ${stripeApiVersion}`,
      renewal,
    );
  }
  return error(
    "endpoint_version_unknown",
    `webhook endpoint ${id} sends API version ${version ?? "of the account"}, not ${stripeApiVersion}`,
    renewal,
  );
}

const dayMs = 86_400_000;

/** How much older a version is than another, in words; null when it is not older. Versions begin with their date. */
export function howFarBehind(version: string, than: string): string | null {
  const days = (Date.parse(than.slice(0, 10)) - Date.parse(version.slice(0, 10))) / dayMs;
  if (!(days > 0)) return null;
  const [count, unit] = days < 60
    ? [days, "day"]
    : days < 730
    ? [Math.floor(days / 30.4), "month"]
    : [Math.floor(days / 365.25), "year"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** Events of another account than the one named are ignored: it had better be the key's. */
async function checkAccount({ stripe, env }: Subject): Promise<Finding[]> {
  const named = env.stripeAccountId;
  if (named === null) return [];
  try {
    const { id } = await stripe.accounts.retrieveCurrent();
    if (id === named) return [ok(`STRIPE_ACCOUNT_ID is the account of the key`)];
    return [
      error(
        "stripe_account_other",
        `STRIPE_ACCOUNT_ID is ${named}, the key belongs to ${id}`,
        "set the one that belongs to the other",
      ),
    ];
  } catch {
    return [
      unseen("the account of the key could not be read", "give the key the permission to read its account"),
    ];
  }
}

/** Failed deliveries show a wrong signing secret and a closed allowlist better than any probe, and leave no trace. */
async function checkDeliveries({ stripe, rpc }: Subject): Promise<Finding> {
  const since = Math.floor(Date.now() / 1000) - deliveryDays * 86_400;
  try {
    const { data } = await stripe.events.list({
      delivery_success: false,
      created: { gte: since },
      limit: 100,
    });
    const ours = data.filter((event) => enabledEvents.includes(event.type)).map((event) => event.id);
    const lost = ours.length === 0 ? [] : await rpc.listUnknownEvents(ours);
    if (lost.length === 0) return ok(`no event of the last ${deliveryDays} days is undelivered`);
    const count = lost.length === 100 ? "100 or more" : `${lost.length}`;
    return warning(
      "deliveries_lost",
      `${count} events of the last ${deliveryDays} days have not arrived (${lost[0]})`,
      "see reason in webhook_rejections: invalid_signature is a secret missing from STRIPE_WEBHOOK_SECRETS; " +
        "then 'deno task reconcile --since 7d'",
    );
  } catch {
    return unseen("undelivered events could not be counted", "give the key the permission to read events");
  }
}
