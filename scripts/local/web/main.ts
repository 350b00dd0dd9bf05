/**
 * The local web site as a process: demo store, inbox, console and the Resend stand-in.
 * Prints `ready URL` and runs until its standard input closes or it gets SIGTERM.
 */
import { exitWithParent } from "../child_side.ts";
import { startWeb } from "./server.ts";
import type { WebOptions } from "./site.ts";

function required(name: string): string {
  const value = Deno.env.get(name)?.trim();
  if (!value) throw new Error(`${name} is not set. The offline stack sets it: run \`deno task dev\`.`);
  return value;
}

function readPort(): number {
  const text = Deno.env.get("LOCAL_WEB_PORT") ?? "54323";
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`LOCAL_WEB_PORT must be a port number between 0 and 65535, got "${text}".`);
  }
  return port;
}

function readOptions(): WebOptions {
  const mailWebhookSecret = Deno.env.get("MAIL_WEBHOOK_SECRET")?.trim();
  return {
    port: readPort(),
    dir: Deno.env.get("LOCAL_DIR") ?? ".local",
    apiUrl: required("API_URL"),
    stripeUrl: required("STRIPE_URL"),
    dbUrl: required("DB_URL"),
    publishableKey: required("PUBLISHABLE_KEY"),
    secretKey: required("SECRET_KEY"),
    ...(mailWebhookSecret ? { mailWebhookSecret } : {}),
  };
}

if (import.meta.main) {
  try {
    const site = await startWeb(readOptions());
    exitWithParent(() => site.stop());
    console.log(`ready ${site.url}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    Deno.exit(1);
  }
}
