/** A hosted project in which all is well, as far as the doctor looks; a story changes one answer or one variable. */
import { openSubject, type Subject } from "../../scripts/live/doctor/subject.ts";
import type { Finding } from "../../scripts/live/doctor/finding.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { enabledEvents } from "../../supabase/functions/_shared/stripe_events/mod.ts";
import { environment } from "../unit/fakes.ts";

type Answer = (request: Request) => Response;

/** What is different from a project in which all is well. */
export interface Change {
  /** Variables; undefined removes one. */
  env?: Record<string, string | undefined>;
  /** Method and path → answer. */
  routes?: Record<string, Answer>;
  kind?: Subject["kind"];
}

/** The health endpoint's figures, with one part replaced. */
export function figures(changes: Record<string, Record<string, unknown>> = {}): Answer {
  const checks = {
    database: { status: "ok" },
    jobs: { last_run_at: new Date().toISOString(), due: 0, dead: 0, oldest_due_seconds: 0 },
    webhooks: { problems: [], dead: 0, failed: 0, endpoint: "ok" },
    schedule: { status: "ok" },
    providers: { status: "ok" },
    reconciliation: { status: "ok", drift_last_hour: 0 },
    alerts: { critical: 0 },
    staff: { second_factor: false },
    ...changes,
  };
  return () => own(200, { checks });
}

/** An answer of one of our functions. */
export function own(status: number, body: unknown = null, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { "x-request-id": "doctor", ...headers } });
}

/** A page of a list of Stripe's. */
export function listed(...data: unknown[]): Answer {
  return () => Response.json({ object: "list", data, has_more: false, url: "/" });
}

/** Stripe's webhook endpoint as setup makes it. */
export function endpoint(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: "we_1",
    object: "webhook_endpoint",
    url: `${address}/functions/v1/stripe-webhook`,
    status: "enabled",
    api_version: stripeApiVersion,
    enabled_events: enabledEvents,
    created: 1,
    metadata: {},
    ...changes,
  };
}

/** What Stripe answers a key that lacks a right, or is no key. */
export function refusal(status: number): Answer {
  return () => Response.json({ error: { type: "invalid_request_error", message: "no" } }, { status });
}

let routes: Record<string, Answer> = {};
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
  const { pathname } = new URL(request.url);
  const key = `${request.method} ${pathname}`;
  const answer = routes[key] ?? healthy[key];
  if (answer !== undefined) return answer(request);
  if (request.method === "DELETE" && pathname.startsWith("/functions/v1/")) return own(405);
  return refusal(404)(request);
});
const address = `http://127.0.0.1:${server.addr.port}`;
export const stopWorld = () => server.shutdown();

const healthy: Record<string, Answer> = {
  "POST /rest/v1/rpc/check_invariants": () => Response.json([]),
  "POST /rest/v1/rpc/get_webhook_allowlist": () => Response.json({ addresses: ["3.18.12.63"] }),
  "POST /rest/v1/rpc/list_unknown_events": () => Response.json([]),
  "GET /rest/v1/disputes_due": () => Response.json([]),
  "GET /rest/v1/shipping_rates": () => Response.json([]),
  "GET /auth/v1/settings": () => Response.json({ mailer_autoconfirm: false }),
  "GET /functions/v1/health": figures(),
  "POST /functions/v1/stripe-webhook": () => own(400, { error: { code: "invalid_payload" } }),
  "POST /functions/v1/mail-webhook": () => own(200),
  "GET /v1/webhook_endpoints": (request) => listed(endpoint())(request),
  "GET /v1/events": listed(),
  "GET /v1/account": () => Response.json({ id: "acct_1Doctor000", object: "account" }),
  "GET /v1/checkout/sessions": listed({ id: "cs_1", consent_collection: { terms_of_service: "required" } }),
  "GET /v1/payouts": refusal(403),
  "GET /v1/balance": refusal(403),
  "POST /v1/webhook_endpoints/we_doctor": refusal(403),
  "POST /v1/payment_intents/pi_doctor/cancel": refusal(403),
  "GET /ips.json": () => Response.json({ WEBHOOKS: ["3.18.12.63"] }),
  "GET /domains": () => Response.json({ data: [{ name: "shop.example", status: "verified" }] }),
};

/** Opens the project for a check. */
export function openWorld(change: Change = {}): Subject {
  routes = change.routes ?? {};
  const values = environment({
    SUPABASE_URL: address,
    STRIPE_API_BASE: address,
    STRIPE_SECRET_KEY: ["rk", "test", "Doctor0000"].join("_"),
    STRIPE_ACCOUNT_ID: "acct_1Doctor000",
    STRIPE_WEBHOOK_IPS_URL: `${address}/ips.json`,
    RESEND_API_KEY: "re_doctor_0000",
    RESEND_API_BASE: address,
    RESEND_WEBHOOK_SECRETS: `whsec_${btoa("a secret of the doctor")}`,
    RESEND_SETUP_API_KEY: "re_doctor_setup",
    EMAIL_FROM: "Shop <orders@shop.example>",
    CHECKOUT_TERMS_CONSENT: "true",
    ...change.env,
  });
  const given = Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]),
  );
  const subject = openSubject({ kind: change.kind ?? "project", name: "a story", values: given });
  if (Array.isArray(subject)) throw new Error(subject.map(({ what, fix }) => `${what}: ${fix}`).join("\n"));
  return subject;
}

/** Names of what is not well, each once. */
export function namesOf(findings: Finding[]): (string | null)[] {
  return [...new Set(findings.filter(({ level }) => level !== "ok").map(({ name }) => name))];
}
