import { enabledEvents } from "../../supabase/functions/_shared/stripe_events/mod.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe_api_version.ts";
import { stripeErrorOf } from "../../supabase/functions/_shared/stripe.ts";
import { type EndpointState, readEndpoints, webhookUrl } from "../setup/endpoint_state.ts";
import { error, type Finding, ok, warning } from "./finding.ts";
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
  const mend = kind === "local" ? "restart 'deno task dev'" : "run 'deno task setup'";
  return [
    ok("Stripe accepts the key"),
    ...judgeEndpoint(state, url, mend),
    await checkDeliveries(subject),
  ];
}

function unreadable(failure: unknown): Finding {
  const refusal = stripeErrorOf(failure);
  if (refusal?.statusCode === 401) {
    return error(
      "Stripe refuses the key",
      "copy a key from Stripe's dashboard (Developers, API keys) to STRIPE_SECRET_KEY",
    );
  }
  if (refusal?.statusCode === 403) {
    return error(
      "the restricted key may not read webhook endpoints",
      "give it that permission in Stripe's dashboard (Developers, API keys)",
    );
  }
  return error("Stripe does not answer", "see status.stripe.com, and STRIPE_API_BASE where it is set");
}

/** What is wrong with the endpoint at our address. */
export function judgeEndpoint(state: EndpointState, url: string, mend: string): Finding[] {
  const { current, surplus, missingEvents, extraEvents } = state;
  if (current === null) {
    const [other] = surplus;
    return [
      other === undefined ? error(`Stripe has no webhook endpoint for ${url}`, mend) : error(
        `webhook endpoint ${other.id} sends API version ${other.api_version ?? "of the account"}, ` +
          `not ${stripeApiVersion}`,
        `${mend}: a version is fixed at creation, so a new one takes its place`,
      ),
    ];
  }
  const findings: Finding[] = [];
  if (current.status !== "enabled") {
    findings.push(error(
      `webhook endpoint ${current.id} is disabled at Stripe`,
      `${mend}, then 'deno task reconcile --since 7d' fetches what was missed`,
    ));
  }
  if (missingEvents.length > 0) {
    findings.push(error(`webhook endpoint ${current.id} lacks ${missingEvents.join(", ")}`, mend));
  }
  if (extraEvents.length > 0) {
    findings.push(warning(`webhook endpoint ${current.id} also sends ${extraEvents.join(", ")}`, mend));
  }
  for (const { id } of surplus) {
    findings.push(warning(`webhook endpoint ${id} delivers to the same address`, mend));
  }
  return findings.length > 0
    ? findings
    : [ok(`webhook endpoint ${current.id} is enabled, ${enabledEvents.length} events, ${stripeApiVersion}`)];
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
    const lost = ours.length === 0 ? [] : (await rpc.listUnknownEvents(ours)).event_ids;
    if (lost.length === 0) return ok(`no event of the last ${deliveryDays} days is undelivered`);
    const count = lost.length === 100 ? "100 or more" : `${lost.length}`;
    return warning(
      `${count} events of the last ${deliveryDays} days have not arrived (${lost[0]})`,
      "see reason in webhook_rejections: invalid_signature is a secret missing from STRIPE_WEBHOOK_SECRETS; " +
        "then 'deno task reconcile --since 7d'",
    );
  } catch {
    return warning("undelivered events could not be counted", "give the key the permission to read events");
  }
}
