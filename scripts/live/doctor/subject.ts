/** What the doctor looks at: the stack that runs in LOCAL_DIR, or a project. */
import {
  type Env,
  EnvError,
  environmentVariables,
  loadEnv,
} from "../../../supabase/functions/_shared/env.ts";
import { type Call, createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { healthCalls } from "../../../supabase/functions/_shared/database/health.ts";
import { reconciliationCalls } from "../../../supabase/functions/_shared/database/reconciliation.ts";
import { webhookCalls } from "../../../supabase/functions/_shared/database/webhooks.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { PROJECT_VARIABLES } from "../../lib/real_project.ts";
import { readFunctionEnv, readStackFile } from "../../lib/stack_file.ts";
import { projectRef, readEnvFile, SetupError } from "../setup/project.ts";
import { error, type Finding } from "./finding.ts";

const doctorCalls = (call: Call) => ({
  ...healthCalls(call),
  ...reconciliationCalls(call),
  ...webhookCalls(call),
});

/** Where the environment came from, and what it says. */
export interface Source {
  kind: "local" | "project";
  name: string;
  values: Record<string, string>;
}

/** A source whose environment is complete. */
export interface Subject extends Source {
  env: Env;
  ref: string | null;
  rpc: ReturnType<typeof doctorCalls>;
  stripe: ReturnType<typeof createStripe>;
}

/**
 * The env file when one is named; else the stack in LOCAL_DIR, the process's own environment, `.env`.
 * @throws SetupError when there is none of them.
 */
export async function findSource(envFile: string | null, given: Record<string, string>): Promise<Source> {
  if (envFile !== null) return { kind: "project", name: envFile, values: await readEnvFile(envFile) };
  const dir = given["LOCAL_DIR"] ?? ".local";
  const local = await readFunctionEnv(dir);
  if (local !== null) {
    const database = await readStackFile(dir);
    const values = { ...local, ...changes(given) };
    return {
      kind: "local",
      name: `the stack in ${dir}`,
      values: database === null ? values : { ...values, SUPABASE_DB_URL: database.db_url },
    };
  }
  if (given["SUPABASE_URL"]) {
    return { kind: "project", name: "the environment", values: given };
  }
  return { kind: "project", name: ".env", values: await readEnvFile(".env").catch(nothingFound(dir)) };
}

/** What the stack would hand on to its functions if it were started now: all but what is always its own. */
function changes(given: Record<string, string>): Record<string, string> {
  const own = [...PROJECT_VARIABLES, "STRIPE_SECRET_KEY"];
  return Object.fromEntries(
    Object.entries(given).filter(([name]) => environmentVariables.includes(name) && !own.includes(name)),
  );
}

function nothingFound(dir: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(
      `Nothing to look at: no stack runs in ${dir} (deno task dev starts one), and there is no .env of a project ` +
        "(copy .env.example, or name the file with --env)",
    );
  };
}

/** Builds what the checks need, or says which variables stand in the way. */
export function openSubject(source: Source): Subject | Finding[] {
  try {
    // Only Supabase itself knows its publishable keys, and nothing here needs them.
    const fallback = { SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_set_by_supabase"}' };
    const env = loadEnv({ ...fallback, ...source.values });
    return {
      ...source,
      env,
      ref: projectRef(source.values),
      rpc: doctorCalls(createCall(env)),
      stripe: createStripe(env),
    };
  } catch (failure) {
    if (!(failure instanceof EnvError)) throw failure;
    return failure.message.split("\n").slice(1).map((line) => {
      const [variable = "", ...fix] = line.trim().split(": ");
      return error("variable_unusable", `${variable} is not usable`, fix.join(": "));
    });
  }
}
