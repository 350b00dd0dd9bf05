/** The whole offline stack: PostgreSQL, API gateway with the functions, Stripe stand-in, web pages. */
import { join, resolve } from "node:path";
import { type Child, startChild } from "./child.ts";
import { PARTS_LOCK } from "./child_side.ts";
import { defaultFunctionEnv, functionVariables } from "./function_env.ts";
import { startJobTicker } from "./job_ticker.ts";
import { WARM_UP_PATH } from "./gateway/warm_up.ts";
import { loadKeys, type StackKeys } from "./keys.ts";
import { migrate, type MigrationReport, preparePlatform } from "./migrate.ts";
import { despitePortRaces, freePort, LOCAL_HOST, PortTakenError, requireFreePort } from "../lib/ports.ts";
import { startPostgres } from "./postgres.ts";
import { refuseRealProject } from "../lib/real_project.ts";
import { keyPermissions } from "../../supabase/functions/_shared/stripe/permissions.ts";
import { ensureWebhookEndpoint } from "./webhook_endpoint.ts";
import { connect } from "../lib/connection.ts";
import { StackError } from "../lib/errors.ts";
import { readProjectConfig } from "./gateway/project_config.ts";
import { SUPABASE_DIR } from "../lib/paths.ts";
import { findPostgrest, startPostgrest } from "./postgrest.ts";
import { removeStackFiles, type StackFile, writeStackFiles } from "../lib/stack_file.ts";

/** The ports of a stack; 0 takes any free one. */
export interface StackPorts {
  api: number;
  db: number;
  web: number;
  stripe: number;
}

/** Options of {@linkcode startStack}. */
export interface StackOptions {
  /** Folder of everything that the stack keeps. */
  dir: string;
  /** Any free port where none is given. */
  ports?: Partial<StackPorts>;
  /**
   * Variables for the functions, before the process's own (but for those that name a Supabase project) and the
   * defaults.
   */
  env?: Record<string, string>;
  /** Forget all data first. */
  fresh?: boolean;
  /** Write nothing to the terminal; logs go to files all the same. */
  quiet?: boolean;
  /** Call `retry-jobs` every two seconds. On unless false. */
  jobs?: boolean;
  /** Load all functions before the stack is ready, rather than at their first request. On unless false. */
  warmUp?: boolean;
  /** Start the web pages (and with them the mail stand-in). On unless false. */
  web?: boolean;
  /** Use this migrated database of a running server instead of an own one. */
  databaseUrl?: string;
}

/** A running stack. */
export interface Stack extends StackFile {
  dir: string;
  /** Milliseconds that each step of the start took. */
  timings: Record<string, number>;
  migrations: MigrationReport;
  /** Settles with the name of a part that ended by itself. */
  broken: Promise<string>;
  stop(): Promise<void>;
}

const LOCAL = import.meta.dirname ?? "";

const LEFTOVERS_DEADLINE_MS = 60_000;

/** What `--fresh` removes: only what a stack itself writes. */
const OWN_ENTRIES = [
  "postgres",
  "stripe",
  "mails",
  "logs",
  "web",
  "keys.json",
  "stack.json",
  "functions.json",
];

/** Starts the stack and returns when every part answers; throws a `StackError` that names the fix. */
export async function startStack(options: StackOptions): Promise<Stack> {
  refuseRealProject(Deno.env.toObject());
  const dir = resolve(options.dir);
  await requireWritable(dir);
  const unlock = await lockFolder(dir);
  try {
    await awaitLeftovers(dir);
    if (options.fresh) await forget(dir);
    await Deno.mkdir(join(dir, "logs"), { recursive: true });
    await removeStackFiles(dir);
    return await despitePortRaces(Object.values(options.ports ?? {}), async () => {
      const parts = new RunningParts();
      try {
        const stack = await startParts(dir, options, parts);
        return { ...stack, stop: () => parts.stop().finally(unlock) };
      } catch (error) {
        await parts.stop();
        throw error;
      }
    });
  } catch (error) {
    unlock();
    throw error;
  }
}

/** A read-only checkout can be used all the same: everything that a stack writes is in its folder. */
async function requireWritable(dir: string): Promise<void> {
  try {
    await Deno.mkdir(dir, { recursive: true });
    await Deno.remove(await Deno.makeTempDir({ dir }));
  } catch (cause) {
    throw new StackError(
      `The folder ${dir} cannot be written: choose another with LOCAL_DIR=<folder>`,
      { cause },
    );
  }
}

/** What must be undone: first everything that uses the database, at once, then what it stands on. */
class RunningParts {
  stopping = false;
  readonly #clients: (() => Promise<void>)[] = [];
  readonly #ground: (() => Promise<void>)[] = [];

  /** Adds a part that uses others. */
  add(stop: () => Promise<void>): void {
    this.#clients.push(stop);
  }

  /** Adds a part that others use. */
  hold(stop: () => Promise<void>): void {
    this.#ground.push(stop);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.#clients.splice(0).map((stop) => stop()));
    for (const stop of this.#ground.splice(0).reverse()) await stop();
  }
}

async function startParts(
  dir: string,
  options: StackOptions,
  parts: RunningParts,
): Promise<Omit<Stack, "stop">> {
  const timings: Record<string, number> = {};
  const timed = async <T>(name: string, work: Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work;
    timings[name] = Math.round(performance.now() - start);
    return result;
  };
  const ports = choosePorts(options.ports ?? {});
  const url = (port: number) => `http://${LOCAL_HOST}:${port}`;
  const urls = { api: url(ports.api), web: url(ports.web), stripe: url(ports.stripe) };
  const keys = await loadKeys(dir);
  const given = { ...functionVariables(Deno.env.toObject()), ...options.env };
  const env = { ...defaultFunctionEnv(keys, urls), ...given };
  const shown = effectiveKeys(keys, given);
  const { promise: broken, resolve: breakDown } = Promise.withResolvers<string>();

  const child = async (
    name: string,
    part: keyof typeof PORTS,
    childEnv: Record<string, string>,
  ): Promise<Child> => {
    const log = await openLog(dir, name, options.quiet ?? false);
    const starting = startChild({
      name,
      script: join(LOCAL, name, "main.ts"),
      env: { LOCAL_DIR: dir, [PORTS[part][1]]: `${ports[part]}`, ...childEnv },
      onLine: log.line,
    });
    const started = await timed(name, starting).catch((cause) => {
      log.close();
      const taken = cause instanceof StackError && /\bin use\b/.test(cause.message);
      throw taken ? new PortTakenError(ports[part], ...PORTS[part], { cause }) : cause;
    });
    started.exited.then(() => parts.stopping || breakDown(name));
    parts.add(() => started.stop().finally(log.close));
    return started;
  };

  /** With `LOCAL_REST=postgrest` the gateway hands what is for the REST API to a real PostgREST. */
  const postgrest = async (program: string, ready: Promise<unknown>): Promise<Record<string, string>> => {
    await ready;
    const log = await openLog(dir, "postgrest", options.quiet ?? false);
    const { d: _private, ...jwk } = keys.jwt_private_key;
    const started = await timed(
      "postgrest",
      startPostgrest({
        program,
        dbUrl,
        jwks: { keys: [jwk] },
        config: await readProjectConfig(join(SUPABASE_DIR, "config.toml")),
        onLine: log.line,
      }),
    ).catch((cause) => {
      log.close();
      throw cause;
    });
    started.exited.then(() => parts.stopping || breakDown("postgrest"));
    parts.add(() => started.stop().finally(log.close));
    return { LOCAL_POSTGREST_URL: started.url };
  };

  const database = async (): Promise<{ url: string; report: MigrationReport }> => {
    if (options.databaseUrl !== undefined) {
      return { url: options.databaseUrl, report: { applied: [], seeded: false } };
    }
    const server = await timed("postgres", startPostgres({ dir: join(dir, "postgres"), port: ports.db }));
    parts.hold(server.stop);
    return { url: server.url, report: await timed("migrations", prepareDatabase(server.url)) };
  };

  const dbUrl = options.databaseUrl ?? `postgresql://postgres:postgres@${LOCAL_HOST}:${ports.db}/postgres`;
  const program = realRest() ? await findPostgrest() : null;
  const prepared = database();
  const gateway = async () => {
    const real = program === null ? {} : await postgrest(program, prepared);
    return await child("gateway", "api", { ...env, ...real, LOCAL_DB_URL: dbUrl });
  };
  const [{ report }] = await allOrNothing([
    prepared,
    gateway(),
    child("stripe", "stripe", {
      STRIPE_STANDIN_SECRET_KEY: shown.stripe_secret_key,
      STRIPE_STANDIN_RESTRICTED_KEYS: JSON.stringify({
        [keys.stripe_restricted_key]: keyPermissions.map(({ name }) => name),
      }),
      STRIPE_STANDIN_WEBHOOK_SECRET: shown.stripe_webhook_secret,
    }),
    ...(options.web === false ? [] : [child("web", "web", {
      API_URL: urls.api,
      STRIPE_URL: urls.stripe,
      DB_URL: dbUrl,
      PUBLISHABLE_KEY: shown.publishable_key,
      SECRET_KEY: shown.secret_key,
      MAIL_WEBHOOK_SECRET: env.RESEND_WEBHOOK_SECRETS?.split(",")[0]?.trim() ?? "",
    })]),
  ]);
  await timed(
    "functions",
    Promise.all([
      ensureWebhookEndpoint(urls.stripe, shown, urls.api),
      options.warmUp === false ? null : loadFunctions(urls.api, keys.secret_key),
    ]),
  );
  if (options.jobs !== false) parts.add(await startJobTicker(urls.api, shown.secret_key));

  const file: StackFile = {
    api_url: urls.api,
    functions_url: `${urls.api}/functions/v1`,
    db_url: dbUrl,
    web_url: urls.web,
    stripe_url: urls.stripe,
    ...shown,
    pid: Deno.pid,
  };
  await writeStackFiles(dir, file, env);
  parts.add(() => removeStackFiles(dir));
  return { ...file, dir, timings, migrations: report, broken };
}

/** Which REST API the gateway serves: the one that stands in for PostgREST, or the real one. */
function realRest(): boolean {
  const wanted = Deno.env.get("LOCAL_REST") ?? "";
  if (wanted === "" || wanted === "postgrest") return wanted !== "";
  throw new StackError(`LOCAL_REST=${wanted} is not known: leave it empty, or set it to postgrest`);
}

/** Waits for all even when one fails, so that what has started can be stopped. */
async function allOrNothing<T extends unknown[]>(work: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const settled = await Promise.allSettled(work);
  const failed = settled.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return await Promise.all(work) as T;
}

async function prepareDatabase(url: string): Promise<MigrationReport> {
  const sql = connect(url);
  const [found] = await sql`select from pg_roles where rolname = 'authenticator'`;
  await sql.end();
  if (found === undefined) await preparePlatform(url);
  return await migrate(url);
}

async function loadFunctions(apiUrl: string, secretKey: string): Promise<void> {
  const response = await fetch(`${apiUrl}${WARM_UP_PATH}`, {
    method: "POST",
    headers: { apikey: secretKey },
  });
  await response.body?.cancel();
}

/** What listens on each port, and the variable that moves it; PostgreSQL speaks for itself. */
const PORTS: Record<Exclude<keyof StackPorts, "db">, readonly [string, string]> = {
  api: ["the API gateway", "LOCAL_API_PORT"],
  web: ["the web pages", "LOCAL_WEB_PORT"],
  stripe: ["the Stripe stand-in", "LOCAL_STRIPE_PORT"],
};

function choosePorts(asked: Partial<StackPorts>): StackPorts {
  const port = (part: keyof typeof PORTS) => {
    const number = asked[part] || freePort();
    if (asked[part]) requireFreePort(number, ...PORTS[part]);
    return number;
  };
  return { api: port("api"), db: asked.db || freePort(), web: port("web"), stripe: port("stripe") };
}

/** Stripe's keys that the developer handed to the functions are the stack's own as well. */
function effectiveKeys(keys: StackKeys, given: Record<string, string>) {
  return {
    publishable_key: keys.publishable_key,
    secret_key: keys.secret_key,
    stripe_secret_key: given.STRIPE_SECRET_KEY?.trim() || keys.stripe_secret_key,
    stripe_webhook_secret: given.STRIPE_WEBHOOK_SECRETS?.split(",")[0]?.trim() || keys.stripe_webhook_secret,
  };
}

/** Two stacks in one folder would write over each other; the lock ends with the process that holds it. */
async function lockFolder(dir: string): Promise<() => void> {
  const file = await Deno.open(join(dir, "lock"), { create: true, write: true });
  if (!(await file.tryLock(true))) {
    file.close();
    throw new StackError(
      `Another stack runs in ${dir}: stop it, or start this one with LOCAL_DIR=<folder> and other ports`,
    );
  }
  let locked = true;
  return () => {
    if (locked) file.close();
    locked = false;
  };
}

/**
 * The parts of a stack that was killed end by themselves, but a moment later than it: until then they hold its ports
 * and files.
 */
async function awaitLeftovers(dir: string): Promise<void> {
  using file = await Deno.open(join(dir, PARTS_LOCK), { create: true, write: true });
  if (await file.tryLock(true)) return;
  console.log(`Waiting for the parts of a stack in ${dir} that was killed`);
  const deadline = Date.now() + LEFTOVERS_DEADLINE_MS;
  while (!(await file.tryLock(true))) {
    if (Date.now() > deadline) {
      throw new StackError(
        `Parts of a stack that was killed still run in ${dir}: end the processes that have ${PARTS_LOCK} there open`,
      );
    }
    await new Promise((wake) => setTimeout(wake, 25));
  }
}

async function forget(dir: string): Promise<void> {
  for (const entry of OWN_ENTRIES) {
    await Deno.remove(join(dir, entry), { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

async function openLog(dir: string, name: string, quiet: boolean) {
  const file = await Deno.open(join(dir, "logs", `${name}.log`), { create: true, append: true });
  const encoder = new TextEncoder();
  return {
    line: (line: string) => {
      file.writeSync(encoder.encode(`${line}\n`));
      if (!quiet) console.log(`${name.padEnd(7)} | ${line}`);
    },
    close: () => file.close(),
  };
}
