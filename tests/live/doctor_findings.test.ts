/** Each finding of the doctor, provoked by what it is for, and by nothing that is well. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { checkAlerts } from "../../scripts/live/doctor/alerts.ts";
import { checkAllowlist } from "../../scripts/live/doctor/allowlist.ts";
import { checkAuth } from "../../scripts/live/doctor/auth.ts";
import { checkBackups } from "../../scripts/live/doctor/backups.ts";
import { readCatalogue } from "../../scripts/live/doctor/catalogue.ts";
import { checkDatabase } from "../../scripts/live/doctor/database.ts";
import { judgeAdvisories } from "../../scripts/live/doctor/dependencies.ts";
import { checkDeployedSecrets } from "../../scripts/live/doctor/deployed_secrets.ts";
import { checkEnvironment, checkWhitespace } from "../../scripts/live/doctor/environment.ts";
import { checkExposedSchemas } from "../../scripts/live/doctor/exposed_schemas.ts";
import type { Finding } from "../../scripts/live/doctor/finding.ts";
import { type FindingName, findingNames } from "../../scripts/live/doctor/finding_names.ts";
import { checkFunctions } from "../../scripts/live/doctor/functions.ts";
import { checkHealth } from "../../scripts/live/doctor/health.ts";
import { checkMail } from "../../scripts/live/doctor/mail.ts";
import { checkPermissions } from "../../scripts/live/doctor/permissions.ts";
import { checkShipping } from "../../scripts/live/doctor/shipping.ts";
import { checkStripe } from "../../scripts/live/doctor/stripe.ts";
import { openSubject, type Subject } from "../../scripts/live/doctor/subject.ts";
import { checkTerms } from "../../scripts/live/doctor/terms.ts";
import { checkWebhookSecrets } from "../../scripts/live/doctor/webhook_secrets.ts";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { environmentVariables } from "../../supabase/functions/_shared/env.ts";
import {
  type Change,
  endpoint,
  figures,
  listed,
  namesOf,
  openWorld,
  own,
  refusal,
  stopWorld,
} from "./doctor_world.ts";

const database = await createTestDatabase();
Deno.test.afterAll(async () => {
  await stopWorld();
  await database.drop();
});

/** What is said where all is well, and where one thing is not. */
type Story = () => Promise<{ well: Finding[]; broken: Finding[] }>;
type Check = (subject: Subject) => Promise<Finding[] | Finding> | Finding[];

const told = (check: Check, change: Change, before: Change = {}): Story => async () => ({
  well: [await check(openWorld(before))].flat(),
  broken: [await check(openWorld(change))].flat(),
});

const nowhere = { env: { SUPABASE_URL: "http://127.0.0.1:9" } };
const refuses = (status: number, code = ""): Change => ({
  routes: { "POST /rest/v1/rpc/check_invariants": () => Response.json({ code }, { status }) },
});
const functionSays = (answer: () => Response): Story =>
  told(checkFunctions, { routes: { "DELETE /functions/v1/stripe-webhook": answer } });
const webhookSays = (answer: () => Response): Story =>
  told(checkWebhookSecrets, { routes: { "POST /functions/v1/stripe-webhook": answer } });
const healthSays = (changes: Record<string, Record<string, unknown>>): Story =>
  told(checkHealth, { routes: { "GET /functions/v1/health": figures(changes) } });
const jobs = (changes: Record<string, unknown>) =>
  healthSays({ jobs: { last_run_at: new Date().toISOString(), ...changes } });
const endpoints = (...those: Record<string, unknown>[]): Story =>
  told(checkStripe, { routes: { "GET /v1/webhook_endpoints": listed(...those) } });

/** As a shop that sells should be set. */
const strict = {
  SUPABASE_URL: `https://${"a".repeat(20)}.supabase.co`,
  APP_ENV: "production",
  STRIPE_SECRET_KEY: ["rk", "live", "DoctorTests00000"].join("_"),
  STRIPE_API_BASE: undefined,
  STRIPE_WEBHOOK_IPS_URL: undefined,
  RESEND_API_BASE: undefined,
  ALERT_WEBHOOK_URL: "https://chat.example/hook",
  ADMIN_REQUIRE_MFA: "true",
  ALLOWED_ORIGINS: "https://shop.example",
  CHECKOUT_TURNSTILE_SECRET: "0x4AAAAAAA",
};
const unlike = (env: Record<string, string | undefined>): Story =>
  told(checkEnvironment, { env: { ...strict, ...env } }, { env: strict });
const spelled = (value: string): Story => async () => ({
  well: await Promise.resolve(checkWhitespace({ kind: "project", name: "", values: { EMAIL_FROM: "a" } })),
  broken: await Promise.resolve(
    checkWhitespace({ kind: "project", name: "", values: { EMAIL_FROM: value } }),
  ),
});

/** The database as the migrations make it, and after a statement by hand; both are rolled back. */
const byHand = (statement: string): Story => async () => ({
  well: await inDatabase("select", "local"),
  broken: await inDatabase(statement, "local"),
});

async function inDatabase(statement: string, kind: Subject["kind"]): Promise<Finding[]> {
  let found: Finding[] = [];
  const undo = new Error("undo");
  await database.sql.begin(async (tx) => {
    await tx.unsafe(statement);
    found = await readCatalogue(tx as unknown as postgres.Sql, kind);
    throw undo;
  }).catch((error) => {
    if (error !== undo) throw error;
  });
  return found;
}

const enabled = ["pg_cron", "pg_net", "supabase_vault"].map((name, at) =>
  `insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
   values (${90_000 + at}, '${name}', 10, 'public'::regnamespace, false, '1')`
);
const allExtensions = `set local allow_system_table_mods = on; ${enabled.join(";")}`;

const token = { SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`, SUPABASE_PROJECT_REF: "a".repeat(20) };
const backups = (at: string | null, env: Record<string, string> = token) => {
  const rows = at === null
    ? []
    : [{ status: "COMPLETED", inserted_at: at }, { status: "FAILED", inserted_at: at }];
  const get = (() => Promise.resolve(Response.json({ backups: rows }))) as typeof fetch;
  return checkBackups(openWorld({ env }), Date.parse("2026-11-27T12:00:00Z"), get);
};

/** The project has the secrets of the env file, with one of them changed. */
const deployed = (
  change: (secrets: Map<string, string>) => void,
  env: Record<string, string> = {},
): Story => {
  const look = async (alter: (secrets: Map<string, string>) => void, more: Record<string, string>) => {
    const subject = openWorld({ env: { ...token, ...more } });
    const secrets = new Map<string, string>();
    for (const name of environmentVariables.filter((name) => !name.startsWith("SUPABASE_"))) {
      const value = subject.values[name]?.trim() ?? "";
      if (value !== "") secrets.set(name, await digest(value));
    }
    alter(secrets);
    const rows = [...secrets].map(([name, value]) => ({ name, value }));
    const output = { success: true, stdout: JSON.stringify(rows), stderr: "" };
    return await checkDeployedSecrets(subject, () => Promise.resolve(output));
  };
  return async () => ({ well: await look(() => {}, {}), broken: await look(change, env) });
};

async function digest(value: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(value)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const alertHook = (status: number | null): Promise<Finding[]> =>
  checkAlerts(
    openWorld({ env: { ALERT_WEBHOOK_URL: status === null ? undefined : "https://chat.example/hook" } }),
    true,
    () => Promise.resolve(new Response("", { status: status ?? 200 })),
  );

const dayMs = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs).toISOString();

const stories: Record<FindingName, Story> = {
  variable_unusable: async () => {
    const open = async (origins: string) => {
      const { values } = openWorld();
      const opened = openSubject({
        kind: "project",
        name: "",
        values: { ...values, ALLOWED_ORIGINS: origins },
      });
      return await Promise.resolve(Array.isArray(opened) ? opened : []);
    };
    return { well: await open("https://shop.example"), broken: await open("*") };
  },
  variable_invisible: spelled("a\u200b"),
  variable_spaces: spelled(" a"),
  address_of_this_machine: unlike({
    UPSTASH_REDIS_REST_URL: "https://localhost",
    UPSTASH_REDIS_REST_TOKEN: "t",
  }),
  stripe_api_base_set: unlike({
    APP_ENV: "staging",
    STRIPE_SECRET_KEY: ["rk", "test", "DoctorTests00000"].join("_"),
    STRIPE_API_BASE: "https://proxy.example",
  }),
  mail_off: unlike({ RESEND_API_KEY: undefined, ALERT_EMAIL: "a@example.com" }),
  alerts_off: unlike({ RESEND_API_KEY: "re_doctor_0000", ALERT_WEBHOOK_URL: undefined }),
  alerts_by_mail_alone: unlike({ ALERT_WEBHOOK_URL: undefined, ALERT_EMAIL: "a@example.com" }),
  allowlist_off: unlike({ STRIPE_WEBHOOK_IP_MODE: "report" }),
  velocity_off: unlike({ VELOCITY_MODE: "off" }),
  rate_limit_off: unlike({ CHECKOUT_RATE_LIMIT: "5000" }),
  turnstile_off: unlike({ CHECKOUT_TURNSTILE_SECRET: undefined }),
  mfa_off: unlike({ ADMIN_REQUIRE_MFA: "false" }),

  api_down: told(checkDatabase, nowhere),
  secret_key_publishable: told(checkDatabase, refuses(403, "42501")),
  secret_key_refused: told(checkDatabase, refuses(401)),
  auth_down: told(checkAuth, nowhere),
  mailer_autoconfirm: told(checkAuth, {
    routes: { "GET /auth/v1/settings": () => Response.json({ mailer_autoconfirm: true }) },
  }),
  reporting_not_exposed: told(checkExposedSchemas, {
    routes: { "GET /rest/v1/disputes_due": () => Response.json({ code: "PGRST106" }, { status: 406 }) },
  }),
  secret_missing: deployed((secrets) => secrets.delete("SITE_URL")),
  secret_differs: deployed((secrets) => secrets.set("SITE_URL", "0")),
  secret_surplus: deployed((secrets) => secrets.set("ALERT_EMAIL", "0"), { ALERT_EMAIL: "" }),
  secret_unnamed: deployed((secrets) => secrets.set("METRICS_TOKEN", "0")),
  function_silent: told(checkFunctions, nowhere),
  function_missing: functionSays(() => new Response(null, { status: 404 })),
  function_broken: functionSays(() => new Response(null, { status: 503 })),
  function_verify_jwt: functionSays(() => new Response(null, { status: 401 })),
  cors_open: functionSays(() => own(405, null, { "access-control-allow-origin": "*" })),
  clock_skew: told(checkFunctions, {
    routes: {
      "DELETE /functions/v1/create-checkout-session": () =>
        own(405, null, { date: new Date(Date.now() - 600_000).toUTCString() }),
    },
  }),
  backup_missing: async () => ({
    well: await backups("2026-11-27T02:00:00Z"),
    broken: await backups("2026-11-24T02:00:00Z"),
  }),

  migrations_missing: told(checkDatabase, refuses(404, "PGRST202")),
  migrations_behind: byHand(
    "delete from supabase_migrations.schema_migrations where version = (select max(version) from supabase_migrations.schema_migrations)",
  ),
  migrations_ahead: byHand(
    "insert into supabase_migrations.schema_migrations (version) values ('20991231000000')",
  ),
  database_fails: told(checkDatabase, refuses(500, "XX000")),
  database_unreachable: healthSays({ database: { status: "down" } }),
  invariant_broken: told(checkDatabase, {
    routes: {
      "POST /rest/v1/rpc/check_invariants": () =>
        Response.json([{ invariant: "stock", detail: { sku: "A" } }]),
    },
  }),
  rights_changed: byHand("grant update on public.orders to authenticated"),
  row_security_changed: byHand("alter table public.orders disable row level security"),
  function_open_to_all: byHand("grant execute on function public.check_invariants() to anon"),
  extension_missing: async () => ({
    well: await inDatabase(allExtensions, "project"),
    broken: await inDatabase("select", "project"),
  }),
  retention_off: byHand("update private.settings set value = '9999' where key = 'retention_payload_days'"),

  health_down: told(checkHealth, nowhere),
  mfa_disagrees: healthSays({ staff: { second_factor: true } }),
  scheduler_never: jobs({ last_run_at: null }),
  scheduler_silent: jobs({ last_run_at: daysAgo(1) }),
  scheduler_fails: healthSays({ schedule: { status: "degraded" } }),
  jobs_dead: jobs({ dead: 1 }),
  jobs_late: jobs({ oldest_due_seconds: 1_000 }),
  events_dead: healthSays({ webhooks: { dead: 1 } }),
  events_failed: healthSays({ webhooks: { failed: 1 } }),
  deliveries_silent: healthSays({ webhooks: { problems: ["webhook_silence"] } }),
  provider_down: healthSays({ providers: { status: "degraded" } }),
  reconciliation_repairs: healthSays({ reconciliation: { status: "ok", drift_last_hour: 2 } }),
  reconciliation_late: healthSays({ reconciliation: { status: "degraded" } }),
  alerts_critical: healthSays({ alerts: { critical: 1 } }),

  stripe_down: told(checkStripe, { routes: { "GET /v1/webhook_endpoints": refusal(404) } }),
  stripe_key_refused: told(checkStripe, { routes: { "GET /v1/webhook_endpoints": refusal(401) } }),
  stripe_key_blind: told(checkStripe, { routes: { "GET /v1/webhook_endpoints": refusal(403) } }),
  stripe_key_full: told(checkPermissions, {
    env: { STRIPE_SECRET_KEY: ["sk", "test", "Doctor0000"].join("_") },
  }),
  stripe_key_lacks: told(checkPermissions, { routes: { "GET /v1/reviews": refusal(403) } }),
  stripe_key_surplus: told(checkPermissions, { routes: { "GET /v1/balance": () => Response.json({}) } }),
  stripe_account_other: told(checkStripe, {
    routes: { "GET /v1/account": () => Response.json({ id: "acct_1Another00" }) },
  }),
  endpoint_missing: endpoints(),
  endpoint_elsewhere: endpoints(
    endpoint({ url: `https://${"b".repeat(20)}.supabase.co/functions/v1/stripe-webhook` }),
  ),
  endpoint_disabled: endpoints(endpoint({ status: "disabled" })),
  endpoint_lacks_events: endpoints(endpoint({ enabled_events: ["charge.refunded"] })),
  endpoint_extra_events: endpoints(
    endpoint({ enabled_events: [...endpoint()["enabled_events"] as string[], "invoice.paid"] }),
  ),
  endpoint_surplus: endpoints(endpoint(), endpoint({ id: "we_2", created: 2 })),
  endpoint_version_old: endpoints(endpoint({ api_version: "2024-06-20" })),
  endpoint_version_unknown: endpoints(endpoint({ api_version: null })),
  endpoint_alert_open: healthSays({ webhooks: { problems: ["webhook_endpoint_disabled"] } }),
  endpoint_key_blind: healthSays({ webhooks: { endpoint: "not_permitted" } }),
  webhook_secret_unknown: webhookSays(() => own(400, { error: { code: "invalid_signature" } })),
  webhook_silent: webhookSays(() => new Response(null, { status: 503 })),
  allowlist_stale: told(checkAllowlist, {
    routes: { "GET /ips.json": () => Response.json({ WEBHOOKS: ["3.18.12.63", "3.69.109.8"] }) },
  }),
  allowlist_without_stand_in: told(checkAllowlist, { kind: "local" }, {
    kind: "local",
    env: { STRIPE_WEBHOOK_EXTRA_IPS: "127.0.0.1" },
  }),
  deliveries_lost: told(checkStripe, {
    routes: {
      "GET /v1/events": listed({ id: "evt_1", type: "charge.refunded" }),
      "POST /rest/v1/rpc/list_unknown_events": () => Response.json(["evt_1"]),
    },
  }),
  terms_never_asked: told(checkTerms, {
    routes: { "GET /v1/checkout/sessions": listed({ id: "cs_1", consent_collection: null }) },
  }),

  mail_reports_off: told(checkMail, { env: { RESEND_WEBHOOK_SECRETS: undefined } }),
  mail_secret_unknown: told(checkMail, { routes: { "POST /functions/v1/mail-webhook": () => own(400) } }),
  mail_webhook_silent: told(checkMail, {
    routes: { "POST /functions/v1/mail-webhook": () => new Response(null, { status: 503 }) },
  }),
  mail_domain_unverified: told(checkMail, {
    routes: { "GET /domains": () => Response.json({ data: [{ name: "shop.example", status: "pending" }] }) },
  }),
  shipping_rate_hidden: told(checkShipping, {
    routes: {
      "GET /rest/v1/shipping_rates": () =>
        Response.json([{ name: "US", currency: "usd", countries: ["US"] }]),
    },
  }),
  alert_webhook_unset: async () => ({ well: await alertHook(200), broken: await alertHook(null) }),
  alert_webhook_refuses: async () => ({ well: await alertHook(200), broken: await alertHook(404) }),
  dependency_advised: () => {
    const said = "No known vulnerabilities found";
    return Promise.resolve({
      well: judgeAdvisories({ found: [], unreachable: null, said }),
      broken: judgeAdvisories({ found: [{ name: "zod", severity: "high" }], unreachable: null, said }),
    });
  },
  not_seen: async () => ({
    well: await backups("2026-11-27T02:00:00Z"),
    broken: await backups("2026-11-27T02:00:00Z", {}),
  }),
};

for (const name of findingNames) {
  Deno.test({
    name: `doctor: ${name} is found where it is wrong, with its mend, and nothing where all is well`,
    // Stripe's client keeps its connections.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { well, broken } = await stories[name]();
      assert.deepEqual(namesOf(well), [], JSON.stringify(well));
      assert.deepEqual(namesOf(broken), [name], JSON.stringify(broken));
      for (const { level, fix, what } of broken) if (level !== "ok") assert.notEqual(fix, "", what);
    },
  });
}

Deno.test("docs/doctor.md has every finding of the doctor, and no other", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/doctor.md", import.meta.url));
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (error|warning) +\| \S/gm)].map(([, name]) => name);
  assert.deepEqual(rows, [...findingNames]);
});
