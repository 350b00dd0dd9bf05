import { PROJECT_VARIABLES } from "../../lib/real_project.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { StripeCli } from "../../lib/stripe_cli.ts";
import { StackError } from "../../lib/errors.ts";
import { type StackFile } from "../../lib/stack_file.ts";

/** The stack under test, and which Stripe it talks to. */
export interface Target {
  stack: StackFile;
  cli: StripeCli;
  /** Stripe's address; null is Stripe itself. */
  apiBase: string | null;
  apiKey: string;
  description: string;
  close(): Promise<void>;
}

/** True for a key of a real account's test mode. */
export function isTestKey(key: string | undefined): boolean {
  return /^(sk|rk)_test_/.test(key?.trim() ?? "");
}

/** The key of a real test account, if one is given; a live key is refused. */
function realKey(): string | null {
  const key = Deno.env.get("STRIPE_SECRET_KEY")?.trim() ?? "";
  if (key === "") {
    // CI sets an empty variable for a secret that is not there; the functions of a new stack would take it for one.
    Deno.env.delete("STRIPE_SECRET_KEY");
    return null;
  }
  if (isTestKey(key)) return key;
  throw new StackError("STRIPE_SECRET_KEY must be a test key (sk_test_…): replay makes and refunds payments");
}

/** Joins the stack that runs in LOCAL_DIR, or starts one for this run only. */
export async function openTarget(cliPath: string): Promise<Target> {
  const key = realKey();
  if (key !== null) return await withRealStripe(cliPath, key);
  const running = await runningStack(Deno.env.get("LOCAL_DIR") ?? ".local");
  const own = running === null ? await ownStack({}) : null;
  const stack = running ?? own?.stack;
  if (stack === undefined) throw new StackError("No stack could be started");
  const cli = await StripeCli.open(cliPath, stack.stripe_url, stack.stripe_secret_key);
  return {
    stack,
    cli,
    apiBase: stack.stripe_url,
    apiKey: stack.stripe_secret_key,
    description: running === null
      ? "a stack of its own, with the Stripe stand-in"
      : `the stack of process ${stack.pid}`,
    close: async () => {
      await cli.close();
      await own?.close();
    },
  };
}

async function withRealStripe(cliPath: string, key: string): Promise<Target> {
  // Whoever exports a test key may export its project as well. That one has no part in this.
  for (const name of PROJECT_VARIABLES) Deno.env.delete(name);
  const cli = await StripeCli.open(cliPath, null, key);
  const secret = await cli.secret();
  const own = await ownStack({
    STRIPE_SECRET_KEY: key,
    STRIPE_API_BASE: "https://api.stripe.com",
    STRIPE_WEBHOOK_SECRETS: secret,
  });
  return {
    stack: own.stack,
    cli,
    apiBase: null,
    apiKey: key,
    description: "a stack of its own, with a Stripe test account",
    close: async () => {
      await cli.close();
      await own.close();
    },
  };
}

/** The stack that runs in a folder, when it answers. */
async function runningStack(dir: string): Promise<StackFile | null> {
  let file: StackFile;
  try {
    file = JSON.parse(await Deno.readTextFile(`${dir}/stack.json`)) as StackFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const answer = await fetch(`${file.functions_url}/health`).catch(() => null);
  await answer?.body?.cancel();
  return answer === null ? null : file;
}

/** Refuses to replay through functions that are down: every wait would run out, one after the other. */
export async function checkFunctions(stack: StackFile): Promise<void> {
  const response = await fetch(`${stack.functions_url}/health`);
  const answer = await response.text();
  if (!response.ok) throw new StackError(`The stack's functions are down, ${response.status}: ${answer}`);
}

async function ownStack(env: Record<string, string>): Promise<{ stack: Stack; close(): Promise<void> }> {
  const dir = await Deno.makeTempDir({ prefix: "kct-replay-" });
  const forget = () => Deno.remove(dir, { recursive: true });
  try {
    const stack = await startStack({ dir, quiet: true, web: false, env: { VELOCITY_MODE: "off", ...env } });
    return {
      stack,
      close: async () => {
        await stack.stop();
        await forget();
      },
    };
  } catch (error) {
    await forget();
    throw error;
  }
}
