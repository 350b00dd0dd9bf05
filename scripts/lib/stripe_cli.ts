import { npmBinary } from "./npm_program.ts";
import { StackError } from "./errors.ts";

/** The official Stripe CLI, unmodified, from npm; this version is what the stand-in was checked with. */
const PACKAGE = "@stripe/cli@1.52.0";

/** Where the package has the program of each platform. */
const BINARIES: Record<string, string> = {
  "darwin-aarch64": "@stripe/cli-darwin-arm64/bin/stripe",
  "darwin-x86_64": "@stripe/cli-darwin-x64/bin/stripe",
  "linux-aarch64": "@stripe/cli-linux-arm64/bin/stripe",
  "linux-x86_64": "@stripe/cli-linux-x64/bin/stripe",
  "windows-x86_64": "@stripe/cli-win32-x64/bin/stripe.exe",
};

export interface CliResult {
  ok: boolean;
  stdout: string;
  stderr: string;
}

/** A `stripe listen` under way. */
export interface Listener {
  /** The signing secret it printed. */
  secret: string;
  /** Every answer of our side so far: event id and status. */
  readonly answers: { event: string; status: number }[];
  stop(): Promise<void>;
}

/** Finds the program: `STRIPE_CLI_PATH`, else npm's package. Null when there is neither. */
export async function findStripeCli(): Promise<string | null> {
  const given = Deno.env.get("STRIPE_CLI_PATH");
  if (given !== undefined && given !== "") return given;
  return await npmBinary(PACKAGE, "stripe", BINARIES).catch(() => null);
}

/** Runs the Stripe CLI against one Stripe (or the stand-in), with a configuration of its own. */
export class StripeCli {
  readonly #path: string;
  readonly #config: string;
  readonly #target: string[];

  private constructor(path: string, config: string, apiBase: string | null, apiKey: string) {
    this.#path = path;
    this.#config = config;
    this.#target = ["--api-key", apiKey, ...(apiBase === null ? [] : ["--api-base", apiBase])];
  }

  /** `apiBase` null means Stripe itself. */
  static async open(path: string, apiBase: string | null, apiKey: string): Promise<StripeCli> {
    const config = await Deno.makeTempDir({ prefix: "stripe-cli-" });
    return new StripeCli(path, config, apiBase, apiKey);
  }

  /** Forgets the configuration; the user's own is never touched. */
  async close(): Promise<void> {
    await Deno.remove(this.#config, { recursive: true });
  }

  #command(args: readonly string[]): Deno.Command {
    return new Deno.Command(this.#path, {
      args: [...args, "--config", `${this.#config}/config.toml`, "--color", "off", ...this.#target],
      env: { STRIPE_CLI_TELEMETRY_OPTOUT: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** Runs one command to its end. */
  async run(...args: string[]): Promise<CliResult> {
    const { success, stdout, stderr } = await this.#command(args).output();
    const decoder = new TextDecoder();
    return { ok: success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Runs a command that prints an API object. An API error comes back as `{ error }`. */
  async json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    const { stdout, stderr } = await this.run(...args);
    const text = [stdout, stderr].find((output) => output.includes("{")) ?? "";
    const start = text.indexOf("{");
    const end = text.lastIndexOf("}");
    if (start < 0 || end < start) throw new Error(`stripe ${args[0]} printed no object: ${stdout}${stderr}`);
    return JSON.parse(text.slice(start, end + 1)) as T;
  }

  /** The secret that `listen` signs with. */
  async secret(): Promise<string> {
    const { stdout, stderr } = await this.run("listen", "--print-secret", "--skip-update");
    const secret = stdout.trim();
    if (!secret.startsWith("whsec_")) {
      throw new StackError(`stripe listen gives no signing secret for this key: ${stderr.trim()}`);
    }
    return secret;
  }

  /** Starts `stripe listen` and returns once it is connected. */
  async listen(forwardTo: string): Promise<Listener> {
    const child = this.#command(["listen", "--forward-to", forwardTo, "--all-snapshot", "--skip-update"])
      .spawn();
    const ready = Promise.withResolvers<string>();
    const answers: Listener["answers"] = [];
    let said = "";
    const read = async (stream: Deno.ChildProcess["stdout"]) => {
      let rest = "";
      for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        rest += chunk;
        const lines = rest.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const secret = /signing secret is (whsec_\w+)/.exec(line)?.[1];
          if (secret !== undefined) ready.resolve(secret);
          const answer = /<--\s+\[(\d+)\] POST \S+ \[(evt_\w+)\]/.exec(line);
          if (answer !== null) answers.push({ event: answer[2] ?? "", status: Number(answer[1]) });
        }
      }
    };
    const reading = Promise.all([read(child.stdout), read(child.stderr)]);
    void child.status.then(() => ready.reject(new Error(`stripe listen ended: ${said}`)));
    const secret = await ready.promise;
    return {
      secret,
      answers,
      stop: async () => {
        try {
          child.kill("SIGTERM");
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
        }
        await child.status;
        await reading;
      },
    };
  }
}
