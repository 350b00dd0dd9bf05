import { parseArgs } from "node:util";
import { StateError } from "./core/store.ts";
import { type RunningStripe, startStripe } from "./server.ts";

const usage = `deno run -A main.ts [--port 12111] [--data FOLDER]

  --port   where it listens, on 127.0.0.1 only; 0 takes any free port
  --data   where its objects and undelivered events are kept; without it they are gone at the end

Variables: STRIPE_STANDIN_SECRET_KEY is the one key it takes (any sk_test_… without it),
STRIPE_STANDIN_WEBHOOK_SECRET signs what the first endpoint gets,
STRIPE_STANDIN_RESTRICTED_KEYS is JSON with restricted keys and their permissions,
{"rk_test_…": ["rak_customer_write"]}; a key that is not in it may do everything.`;

/**
 * Starts the stand-in on `port`, with its state in `dir` (null: in memory) and the keys of the environment. Ends the
 * process with a message when it cannot.
 */
export async function startStandIn(
  { port, dir }: { port: string; dir: string | null },
): Promise<RunningStripe> {
  const number = Number(port || "12111");
  if (!Number.isInteger(number) || number < 0 || number > 65_535) return fail(`${port} is no port number`);
  const secretKey = Deno.env.get("STRIPE_STANDIN_SECRET_KEY");
  const webhookSecret = Deno.env.get("STRIPE_STANDIN_WEBHOOK_SECRET");
  try {
    const restrictedKeys = readRestrictedKeys(Deno.env.get("STRIPE_STANDIN_RESTRICTED_KEYS"));
    return await startStripe({
      port: number,
      dir,
      restrictedKeys,
      ...(secretKey === undefined ? {} : { secretKey }),
      ...(webhookSecret === undefined ? {} : { webhookSecret }),
    });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      return fail(`Port ${number} is in use: stop what listens there, or choose another port`);
    }
    if (error instanceof StateError) return fail(error.message);
    throw error;
  }
}

function readRestrictedKeys(text: string | undefined): Record<string, string[]> {
  if (text === undefined || text.trim() === "") return {};
  try {
    const given: unknown = JSON.parse(text);
    const entries = Object.entries(given as Record<string, unknown>);
    if (entries.every(([key, names]) => /^rk_test_\w{12,}$/.test(key) && Array.isArray(names))) {
      return Object.fromEntries(entries.map(([key, names]) => [key, (names as unknown[]).map(String)]));
    }
  } catch {
    // The same message for what is no JSON.
  }
  return fail('STRIPE_STANDIN_RESTRICTED_KEYS is no JSON of the form {"rk_test_…": ["rak_customer_write"]}');
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}

/** Runs until SIGTERM or SIGINT. */
async function main(args: string[]): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) return console.log(usage);
  const flags = readFlags(args);
  const stripe = await startStandIn({ port: flags.port ?? "", dir: flags.data ?? null });
  const end = () => void stripe.stop().finally(() => Deno.exit(0));
  Deno.addSignalListener("SIGTERM", end);
  Deno.addSignalListener("SIGINT", end);
  console.log(`ready ${stripe.url}`);
}

function readFlags(args: string[]): { port?: string; data?: string } {
  try {
    return parseArgs({ args, options: { port: { type: "string" }, data: { type: "string" } } }).values;
  } catch (error) {
    console.error(`${(error as Error).message}; usage: ${usage.split("\n", 1)[0]}`);
    Deno.exit(2);
  }
}

if (import.meta.main) await main(Deno.args);
