/** The project that setup and doctor work on, as `.env` describes it. */
import { parseEnv } from "node:util";
import {
  type Env,
  EnvError,
  environmentVariables,
  loadEnv,
} from "../../../supabase/functions/_shared/env.ts";
import { TaskError } from "../../lib/errors.ts";

/** Thrown for what a person must fix; the message says how. */
export class SetupError extends TaskError {
  override name = "SetupError";
}

/** A Supabase project with its Stripe account. */
export interface Project {
  envFile: string;
  /** The file's variables, and what the commands alone need: access token, database address. */
  values: Record<string, string>;
  env: Env;
  /** Null where neither the URL nor SUPABASE_PROJECT_REF names the project. */
  ref: string | null;
}

/** Read by the Supabase CLI and by these commands, never sent to the functions. */
export const toolVariables: readonly string[] = [
  "PCI_SIGNING_KEY",
  "RESEND_SETUP_API_KEY",
  "STRIPE_SETUP_API_KEY",
  "SUPABASE_ACCESS_TOKEN",
  "SUPABASE_DB_PASSWORD",
  "SUPABASE_DB_URL",
  "SUPABASE_PROFILE",
  "SUPABASE_PROJECT_REF",
];

/** Long enough for `env.ts`, and refused by everybody else. */
const notThereYet = {
  STRIPE_WEBHOOK_SECRETS: "whsec_not_there_yet",
  SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_set_by_supabase"}',
};

/**
 * Reads an env file. Variables for the tools alone may come from the process's environment as well. A variable of the
 * functions that the file empties is an empty text: the project must not have it.
 * @throws SetupError when there is no such file.
 */
export async function readEnvFile(path: string): Promise<Record<string, string>> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new SetupError(`${path} is no file to read`, { cause: error });
    }
    throw new SetupError(`${path} does not exist: copy .env.example to ${path} and fill it in`);
  });
  const values: Record<string, string> = {};
  for (const name of toolVariables) {
    const value = Deno.env.get(name);
    if (value !== undefined && value !== "") values[name] = value;
  }
  for (const [name, value] of Object.entries(parseEnv(text))) {
    if (value !== undefined && (value !== "" || canBeUnset(name))) values[name] = value;
  }
  return values;
}

/** A signing secret that is not there yet is none, and Supabase sets its own variables. */
function canBeUnset(name: string): boolean {
  return environmentVariables.includes(name) && !(name in notThereYet) && !name.startsWith("SUPABASE_");
}

/**
 * Reads the project of an env file. A signing secret may be missing: setup gets one when it creates the endpoint.
 * @throws SetupError that names every variable to fix.
 */
export async function readProject(envFile: string): Promise<Project> {
  const values = await readEnvFile(envFile);
  return { envFile, values, env: envWith({ envFile, values }), ref: projectRef(values) };
}

/** What the functions would read of the project's variables, some of them changed. @throws SetupError */
export function envWith(
  { envFile, values }: Pick<Project, "envFile" | "values">,
  changes: Record<string, string> = {},
): Env {
  try {
    return loadEnv({ ...notThereYet, ...values, ...changes });
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    throw new SetupError(`${envFile}: ${error.message}`);
  }
}

/** The project's reference, twenty lower-case letters: from SUPABASE_PROJECT_REF, else from the URL. */
export function projectRef(values: Record<string, string>): string | null {
  const named = values["SUPABASE_PROJECT_REF"] ??
    /^https:\/\/([a-z]+)\.supabase\.co\b/.exec(values["SUPABASE_URL"] ?? "")?.[1];
  return named !== undefined && /^[a-z]{20}$/.test(named) ? named : null;
}

/** The key that opens retry-jobs and the API: the first, which is the newest while keys are rotated. */
export function secretKeyOf(env: Pick<Env, "secretKeys">): string {
  return Object.values(env.secretKeys)[0] ?? "";
}

const secretNames = /KEY|SECRET|TOKEN|PASSWORD|DB_URL|HEADERS|ALERT_WEBHOOK_URL/;

/** The text without any secret of these variables, for output that comes from elsewhere. */
export function masked(text: string, values: Record<string, string>): string {
  const secrets = Object.entries(values)
    .filter(([name]) => secretNames.test(name))
    .flatMap(([, value]) => [value, ...value.split(/[\s",{}:=]+/)])
    .filter((value) => value.length >= 12)
    .sort((a, b) => b.length - a.length);
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
}
