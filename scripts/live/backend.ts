/** Which backend a command works on: the real one named by the environment, else the offline stack. */
import Stripe from "stripe";
import { createLogger } from "../../supabase/functions/_shared/log.ts";
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import { type RescueCalls, rescueCalls } from "../../supabase/functions/_shared/database/rescue.ts";
import { type JobCalls, jobCalls } from "../../supabase/functions/_shared/jobs/calls.ts";
import { createStripe } from "../../supabase/functions/_shared/stripe/client.ts";
import type { Ours } from "../../supabase/functions/_shared/stripe_events/judge.ts";
import { isLoopback } from "../../supabase/functions/_shared/http/loopback.ts";
import { readStackFile } from "../lib/stack_file.ts";
import { TaskError } from "../lib/errors.ts";

/** A backend that a command can talk to. */
export interface Backend {
  /** For messages. */
  name: string;
  rpc: JobCalls & RescueCalls;
  stripe: Stripe;
  /** Whose events are to be taken. */
  env: Ours;
}

/** Thrown when there is nothing to talk to; the message names the fix. */
class NoBackendError extends TaskError {
  override name = "NoBackendError";
}

/**
 * The project of SUPABASE_URL, SUPABASE_SECRET_KEYS and STRIPE_SECRET_KEY when all three are set, else the stack
 * that runs in LOCAL_DIR.
 * @throws NoBackendError when there is neither, or a real project is named without its keys.
 */
export async function openBackend(
  env: (name: string) => string | undefined = Deno.env.get,
): Promise<Backend> {
  const [url, keys, stripeKey] = [env("SUPABASE_URL"), env("SUPABASE_SECRET_KEYS"), env("STRIPE_SECRET_KEY")];
  if (url && keys && stripeKey) {
    const base = env("STRIPE_API_BASE");
    for (const [name, text] of [["SUPABASE_URL", url], ["STRIPE_API_BASE", base]]) {
      if (text && !URL.canParse(text)) throw new NoBackendError(`${name}=${text} is no address: https://…`);
    }
    return backend(
      url,
      parseSecretKeys(keys),
      stripeKey,
      base === undefined || base === "" ? null : new URL(base),
      env("STRIPE_ACCOUNT_ID") || null,
    );
  }
  if (url && !isLoopback(url)) {
    const missing = [keys ? "" : "SUPABASE_SECRET_KEYS", stripeKey ? "" : "STRIPE_SECRET_KEY"].filter(
      Boolean,
    );
    throw new NoBackendError(
      `SUPABASE_URL names a real project, but ${missing.join(" and ")} ${
        missing.length > 1 ? "are" : "is"
      } not set: set all three, or none for the stack in LOCAL_DIR`,
    );
  }
  const dir = env("LOCAL_DIR") ?? ".local";
  const file = await readStackFile(dir);
  if (file === null) {
    throw new NoBackendError(
      `No stack runs in ${dir}: start one with 'deno task dev', or set SUPABASE_URL, SUPABASE_SECRET_KEYS and ` +
        "STRIPE_SECRET_KEY of a real project",
    );
  }
  return backend(
    file.api_url,
    { default: file.secret_key },
    file.stripe_secret_key,
    new URL(file.stripe_url),
    env("STRIPE_ACCOUNT_ID") || null,
  );
}

function backend(
  url: string,
  secretKeys: Record<string, string>,
  stripeKey: string,
  base: URL | null,
  stripeAccountId: string | null,
): Backend {
  const call = createCall({ supabaseUrl: url.replace(/\/+$/, ""), secretKeys });
  return {
    name: url,
    rpc: { ...jobCalls(call), ...rescueCalls(call) },
    stripe: createStripe({ stripeSecretKey: stripeKey, stripeApiBase: base }),
    env: { livemode: /^[sr]k_live_/.test(stripeKey), stripeAccountId },
  };
}

/**
 * The keys of Supabase's JSON dictionary.
 * @throws NoBackendError when it is none.
 */
export function parseSecretKeys(text: string): Record<string, string> {
  try {
    const keys: unknown = JSON.parse(text);
    if (typeof keys === "object" && keys !== null) return keys as Record<string, string>;
  } catch {
    // Falls through to the same message.
  }
  throw new NoBackendError(
    'SUPABASE_SECRET_KEYS is not Supabase\'s JSON dictionary, {"default":"sb_secret_…"}',
  );
}

/** A logger that keeps quiet unless something goes wrong: commands print their own report. */
export const quietLog = createLogger({}, (level, line) => {
  if (level === "error") console.error(line);
});
