/** `deno task dev`: the offline stack until Ctrl-C. */
import { type Stack, startStack } from "./stack.ts";
import { runTask } from "../lib/task.ts";
import { StackError } from "../lib/errors.ts";

const usage = `deno task dev [--fresh]

  --fresh   drop the data of the stack first
  LOCAL_DIR, LOCAL_API_PORT, LOCAL_DB_PORT, LOCAL_WEB_PORT and LOCAL_STRIPE_PORT move it.
  LOCAL_REST=postgrest has the real PostgREST serve /rest/v1 (Linux on x64).`;

const flags = { fresh: { type: "boolean", default: false } } as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({ usage, flags, offline: true, run: ({ values }) => dev(values.fresh) }, Deno.args),
  );
}

function port(variable: string, usual: number): number {
  const text = Deno.env.get(variable) ?? `${usual}`;
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number < 65536) return number;
  throw new StackError(`${variable}=${text} is not a port: give a number from 0 (any free one) to 65535`);
}

async function dev(fresh: boolean): Promise<number> {
  const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => interrupt(signal));
  }
  const started = performance.now();
  const starting = startStack({
    dir: Deno.env.get("LOCAL_DIR") ?? ".local",
    fresh,
    ports: {
      api: port("LOCAL_API_PORT", 54321),
      db: port("LOCAL_DB_PORT", 54322),
      web: port("LOCAL_WEB_PORT", 54323),
      stripe: port("LOCAL_STRIPE_PORT", 12111),
    },
  });
  if (await Promise.race([interrupted, starting.then(() => null, () => null)]) !== null) {
    console.log(`\nStopping (${await interrupted})`);
    await starting.then((stack) => stack.stop(), () => {});
    return 0;
  }
  const stack = await starting;
  console.log(table(stack, performance.now() - started));
  const broken = stack.broken.then((part) => `${part} ended unexpectedly`);
  const reason = await Promise.race([interrupted, broken]);
  console.log(`\nStopping (${reason})`);
  await stack.stop();
  return reason.includes("unexpectedly") ? 1 : 0;
}

function table(stack: Stack, elapsedMs: number): string {
  const rows = [
    ["Store", `${stack.web_url}/store`],
    ["Inbox", `${stack.web_url}/inbox`],
    ["Console", `${stack.web_url}/console`],
    ["API", stack.api_url],
    ["Functions", stack.functions_url],
    ["Stripe", stack.stripe_url],
    ["Database", stack.db_url],
    ["Publishable key", stack.publishable_key],
    ["Secret key", stack.secret_key],
    ["Everything", `${stack.web_url}/   (also in ${stack.dir}/stack.json)`],
  ];
  const { applied, seeded } = stack.migrations;
  const data = applied.length === 0
    ? "data kept from before"
    : `${applied.length} migrations applied${seeded ? ", seeded" : ""}`;
  const lines = rows.map(([name = "", value]) => `  ${name.padEnd(16)} ${value}`);
  return [
    `\nReady after ${(elapsedMs / 1000).toFixed(1)} s, ${data}`,
    "",
    ...lines,
    "",
    "Pay with 4242 4242 4242 4242, any future date, any CVC. Ctrl-C stops everything.",
  ].join("\n");
}
