import { TextLineStream } from "../lib/lines.ts";
import { StackError } from "../lib/errors.ts";

/** A part of the stack in a process of its own. */
export interface Child {
  /** The URL from its line `ready URL`. */
  url: string;
  pid: number;
  /** Settles when the process is gone. */
  exited: Promise<Deno.CommandStatus>;
  /** Closes its stdin, which ends it, and waits. */
  stop(): Promise<void>;
}

/** Options of {@linkcode startChild}. */
export interface ChildOptions {
  name: string;
  script: string;
  env: Record<string, string>;
  /** Takes every line the process writes. */
  onLine: (line: string) => void;
}

const READY_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 8_000;

/** What a Deno process needs from its surroundings; everything else is passed by name. */
const BASE_ENV = [
  "PATH",
  "HOME",
  "TMPDIR",
  "LANG",
  "DENO_DIR",
  "NPM_CONFIG_REGISTRY",
  "NPM_CONFIG_USERCONFIG",
  "DENO_CERT",
  "NODE_EXTRA_CA_CERTS",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "NO_COLOR",
];

/** Starts `deno run -A script` with exactly the given environment and waits for its line `ready URL`. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const base = Object.fromEntries(BASE_ENV.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", options.script],
    clearEnv: true,
    // Ctrl-C in a terminal goes to this process alone, which then ends its children in order.
    detached: true,
    env: { ...base, ...options.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin;
  const { promise: ready, resolve, reject } = Promise.withResolvers<string>();
  const lastLines: string[] = [];
  const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      const url = /^ready (http\S+)$/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
      else options.onLine(line);
      if (lastLines.push(line) > 12) lastLines.shift();
    }
  };
  const followed = Promise.all([follow(child.stdout), follow(child.stderr)]);
  const exited = child.status;
  exited.then(async (status) => {
    await followed;
    const said = lastLines.map((line) => `\n  ${line}`).join("");
    reject(new StackError(`${options.name} ended with code ${status.code} before it was ready:${said}`));
  });
  const late = setTimeout(
    () => reject(new StackError(`${options.name} was not ready after ${READY_DEADLINE_MS / 1000} s`)),
    READY_DEADLINE_MS,
  );
  const stop = async () => {
    await input.close().catch(() => {});
    const kill = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
    await exited;
    clearTimeout(kill);
    await followed;
  };
  try {
    return { url: await ready, pid: child.pid, exited, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(late);
  }
}
