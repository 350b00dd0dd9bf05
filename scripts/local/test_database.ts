/**
 * Databases for tests: real PostgreSQL with all migrations. `deno task test` starts one server and hands its URL
 * down in `TEST_DB_ADMIN_URL`; a test file run by itself starts its own, which ends with the process.
 */
import { statfs } from "node:fs/promises";
import postgres from "postgres";
import { migrate, preparePlatform } from "./migrate.ts";
import { StackError } from "../lib/errors.ts";
import { staleMigrations } from "../lib/schemas.ts";
import { createPostgresData, NEW_DATA_VARIABLE, startPostgres } from "./postgres.ts";
import { connect, withDatabaseName } from "../lib/connection.ts";
import { ROOT } from "../lib/paths.ts";

/** Variable with the URL of a server that tests may create databases on. */
export const ADMIN_URL_VARIABLE = "TEST_DB_ADMIN_URL";

/** Databases that tests are cloned from: with the migrations alone, and with the demo catalogue as well. */
export type Template = "migrated" | "seeded";

/** A database of its own for one test file. */
export interface TestDatabase extends AsyncDisposable {
  url: string;
  /** Connections as superuser. */
  sql: postgres.Sql;
  drop(): Promise<void>;
}

/** Folder that Linux keeps in memory, and the room that a run of all tests may need there. */
const MEMORY_FOLDER = "/dev/shm";
const MEMORY_BYTES = 4e9;

/** Starts a server in a temporary folder with the templates ready. */
async function startTestServer(
  dir: string,
): Promise<{ adminUrl: string; dir: string; stop(): Promise<void> }> {
  const server = await startPostgres({ dir, port: 0 });
  const stop = async () => {
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  };
  try {
    await planAlike(server.url);
    await preparePlatform(server.url);
    await createTemplates(server.url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { adminUrl: server.url, dir, stop };
}

/**
 * Tests run a function a few times on tiny tables: there, making a plan for each argument costs more than it can save,
 * so one is made for all. What a function does is the same. Nothing is vacuumed meanwhile: whether that came just after
 * a test had rolled everything back decided how long the next one took (plans for tables known to be empty).
 */
async function planAlike(adminUrl: string): Promise<void> {
  const admin = connect(adminUrl);
  try {
    await admin`alter system set plan_cache_mode = 'force_generic_plan'`;
    await admin`alter system set autovacuum = off`;
    await admin`select pg_reload_conf()`;
  } finally {
    await admin.end();
  }
}

/**
 * The server of a whole run: in memory where there is room, since each test file makes and drops a database of a
 * thousand small files. Other servers that tests start copy the same new data. Ctrl-C removes all before the process
 * ends, quietly; `letGo` is told first, before what works on the server would fail.
 */
export async function startRunServer(
  letGo: () => void = () => {},
): Promise<{ adminUrl: string; stop(): Promise<void> }> {
  const room = await statfs(MEMORY_FOLDER).then(({ bavail, bsize }) => bavail * bsize, () => 0);
  const parent = room < MEMORY_BYTES ? {} : { dir: MEMORY_FOLDER };
  const newData = await Deno.makeTempDir({ prefix: "kct-test-new-", ...parent });
  const forget = async () => {
    Deno.env.delete(NEW_DATA_VARIABLE);
    await Deno.remove(newData, { recursive: true });
  };
  let server: Awaited<ReturnType<typeof startTestServer>>;
  try {
    Deno.env.set(NEW_DATA_VARIABLE, await createPostgresData(newData));
    server = await startTestServer(await Deno.makeTempDir({ prefix: "kct-test-db-", ...parent }));
  } catch (error) {
    await forget();
    throw error;
  }
  const stop = async () => {
    await server.stop();
    await forget();
  };
  let ending: Promise<never> | null = null;
  const endWith = (code: number) => () => {
    if (ending !== null) return;
    // Whoever waits for its own end of the run meanwhile has nothing to say about it.
    ending = new Promise(() => {});
    letGo();
    stop().finally(() => Deno.exit(code));
  };
  const listeners = [["SIGINT", endWith(130)], ["SIGTERM", endWith(143)]] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  return {
    adminUrl: server.adminUrl,
    async stop() {
      if (ending !== null) await ending;
      for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
      await stop();
    },
  };
}

async function createTemplates(adminUrl: string): Promise<void> {
  const stale = await staleMigrations(ROOT);
  if (stale.length > 0) {
    throw new StackError(`The migrations are not what supabase/schemas makes: run 'deno task migrations'`);
  }
  const admin = connect(adminUrl);
  try {
    await admin.unsafe(`create database migrated`);
    await migrate(withDatabaseName(adminUrl, "migrated"), { seed: false });
    await admin.unsafe(`create database seeded template migrated`);
    await migrate(withDatabaseName(adminUrl, "seeded"));
  } finally {
    await admin.end();
  }
}

let ownServer: Promise<string> | null = null;

/** URL of the server that tests use; starts one when `deno task test` has not. */
export async function adminUrl(): Promise<string> {
  const given = Deno.env.get(ADMIN_URL_VARIABLE);
  if (given !== undefined) return given;
  ownServer ??= startOwnServer();
  return await ownServer;
}

/** The server ends with this process by itself; its folder has to be removed. */
async function startOwnServer(): Promise<string> {
  const server = await startTestServer(await Deno.makeTempDir({ prefix: "kct-test-db-" }));
  globalThis.addEventListener("unload", () => Deno.removeSync(server.dir, { recursive: true }));
  return server.adminUrl;
}

/** Clones a database. Dispose of it, or call `drop()`, at the end of the file. */
export async function createTestDatabase(template: Template = "migrated"): Promise<TestDatabase> {
  const admin = connect(await adminUrl());
  const name = `test_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  try {
    await cloneDatabase(admin, name, template);
  } finally {
    await admin.end();
  }
  const url = withDatabaseName(await adminUrl(), name);
  const sql = postgres(url, { max: 4, onnotice: () => {}, idle_timeout: 20 });
  const drop = async () => {
    await sql.end({ timeout: 1 });
    const admin = connect(await adminUrl());
    await admin.unsafe(`drop database if exists ${name} with (force)`);
    await admin.end();
  };
  return { url, sql, drop, [Symbol.asyncDispose]: drop };
}

/** Another clone of the same template at the same moment makes the server refuse one of the two: it waits its turn. */
async function cloneDatabase(admin: postgres.Sql, name: string, template: Template): Promise<void> {
  await admin`select pg_advisory_lock(hashtext('clone test database'))`;
  await admin.unsafe(`create database ${name} template ${template} strategy file_copy`);
}
