/**
 * `deno task rotate SECRET`: takes the next step of replacing a secret, so that no request is refused at any moment.
 * docs/rotation.md says when, and what is left for a hand.
 */
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import { runTask, UsageError } from "../lib/task.ts";
import { rotate, type RotateOptions } from "./rotate/engine.ts";
import { rotations } from "./rotate/registry.ts";
import type { RotateContext } from "./rotate/rotation.ts";
import { removeFromEnvFile, setInEnvFile } from "./setup/env_file.ts";
import { masked, type Project, readProject, SetupError } from "./setup/project.ts";
import { supabaseCli } from "./setup/supabase.ts";

const usage = `deno task rotate SECRET [--finish | --back] [--leaked] [--dry-run] [--env .env]

  SECRET      ${rotations.map(({ variable }) => variable).join(",\n              ")}
  --finish    have the old one forgotten, once it is proved that nothing needs it
  --back      go back to the old one
  --leaked    the old one may be known: wait for nothing
  --dry-run   say what would be done and change nothing
  --env       the functions' environment, as setup reads it; the values are kept there

Called again, it goes on where it ended. A value that somebody else makes is read from the terminal or from stdin.
Exit code 1: too early, or it failed.`;

const flags = {
  finish: { type: "boolean", default: false },
  back: { type: "boolean", default: false },
  leaked: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  env: { type: "string" },
  // The same where Deno runs by itself; started with npx, Node 20 takes this name for its own.
  "env-file": { type: "string" },
} as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      positionals: true,
      run: ({ values: { "dry-run": dryRun, finish, back, leaked, ...values }, positionals }) =>
        main(positionals, values.env ?? values["env-file"] ?? ".env", { finish, back, leaked, dryRun }),
    }, Deno.args),
  );
}

async function main(named: string[], envFile: string, options: RotateOptions): Promise<number> {
  const [name, ...more] = named;
  const rotation = rotations.find(({ variable }) => variable === name);
  if (name === undefined || more.length > 0) throw new UsageError("Name one secret");
  if (rotation === undefined) throw new UsageError(`${name} is no secret that is rotated here`);
  if (options.finish && options.back) throw new UsageError("--finish and --back exclude each other");
  const project = await readProject(envFile);
  const stripeSecretKey = project.values["STRIPE_SETUP_API_KEY"] ?? project.env.stripeSecretKey;
  const context: RotateContext = {
    project,
    stripe: createStripe({ ...project.env, stripeSecretKey }),
    supabase: supabaseCli(project),
    say: (line) => console.log(masked(line, project.values)),
    now: Date.now,
    fetch,
    ask: pasted,
    file: envFileOf(project),
  };
  return await rotate(context, rotation, options);
}

/** The env file, with the project's variables in step. */
export function envFileOf({ envFile, values }: Project): RotateContext["file"] {
  return {
    async set(name, value) {
      await setInEnvFile(envFile, name, value);
      values[name] = value;
    },
    async remove(name) {
      await removeFromEnvFile(envFile, name);
      delete values[name];
    },
  };
}

const [enter, lineFeed, backspace, interrupt, endOfInput] = [13, 10, 127, 3, 4];

/** One line that is not shown while it is typed; from a pipe all that comes. */
async function pasted(variable: string): Promise<string> {
  if (!Deno.stdin.isTerminal()) return (await new Response(Deno.stdin.readable).text()).trim();
  console.log(`Paste the new ${variable} and press Enter; it is not shown:`);
  Deno.stdin.setRaw(true);
  try {
    const typed: number[] = [];
    const byte = new Uint8Array(1);
    while (await Deno.stdin.read(byte) !== null) {
      const [code = endOfInput] = byte;
      if (code === interrupt) throw new SetupError("Interrupted: nothing was changed");
      if (code === enter || code === lineFeed || code === endOfInput) break;
      if (code === backspace) typed.pop();
      else typed.push(code);
    }
    return new TextDecoder().decode(new Uint8Array(typed)).trim();
  } finally {
    Deno.stdin.setRaw(false);
  }
}
