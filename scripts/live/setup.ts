/**
 * `deno task setup`: brings a Supabase project and its Stripe account to what this
 * repository says. Prints its plan first; running it again changes nothing.
 */
import { createStripe, stripeErrorOf } from "../../supabase/functions/_shared/stripe/client.ts";
import { exposedSchemas } from "./setup/exposed_schemas.ts";
import { functions } from "./setup/functions.ts";
import { mailWebhook } from "./setup/mail_webhook.ts";
import { migrations } from "./setup/migrations.ts";
import { masked, readProject, SetupError } from "./setup/project.ts";
import { schedule } from "./setup/schedule.ts";
import { secrets } from "./setup/secrets.ts";
import type { Plan, SetupContext, SetupStep } from "./setup/step.ts";
import { supabaseCli } from "./setup/supabase.ts";
import { surplusEndpoints, webhookEndpoint } from "./setup/webhook_endpoint.ts";
import { runTask, UsageError } from "../lib/task.ts";

const usage = `deno task setup [--dry-run] [--only STEP] [--env .env]

  --dry-run   print what would change and change nothing
  --only      one step alone, as the plan names it: --only functions
  --env       the functions' environment, and SUPABASE_ACCESS_TOKEN, SUPABASE_DB_URL or
              SUPABASE_DB_PASSWORD; STRIPE_SETUP_API_KEY and RESEND_SETUP_API_KEY, which the functions never get`;

/** Tables before functions, the signing secret before the secrets, everything before somebody calls. */
const steps: SetupStep[] = [
  migrations,
  webhookEndpoint,
  mailWebhook,
  secrets,
  functions,
  surplusEndpoints,
  schedule,
  exposedSchemas,
];

const flags = {
  "dry-run": { type: "boolean", default: false },
  only: { type: "string" },
  env: { type: "string" },
  // The same where Deno runs by itself; started with npx, Node 20 takes this name for its own.
  "env-file": { type: "string" },
} as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: ({ values }) => {
        if (values.only !== undefined && !steps.some(({ name }) => name === values.only)) {
          throw new UsageError(
            `--only ${values.only} is none of: ${steps.map(({ name }) => name).join(", ")}`,
          );
        }
        const envFile = values.env ?? values["env-file"] ?? ".env";
        return main(envFile, { dryRun: values["dry-run"], only: values.only });
      },
    }, Deno.args),
  );
}

/** What of the plan is carried out. */
interface Extent {
  dryRun: boolean;
  /** Name of the only step; all of them where none is named. */
  only?: string | undefined;
}

async function main(envFile: string, extent: Extent): Promise<number> {
  const project = await readProject(envFile);
  const say = (line: string) => console.log(masked(line, project.values));
  // The functions' key may not change endpoints, and need not.
  const stripeSecretKey = project.values["STRIPE_SETUP_API_KEY"] ?? project.env.stripeSecretKey;
  const stripe = createStripe({ ...project.env, stripeSecretKey });
  const context = { project, stripe, supabase: supabaseCli(project), say };
  return await setUp(context, extent);
}

/** Plans, prints the plan, and applies it unless it is a dry run. Returns the exit code. */
export async function setUp(context: SetupContext, { dryRun, only }: Extent): Promise<number> {
  const { say } = context;
  const planned = only === undefined ? steps : steps.filter(({ name }) => name === only);
  const { env, ref } = context.project;
  say(`Project ${ref ?? env.supabaseUrl}, Stripe in ${env.livemode ? "live" : "test"} mode, ${env.appEnv}`);
  const outcomes = await Promise.allSettled(planned.map((step) => step.plan(context)));
  const plans: { step: SetupStep; plan: Plan }[] = [];
  for (const [at, step] of planned.entries()) {
    const outcome = outcomes[at];
    if (outcome?.status === "fulfilled") plans.push({ step, plan: outcome.value });
    say(`${step.name}:`);
    for (const line of outcome === undefined ? [] : described(outcome)) say(`  ${line}`);
  }
  if (plans.length < planned.length) {
    say("Nothing was changed.");
    return 1;
  }
  if (dryRun) {
    say("Dry run: nothing was changed.");
    return 0;
  }
  for (const { step, plan } of plans) {
    // The endpoints' secrets are born while the plan is carried out, so the secrets look again.
    if (plan.changes.length === 0 && step !== secrets) continue;
    try {
      await plan.apply();
    } catch (error) {
      say(`${step.name}: ${explained(error)}`);
      say("Stopped. What came before is done; run setup again when this is fixed.");
      return 1;
    }
    if (plan.changes.length > 0) say(`${step.name}: done`);
  }
  say("Set up. 'deno task doctor --env .env' checks it.");
  return 0;
}

function described(outcome: PromiseSettledResult<Plan>): string[] {
  if (outcome.status === "rejected") return [`error: ${explained(outcome.reason)}`];
  return outcome.value.changes.length === 0 ? ["as it should be"] : outcome.value.changes;
}

function explained(error: unknown): string {
  const failure = stripeErrorOf(error);
  if (failure !== null) {
    const fix = failure.statusCode === 401 || failure.statusCode === 403
      ? ": setup needs a key that may write webhook endpoints. Leave the functions' key without that right, and " +
        "name another one as STRIPE_SETUP_API_KEY"
      : "";
    return `Stripe: ${failure.message}${fix}`;
  }
  if (error instanceof SetupError) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
