/** A real PostgreSQL 17 in a folder, started and stopped with the process that asked for it. */
import { join, resolve } from "node:path";
import {
  asServerAccount,
  findPostgresPrograms,
  giveToServerAccount,
  type PostgresPrograms,
} from "./postgres_process.ts";
import { despitePortRaces, freePort, LOCAL_HOST, PortTakenError, requireFreePort } from "../lib/ports.ts";
import { StackError } from "../lib/errors.ts";

/** Options of {@linkcode startPostgres}. */
export interface PostgresOptions {
  /** Folder of the server; its data is in `data`, its log in `log`. Created when missing. */
  dir: string;
  /** TCP port on 127.0.0.1; 0 takes any free one. */
  port: number;
}

/** A running server. */
export interface Postgres {
  /** Connection string of the database `postgres` as superuser `postgres`. */
  url: string;
  port: number;
  /** True when the data folder was created by this start. */
  created: boolean;
  /** Shuts the server down and waits until it is gone. */
  stop(): Promise<void>;
}

const MAJOR_VERSION = "17";
const START_DEADLINE_MS = 60_000;
const PORT_OF_SERVER = ["PostgreSQL", "LOCAL_DB_PORT"] as const;

/**
 * Stops the server when the process that started it dies, however it dies: the shell holds the other end of
 * its stdin, and the end of input makes it ask for a fast shutdown.
 */
const GUARD = `trap "" INT TERM; exec 3<&0; "$@" </dev/null & server=$!
(cat >/dev/null; kill -INT $server 2>/dev/null) <&3 &
exec 3<&-; wait $server`;

/**
 * Starts PostgreSQL in `dir`, creating the cluster on first use. A server that a killed process left behind on
 * the same data is stopped first, and its data recovered. Throws a `StackError` that names the fix.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const dir = resolve(options.dir);
  const data = join(dir, "data");
  await Deno.mkdir(dir, { recursive: true });
  const programs = await findPostgresPrograms(dir);
  await giveToServerAccount(programs, dir);

  const state = await dataState(data);
  if (state !== "complete" && state !== "missing") throw brokenData(data, state);
  if (state === "complete") await stopLeftover(data);
  if (options.port !== 0) requireFreePort(options.port, ...PORT_OF_SERVER);
  if (state === "missing") await createCluster(programs, dir, data);

  const { port, stop } = await despitePortRaces(
    [options.port],
    () => startServer(programs, dir, data, options.port || freePort()),
  );
  return {
    url: `postgresql://postgres:postgres@${LOCAL_HOST}:${port}/postgres`,
    port,
    created: state === "missing",
    stop,
  };
}

async function dataState(data: string): Promise<string> {
  try {
    await Deno.stat(data);
  } catch {
    return "missing";
  }
  try {
    const version = (await Deno.readTextFile(join(data, "PG_VERSION"))).trim();
    if (version !== MAJOR_VERSION) return `belongs to PostgreSQL ${version}, this is ${MAJOR_VERSION}`;
    await Deno.stat(join(data, "global", "pg_control"));
    return "complete";
  } catch {
    return "is incomplete";
  }
}

function brokenData(data: string, state: string, cause?: unknown): StackError {
  return new StackError(
    `The data folder ${data} ${state}: run 'deno task dev --fresh' to start over (its data is lost), ` +
      "or choose another folder with LOCAL_DIR=<folder>",
    { cause },
  );
}

/**
 * Variable with a folder of data that was created and never started: a run of tests copies it for each server, which
 * takes a fifth of what creating it takes. Unset or empty: each server's data are created.
 */
export const NEW_DATA_VARIABLE = "TEST_POSTGRES_DATA";

/** Creates the data in `dir` and leaves them as they are. Returns their folder. */
export async function createPostgresData(dir: string): Promise<string> {
  const data = join(dir, "data");
  await Deno.mkdir(dir, { recursive: true });
  const programs = await findPostgresPrograms(dir);
  await giveToServerAccount(programs, dir);
  await createCluster(programs, dir, data);
  return data;
}

/** Creates beside and renames, so that an interrupted run never leaves half a cluster at the final place. */
async function createCluster(programs: PostgresPrograms, dir: string, data: string): Promise<void> {
  for await (const entry of Deno.readDir(dir)) {
    if (entry.name.startsWith("partial-")) await Deno.remove(join(dir, entry.name), { recursive: true });
  }
  const partial = join(dir, `partial-${Deno.pid}`);
  const template = Deno.env.get(NEW_DATA_VARIABLE) ?? "";
  const output = template === ""
    ? await initialise(programs, partial)
    : await asServerAccount(programs, ["cp", "-R", template, partial], { stderr: "piped" }).output();
  if (!output.success) {
    const said = new TextDecoder().decode(output.stderr).trim();
    throw new StackError(`PostgreSQL could not create ${data}: ${said}`);
  }
  await Deno.writeTextFile(join(partial, "postgresql.auto.conf"), SETTINGS);
  await Deno.rename(partial, data);
}

async function initialise(programs: PostgresPrograms, data: string): Promise<Deno.CommandOutput> {
  const passwordFile = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(passwordFile, "postgres\n");
    await giveToServerAccount(programs, passwordFile);
    return await asServerAccount(programs, [
      programs.initdb,
      `--pgdata=${data}`,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C.UTF-8",
      "--locale-provider=builtin",
      "--no-sync",
      "--no-instructions",
    ], { stdout: "piped", stderr: "piped" }).output();
  } finally {
    await Deno.remove(passwordFile);
  }
}

/**
 * fsync off: a killed process or server loses nothing, only a power failure could; commits then cost microseconds.
 * scram_iterations and max_connections suit many short-lived test connections.
 */
const SETTINGS = `listen_addresses = '${LOCAL_HOST}'
unix_socket_directories = ''
max_connections = 300
shared_buffers = '64MB'
dynamic_shared_memory_type = 'mmap'
fsync = off
full_page_writes = off
max_wal_size = '512MB'
scram_iterations = 64
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_min_messages = warning
logging_collector = off
`;

interface Server {
  port: number;
  stop(): Promise<void>;
}

/**
 * What a killed server was doing ends by itself, but a moment later than it; until then its data is not free. The same
 * holds of a try before this one: its number is known to the system a little longer than it lives.
 */
const STILL_ENDING = /pre-existing shared memory block|lock file "postmaster\.pid" already exists/;

async function startServer(
  programs: PostgresPrograms,
  dir: string,
  data: string,
  port: number,
): Promise<Server> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const started = await tryServer(programs, dir, data, port, deadline);
    if (typeof started !== "string") return started;
    if (/Address already in use/.test(started)) throw new PortTakenError(port, ...PORT_OF_SERVER);
    if (!STILL_ENDING.test(started) || Date.now() > deadline) {
      const lines = started.trim().split("\n").slice(-8).join("\n  ");
      throw brokenData(data, `does not start (log: ${join(dir, "log")})`, new Error(lines));
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Starts the server once; returns what it wrote to its log when it does not come up. */
async function tryServer(
  programs: PostgresPrograms,
  dir: string,
  data: string,
  port: number,
  deadline: number,
): Promise<Server | string> {
  const logFile = join(dir, "log");
  const log = await Deno.open(logFile, { create: true, append: true });
  const logStart = (await log.stat()).size;
  const child = asServerAccount(programs, [
    "sh",
    "-c",
    GUARD,
    "postgres",
    programs.postgres,
    "-D",
    data,
    "-p",
    `${port}`,
  ], {
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const copied = child.stderr.pipeTo(log.writable);
  let ended = false;
  const exit = child.status.then(() => ended = true);
  const input = child.stdin;
  const stop = async () => {
    await input.close().catch(() => {});
    await exit;
    await copied.catch(() => {});
  };

  while (!(await accepts(data, port))) {
    if (ended || Date.now() > deadline) {
      await stop();
      return new TextDecoder().decode((await Deno.readFile(logFile)).subarray(logStart));
    }
    await new Promise((wake) => setTimeout(wake, 15));
  }
  return { port, stop };
}

/** The server writes `ready` into line 8 of its pid file as soon as it accepts connections on line 4's port. */
async function accepts(data: string, port: number): Promise<boolean> {
  const lines = await pidFile(data);
  return lines[3]?.trim() === `${port}` && lines[7]?.trim() === "ready";
}

async function pidFile(data: string): Promise<string[]> {
  try {
    return (await Deno.readTextFile(join(data, "postmaster.pid"))).split("\n");
  } catch {
    return [];
  }
}

/** Stops the server that still runs on this data after its parent was killed. */
async function stopLeftover(data: string): Promise<void> {
  const pid = Number((await pidFile(data))[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !(await isServerOf(pid, data))) {
    await Deno.remove(join(data, "postmaster.pid")).catch(() => {});
    return;
  }
  Deno.kill(pid, "SIGINT");
  const deadline = Date.now() + START_DEADLINE_MS;
  while (await isServerOf(pid, data)) {
    if (Date.now() > deadline) {
      throw new StackError(
        `PostgreSQL (pid ${pid}) still runs on ${data} and does not stop: end it with 'kill -QUIT ${pid}'`,
      );
    }
    await new Promise((wake) => setTimeout(wake, 25));
  }
}

/** A pid file may be stale and its number taken by another program: ask what the process really is. */
async function isServerOf(pid: number, data: string): Promise<boolean> {
  const command = Deno.build.os === "linux" ? await linuxCommand(pid) : await psCommand(pid);
  return command.includes("postgres") && command.includes(data);
}

async function linuxCommand(pid: number): Promise<string> {
  try {
    return (await Deno.readTextFile(`/proc/${pid}/cmdline`)).replaceAll("\0", " ");
  } catch {
    return "";
  }
}

async function psCommand(pid: number): Promise<string> {
  const output = await new Deno.Command("ps", { args: ["-o", "args=", "-p", `${pid}`], stderr: "null" })
    .output();
  return new TextDecoder().decode(output.stdout);
}
