/**
 * A project as Supabase runs it, where a change of secrets shows: workers that keep the environment which they started
 * with for 400 seconds, a gateway that knows which keys are valid, and Stripe behind a door that knows the same.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { defaultFunctionEnv } from "../../../scripts/local/function_env.ts";
import { loadKeys } from "../../../scripts/local/keys.ts";
import { SUPABASE_DIR } from "../../../scripts/lib/paths.ts";
import { progressName, progressText, readProgress, underWay } from "../../../scripts/live/rotate/progress.ts";
import { envLine, setInEnvFile } from "../../../scripts/live/setup/env_file.ts";
import { readEnvFile } from "../../../scripts/live/setup/project.ts";
import type { SupabaseCli } from "../../../scripts/live/setup/supabase.ts";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { stripeApiVersion } from "../../../supabase/functions/_shared/stripe/api_version.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { webhookUrl } from "../../../supabase/functions/_shared/jobs/webhook_endpoints.ts";
import type Stripe from "stripe";
import { cliOf, type ManagementApi, startManagementApi } from "../../support/management_api.ts";
import { scheduler } from "../../support/scheduler.ts";
import type { TestStack } from "../../support/stack.ts";

const workerLifeMs = 400_000;

type Fetch = (request: Request) => Promise<Response>;

/** What runs with one environment. */
interface Generation {
  env: Record<string, string>;
  functions: Map<string, Promise<Fetch>>;
  replacedAt: number;
}

export interface TestProject extends AsyncDisposable {
  url: string;
  envFile: string;
  stack: TestStack;
  api: ManagementApi;
  stripe: Stripe;
  /** Keys that Stripe takes from the functions. */
  stripeKeys: Set<string>;
  supabase: SupabaseCli;
  /** Time goes by: what was noted lies further back, and old workers end. */
  later(ms: number): Promise<void>;
  /** Asks one worker of each age, which may be only one. */
  askAll(name: string, request: () => Request | Promise<Request>): Promise<Response[]>;
}

// What the workers log is not of interest, and they log after the test.
for (const level of ["log", "warn", "error"] as const) console[level] = () => {};

/** Where `index.ts` reads its environment from, while it is imported. */
let importing: Record<string, string> | null = null;
let lastImport: Promise<unknown> = Promise.resolve();
let imports = 0;
const environment = Deno.env.toObject;
Deno.env.toObject = () => importing ?? environment.call(Deno.env);

/** Starts a worker: the function's own `index.ts`, once more. */
function startWorker(name: string, env: Record<string, string>): Promise<Fetch> {
  const started = lastImport.then(async () => {
    importing = env;
    try {
      const file = pathToFileURL(join(SUPABASE_DIR, "functions", name, "index.ts"));
      const module = await import(`${file}?worker=${imports++}`);
      return module.default.fetch as Fetch;
    } finally {
      importing = null;
    }
  });
  lastImport = started.catch(() => {});
  return started;
}

/** Puts such a project in front of a stack, with an env file as setup has left it. */
export async function testProject(stack: TestStack): Promise<TestProject> {
  const keys = await loadKeys(stack.dir);
  const api = await startManagementApi();
  api.keys.push({ id: crypto.randomUUID(), name: "default", type: "secret", api_key: keys.secret_key });
  let turn = 0;
  const generations: Generation[] = [];
  const own = () => ({
    SUPABASE_URL: project.url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: keys.publishable_key }),
    SUPABASE_SECRET_KEYS: JSON.stringify(Object.fromEntries(api.keys.map((key) => [key.name, key.api_key]))),
  });
  const alive = (): Generation[] => {
    const env = { ...Object.fromEntries(api.secrets), ...own() };
    const newest = generations.at(-1);
    if (newest === undefined || JSON.stringify(newest.env) !== JSON.stringify(env)) {
      if (newest !== undefined) newest.replacedAt = Date.now();
      generations.push({ env, functions: new Map(), replacedAt: Infinity });
    }
    return generations.filter(({ replacedAt }) => Date.now() < replacedAt + workerLifeMs);
  };
  const call = async ({ functions, env }: Generation, name: string, request: Request): Promise<Response> => {
    const worker = functions.get(name) ?? startWorker(name, env);
    functions.set(name, worker);
    const url = new URL(request.url);
    url.pathname = `/${name}`;
    const headers = new Headers(request.headers);
    headers.set("cf-connecting-ip", "127.0.0.1");
    return await (await worker)(new Request(url, { method: request.method, headers, body: request.body }));
  };

  const gateway = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const url = new URL(request.url);
    const [, service, , name = ""] = url.pathname.split("/");
    if (service === "functions") {
      const workers = alive();
      const worker = workers[turn++ % workers.length];
      return worker === undefined ? new Response(null, { status: 503 }) : await call(worker, name, request);
    }
    const given = request.headers.get("apikey") ?? "";
    const isSecret = api.keys.some((key) => key.api_key === given);
    if (!isSecret && given !== keys.publishable_key) {
      return Response.json({ message: "Invalid API key" }, { status: 401 });
    }
    const headers = new Headers(request.headers);
    headers.set("apikey", isSecret ? keys.secret_key : given);
    return await forwarded(request, stack.api_url, headers);
  });
  const stripeKeys = new Set([keys.stripe_restricted_key]);
  const stripeDoor = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const given = request.headers.get("authorization")?.replace("Bearer ", "") ?? "";
    if (!stripeKeys.has(given)) {
      const error = { type: "invalid_request_error", message: "Invalid API Key provided" };
      return Response.json({ error }, { status: 401 });
    }
    const headers = new Headers(request.headers);
    headers.set("authorization", `Bearer ${keys.stripe_restricted_key}`);
    return await forwarded(request, stack.stripe_url, headers);
  });

  const folder = await Deno.makeTempDir({ prefix: "kct-rotation-" });
  const url = `http://127.0.0.1:${gateway.addr.port}`;
  const project: TestProject = {
    url,
    envFile: `${folder}/.env`,
    stack,
    api,
    stripeKeys,
    stripe: createStripe({
      stripeSecretKey: stack.stripe_secret_key,
      stripeApiBase: new URL(stack.stripe_url),
    }),
    supabase: cliOf(api),
    later: async (ms) => {
      alive();
      for (const generation of generations) generation.replacedAt -= ms;
      const values = await readEnvFile(project.envFile);
      for (const variable of underWay(values)) {
        const progress = readProgress(values, variable);
        if (progress === null) continue;
        const text = progressText({ ...progress, at: progress.at - ms });
        await setInEnvFile(project.envFile, progressName(variable), text);
      }
    },
    askAll: (name, request) =>
      Promise.all(alive().map(async (worker) => await call(worker, name, await request()))),
    async [Symbol.asyncDispose]() {
      await Promise.all([gateway.shutdown(), stripeDoor.shutdown(), api[Symbol.asyncDispose]()]);
      await Deno.remove(folder, { recursive: true });
    },
  };
  const stripeUrl = `http://127.0.0.1:${stripeDoor.addr.port}`;
  await setUpProject(project, defaultFunctionEnv(keys, { api: url, web: stack.web_url, stripe: stripeUrl }));
  return project;
}

/** What `deno task setup` would have done. */
async function setUpProject(project: TestProject, defaults: Record<string, string>): Promise<void> {
  const { stack, stripe, api, url, envFile } = project;
  for (const { id } of (await stripe.webhookEndpoints.list()).data) await stripe.webhookEndpoints.del(id);
  const { secret = "" } = await stripe.webhookEndpoints.create({
    url: webhookUrl(url),
    enabled_events: enabledEvents as Stripe.WebhookEndpointCreateParams.EnabledEvent[],
    api_version: stripeApiVersion,
  });
  const values: Record<string, string> = {
    ...defaults,
    STRIPE_WEBHOOK_SECRETS: secret,
    STRIPE_WEBHOOK_IPS_URL: `${stack.web_url}/no-list`,
    RESEND_WEBHOOK_SECRETS: await createMailWebhook(stack, `${url}/functions/v1/mail-webhook`),
    METRICS_TOKEN: crypto.randomUUID(),
    CHECKOUT_RATE_LIMIT: "100000",
    WEBHOOK_REJECTION_LIMIT: "100000",
    VELOCITY_MODE: "off",
    SUPABASE_PROJECT_REF: "a".repeat(20),
    SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
    SUPABASE_PROFILE: api.profile,
    SUPABASE_DB_URL: `${stack.db_url}?sslmode=disable`,
  };
  const isOfFunctions = (name: string) => !name.startsWith("SUPABASE_");
  for (const [name, value] of Object.entries(values)) if (isOfFunctions(name)) api.secrets.set(name, value);
  const lines = Object.entries(values).map(([name, value]) => envLine(name, value));
  await Deno.writeTextFile(envFile, `${lines.join("\n")}\n`);
  await stack.sql.unsafe(scheduler).simple();
  await stack
    .sql`select private.set_schedule_target(${`${url}/functions/v1/retry-jobs`}, ${stack.secret_key})`;
}

async function createMailWebhook(stack: TestStack, endpoint: string): Promise<string> {
  const response = await fetch(`${stack.web_url}/resend/webhooks`, {
    method: "POST",
    headers: { authorization: "Bearer re_full_access" },
    body: JSON.stringify({ endpoint, events: ["email.delivered"] }),
  });
  return (await response.json()).signing_secret;
}

async function forwarded(request: Request, target: string, headers: Headers): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const body = request.body === null ? null : await request.arrayBuffer();
  return await fetch(`${target}${pathname}${search}`, { method: request.method, headers, body });
}
