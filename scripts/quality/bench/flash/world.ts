/** Everything of the sale as processes of their own, so that the processor time of each can be told apart. */
import { join } from "node:path";
import type postgres from "postgres";
import { keyPermissions } from "../../../../supabase/functions/_shared/stripe/permissions.ts";
import { connect } from "../../../lib/connection.ts";
import { StackError } from "../../../lib/errors.ts";
import { SUPABASE_DIR } from "../../../lib/paths.ts";
import { freePort } from "../../../lib/ports.ts";
import { type Child, startChild } from "../../../local/child.ts";
import { defaultFunctionEnv } from "../../../local/function_env.ts";
import { readProjectConfig } from "../../../local/gateway/project_config.ts";
import { WARM_UP_PATH } from "../../../local/gateway/warm_up.ts";
import { loadKeys, type StackKeys } from "../../../local/keys.ts";
import { migrate, preparePlatform } from "../../../local/migrate.ts";
import { startPostgres } from "../../../local/postgres.ts";
import { findPostgrest, startPostgrest } from "../../../local/postgrest.ts";
import { ensureWebhookEndpoint } from "../../../local/webhook_endpoint.ts";
import { processorSeconds } from "../processor.ts";

export interface World {
  keys: StackKeys;
  functionsUrl: string;
  /** Where the functions reach the database. */
  apiUrl: string;
  stripeUrl: string;
  sql: postgres.Sql;
  /** Seconds of processors so far, by part. */
  worked(): Map<string, number>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  dir: string;
  /** Connections of the REST API to the database. */
  connections: number;
  /** PostgREST itself; else the layer that stands in for it. */
  postgrest: boolean;
}

const LOCAL = join(SUPABASE_DIR, "..", "scripts", "local");

/** The parts, each under the name that the report has for it. */
export async function startWorld({ dir, connections, postgrest }: WorldOptions): Promise<World> {
  const keys = await loadKeys(dir);
  const stops: (() => Promise<void>)[] = [];
  const parts = new Map<number, string>();
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  const child = async (name: string, script: string, env: Record<string, string>): Promise<Child> => {
    const started = await startChild({
      name,
      script: join(LOCAL, script, "main.ts"),
      env: { LOCAL_DIR: dir, ...env },
      onLine: (line) => Deno.writeTextFileSync(join(dir, `${name}.log`), `${line}\n`, { append: true }),
    });
    parts.set(started.pid, name);
    stops.push(started.stop);
    return started;
  };
  try {
    const server = await startPostgres({ dir: join(dir, "postgres"), port: 0 });
    stops.push(server.stop);
    const pidFile = await Deno.readTextFile(join(dir, "postgres", "data", "postmaster.pid"));
    parts.set(Number(pidFile.split("\n", 1)[0]), "Postgres");
    await preparePlatform(server.url);
    await migrate(server.url);
    const sql = connect(server.url, { max: 2 });
    stops.push(() => sql.end({ timeout: 1 }));
    // As a project has it: a commit waits for the disk.
    await sql`alter system set fsync = on`;
    await sql`select pg_reload_conf()`;

    const ports = { functions: freePort(), rest: freePort(), web: freePort() };
    const url = (port: number) => `http://127.0.0.1:${port}`;
    const stripe = await child("Stripe stand-in", "stripe", {
      LOCAL_STRIPE_PORT: "0",
      STRIPE_STANDIN_SECRET_KEY: keys.stripe_secret_key,
      STRIPE_STANDIN_RESTRICTED_KEYS: JSON.stringify({
        [keys.stripe_restricted_key]: keyPermissions.map(({ name }) => name),
      }),
      STRIPE_STANDIN_WEBHOOK_SECRET: keys.stripe_webhook_secret,
    });
    const urls = { api: url(ports.rest), web: url(ports.web), stripe: stripe.url };
    const env = { ...defaultFunctionEnv(keys, urls), LOCAL_DB_URL: server.url };
    if (postgrest) {
      const rest = await startRealRest(server.url, keys, connections);
      parts.set(rest.pid, "PostgREST");
      stops.push(rest.stop);
      Object.assign(env, { LOCAL_POSTGREST_URL: rest.url });
    }
    await child("API gateway", "gateway", {
      ...env,
      LOCAL_API_PORT: `${ports.rest}`,
      LOCAL_REST_CONNECTIONS: `${connections}`,
    });
    await child("functions", "gateway", { ...env, LOCAL_API_PORT: `${ports.functions}` });
    await child("mail stand-in", "web", {
      LOCAL_WEB_PORT: `${ports.web}`,
      API_URL: url(ports.functions),
      STRIPE_URL: stripe.url,
      DB_URL: server.url,
      PUBLISHABLE_KEY: keys.publishable_key,
      SECRET_KEY: keys.secret_key,
    });
    await ensureWebhookEndpoint(stripe.url, keys, url(ports.functions));
    const warm = await fetch(`${url(ports.functions)}${WARM_UP_PATH}`, {
      method: "POST",
      headers: { apikey: keys.secret_key },
    });
    if (!warm.ok) throw new StackError(`the functions do not start: ${warm.status} ${await warm.text()}`);
    return {
      keys,
      apiUrl: urls.api,
      functionsUrl: `${url(ports.functions)}/functions/v1`,
      stripeUrl: stripe.url,
      sql,
      worked: () =>
        processorSeconds(({ pid, parent }) =>
          pid === Deno.pid ? "shoppers" : parts.get(pid) ?? parts.get(parent) ?? null
        ),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startRealRest(dbUrl: string, keys: StackKeys, connections: number) {
  const { d: _private, ...jwk } = keys.jwt_private_key;
  return await startPostgrest({
    program: await findPostgrest(),
    dbUrl,
    jwks: { keys: [jwk] },
    config: await readProjectConfig(join(SUPABASE_DIR, "config.toml")),
    connections,
    onLine: () => {},
  });
}
