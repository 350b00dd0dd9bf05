import { TextLineStream } from "../../scripts/lib/lines.ts";
import { eventually } from "./poll.ts";
import { type StackFile } from "../../scripts/lib/stack_file.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** `deno task dev` as a process of its own, the way a developer runs it. */
export class DevProcess {
  readonly lines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #followed: Promise<unknown>;
  /** Exit code, once it has ended. */
  code: number | null = null;
  readonly ended: Promise<number>;

  /** Starts it in `dir` on free ports; `env` may name others. */
  constructor(readonly dir: string, env: Record<string, string> = {}, args: string[] = []) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", "scripts/local/dev.ts", ...args],
      cwd: ROOT,
      env: {
        LOCAL_DIR: dir,
        LOCAL_API_PORT: "0",
        LOCAL_DB_PORT: "0",
        LOCAL_WEB_PORT: "0",
        LOCAL_STRIPE_PORT: "0",
        NO_COLOR: "1",
        ...env,
      },
      // A process group of its own, as a terminal gives to each command.
      detached: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (
        const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      ) {
        this.lines.push(line);
      }
    };
    this.#followed = Promise.all([follow(this.#child.stdout), follow(this.#child.stderr)]);
    this.ended = this.#child.status.then(async ({ code }) => {
      await this.#followed;
      return this.code = code;
    });
  }

  /** Waits until the stack has written its file and returns what it says. */
  async ready(): Promise<StackFile> {
    return await eventually(`the stack in ${this.dir}`, async () => {
      if (this.code !== null) throw new Error(`it ended with ${this.code}: ${this.lines.join("\n")}`);
      const file: StackFile = JSON.parse(await Deno.readTextFile(`${this.dir}/stack.json`));
      return file.pid === this.#child.pid ? file : null;
    }, 60_000);
  }

  /** Everything it has printed. */
  get output(): string {
    return this.lines.join("\n");
  }

  signal(signal: Deno.Signal): void {
    if (this.code === null) this.#child.kill(signal);
  }

  /** Ctrl-C: a terminal sends it to the whole process group. */
  pressCtrlC(): void {
    if (this.code === null) Deno.kill(-this.#child.pid, "SIGINT");
  }

  /** Ends it the ordinary way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.pressCtrlC();
    await this.ended;
  }
}

/** Ids of the processes that belong to the stack in `dir` (Linux). */
export function processesOf(dir: string): Promise<number[]> {
  return processesWhere((environment, command) =>
    environment.includes(`LOCAL_DIR=${dir}`) || command.includes(`${dir}/postgres`)
  );
}

/** Id of the part of the stack in `dir` whose command line contains `script` (Linux). */
export async function partOf(dir: string, script: string): Promise<number> {
  const [pid] = await processesWhere((environment, command) =>
    environment.includes(`LOCAL_DIR=${dir}`) && command.includes(script)
  );
  if (pid === undefined) throw new Error(`${script} does not run in ${dir}`);
  return pid;
}

async function processesWhere(
  wanted: (environment: string[], command: string) => boolean,
): Promise<number[]> {
  const found: number[] = [];
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name) || Number(entry.name) === Deno.pid) continue;
    const read = (file: string) => Deno.readTextFile(`/proc/${entry.name}/${file}`).catch(() => "");
    const environment = (await read("environ")).split("\0");
    if (wanted(environment, await read("cmdline"))) found.push(Number(entry.name));
  }
  return found;
}
