/** The processes that chaos kills, and those that it does not: Stripe and the mail provider are other people's. */
import { join } from "node:path";
import postgres from "postgres";
import { type Child, startChild } from "../../local/child.ts";
import { keyPermissions } from "../../../supabase/functions/_shared/stripe/permissions.ts";
import { defaultFunctionEnv } from "../../local/function_env.ts";
import { loadKeys, type StackKeys } from "../../local/keys.ts";
import { migrate, preparePlatform } from "../../local/migrate.ts";
import { freePort } from "../../lib/ports.ts";
import { startPostgres } from "../../local/postgres.ts";
import { startStripe } from "../../stand-in/server.ts";
import { startWeb } from "../../local/web/server.ts";
import { ensureWebhookEndpoint } from "../../local/webhook_endpoint.ts";
import { type Passing, type Proxy, startProxy } from "./proxy.ts";
import { connect } from "../../lib/connection.ts";

/** What can be killed: the storefront's and Stripe's functions, retry-jobs, the server, one of its connections. */
export type Victim = "functions" | "worker" | "postgres" | "backend";

export interface World {
  dir: string;
  keys: StackKeys;
  dbUrl: string;
  functionsUrl: string;
  workerUrl: string;
  stripeUrl: string;
  restUrl: string;
  /** Connections to the server that runs now: read it anew each time. */
  readonly sql: postgres.Sql;
  /** Called for every call the functions make; see {@linkcode Passing}. */
  watch: (passing: Passing) => boolean;
  /** Kills with SIGKILL and starts again; settles when it answers. Kills of one victim wait for each other. */
  kill(victim: Victim): Promise<void>;
  /** Settles when everything that was killed is back. */
  whole(): Promise<void>;
  stop(): Promise<void>;
}

const gatewayScript = join(import.meta.dirname ?? "", "..", "..", "local", "gateway", "main.ts");
const restartDeadlineMs = 30_000;

/** Starts everything on free ports, with a fresh database. */
export async function startWorld(dir: string): Promise<World> {
  const keys = await loadKeys(dir);
  let server = await startPostgres({ dir: join(dir, "postgres"), port: 0 });
  const dbPort = server.port;
  const dbUrl = server.url;
  await preparePlatform(dbUrl);
  await migrate(dbUrl);
  const stripe = await startStripe({
    port: 0,
    dir: null,
    secretKey: keys.stripe_secret_key,
    restrictedKeys: { [keys.stripe_restricted_key]: keyPermissions.map(({ name }) => name) },
    webhookSecret: keys.stripe_webhook_secret,
    // Days become a moment: whoever was away gets everything again soon.
    pace: { retryDelaysMs: [40, 80, 160, 320, 500], deliveryTimeoutMs: 5_000, refundMs: 100, disputeMs: 50 },
  });
  const ports = { functions: freePort(), worker: freePort(), rest: freePort() };
  const url = (port: number) => `http://127.0.0.1:${port}`;
  const web = await startWeb({
    port: 0,
    dir,
    apiUrl: url(ports.functions),
    stripeUrl: stripe.url,
    dbUrl,
    publishableKey: keys.publishable_key,
    secretKey: keys.secret_key,
  });

  const watcher: { watch: World["watch"] } = { watch: () => false };
  const proxy = startProxy(
    { rest: url(ports.rest), stripe: stripe.url },
    ["functions", "worker"],
    (passing) => watcher.watch(passing),
  );
  const gateways = new Map<string, Child>();
  const startGateway = async (name: "functions" | "worker" | "rest") => {
    gateways.set(
      name,
      await startChild({
        name,
        script: gatewayScript,
        env: {
          LOCAL_DIR: dir,
          LOCAL_API_PORT: `${ports[name]}`,
          LOCAL_DB_URL: dbUrl,
          ...functionEnv(name, keys, proxy, { web: web.url, stripe: stripe.url }),
        },
        onLine: (line) => Deno.writeTextFileSync(join(dir, `${name}.log`), `${line}\n`, { append: true }),
      }),
    );
  };
  await Promise.all((["functions", "worker", "rest"] as const).map(startGateway));
  await ensureWebhookEndpoint(stripe.url, keys, url(ports.functions));
  let sql = openPool(dbUrl);

  const pending = new Map<Victim, Promise<void>>();
  const revive: Record<Victim, () => Promise<void>> = {
    functions: () => replace("functions"),
    worker: () => replace("worker"),
    postgres: async () => {
      Deno.kill(await postmasterPid(dir), "SIGKILL");
      await server.stop();
      server = await startPostgres({ dir: join(dir, "postgres"), port: dbPort });
      await reconnect();
    },
    backend: async () => {
      await killBackend(dbUrl);
      await reconnect();
    },
  };
  /** What stands in for PostgREST may wait for ever on a connection that died under it; PostgREST does not. */
  async function reconnect(): Promise<void> {
    const old = sql;
    sql = openPool(dbUrl);
    await Promise.all([replace("rest"), old.end({ timeout: 0 }).catch(() => {})]);
  }
  async function replace(name: "functions" | "worker" | "rest"): Promise<void> {
    const child = gateways.get(name);
    if (child !== undefined) {
      Deno.kill(child.pid, "SIGKILL");
      await child.exited;
      await child.stop();
    }
    await startGateway(name);
  }

  return {
    dir,
    keys,
    dbUrl,
    functionsUrl: `${url(ports.functions)}/functions/v1`,
    workerUrl: `${url(ports.worker)}/functions/v1`,
    stripeUrl: stripe.url,
    restUrl: url(ports.rest),
    get sql() {
      return sql;
    },
    get watch() {
      return watcher.watch;
    },
    set watch(watch) {
      watcher.watch = watch;
    },
    kill(victim) {
      // A server and its connections are one thing that can only die once at a time.
      const slot = victim === "backend" ? "postgres" : victim;
      const next = (pending.get(slot) ?? Promise.resolve()).then(revive[victim]);
      pending.set(slot, next);
      return next;
    },
    whole: async () => {
      await Promise.all(pending.values());
    },
    stop: async () => {
      await sql.end({ timeout: 1 });
      await Promise.all([...gateways.values()].map((child) => child.stop()));
      await proxy.stop();
      await Promise.all([stripe.stop(), web.stop()]);
      await server.stop();
    },
  };
}

function functionEnv(
  name: "functions" | "worker" | "rest",
  keys: StackKeys,
  proxy: Proxy,
  urls: { web: string; stripe: string },
): Record<string, string> {
  if (name === "rest") {
    return defaultFunctionEnv(keys, { api: "http://127.0.0.1:9", web: urls.web, stripe: urls.stripe });
  }
  const env = defaultFunctionEnv(keys, {
    api: proxy.url(name, "rest"),
    web: urls.web,
    stripe: proxy.url(name, "stripe"),
  });
  return { ...env, CHECKOUT_RATE_LIMIT: "100000", VELOCITY_MODE: "off" };
}

async function postmasterPid(dir: string): Promise<number> {
  const text = await Deno.readTextFile(join(dir, "postgres", "data", "postmaster.pid"));
  return Number(text.split("\n")[0]);
}

function openPool(dbUrl: string): postgres.Sql {
  return connect(dbUrl, { max: 4, connect_timeout: 5, max_lifetime: null, backoff: () => 0.1 });
}

/**
 * Kills a connection that works for the API right now, if there is one. The server then ends all others, ours too,
 * and recovers: returns when it answers after that.
 */
async function killBackend(dbUrl: string): Promise<void> {
  const own = connect(dbUrl);
  try {
    const [row] = await own<{ pid: number; own: number }[]>`
      select pid, pg_backend_pid() as own from pg_stat_activity where usename = 'authenticator'
      order by (state = 'active') desc, random() limit 1`;
    if (row === undefined) return;
    Deno.kill(row.pid, "SIGKILL");
    const deadline = Date.now() + restartDeadlineMs;
    while (Date.now() < deadline && await isAlive(row.own)) await new Promise((wake) => setTimeout(wake, 10));
  } finally {
    await own.end({ timeout: 0 }).catch(() => {});
  }
  await answers(dbUrl);
}

async function isAlive(pid: number): Promise<boolean> {
  return await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
}

async function answers(dbUrl: string): Promise<void> {
  const deadline = Date.now() + restartDeadlineMs;
  while (true) {
    const sql = connect(dbUrl, { connect_timeout: 2, backoff: () => 0.05 });
    try {
      await sql`select 1`;
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((wake) => setTimeout(wake, 50));
    } finally {
      await sql.end({ timeout: 0 }).catch(() => {});
    }
  }
}
