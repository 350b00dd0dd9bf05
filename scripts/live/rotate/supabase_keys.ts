/**
 * The secret key of the project: what opens the API and retry-jobs. Supabase gives the functions all keys by itself;
 * pg_cron has a copy in Vault. https://supabase.com/docs/reference/api/v1-create-project-api-key
 */
import { z } from "zod";
import { parseJson } from "../../../supabase/functions/_shared/text/variables.ts";
import { managementApi } from "../setup/management_api.ts";
import { secretKeyOf } from "../setup/project.ts";
import { pointSchedule } from "../setup/schedule.ts";
import type { Progress } from "./progress.ts";
import { type RotateContext, type Rotation, type Shape, workerMs } from "./rotation.ts";

const byHand = "add a secret key in the dashboard (Project Settings, API Keys) and see docs/rotation.md";
const timeoutMs = 15_000;

const keysSchema = z.array(
  z.object({
    id: z.string().nullish(),
    name: z.string(),
    type: z.string().nullish(),
    api_key: z.string().nullish(),
  }),
);

/** Name → key; the first is in use, and the one that is replaced. */
const dictionary: Shape = {
  accepting: (old, fresh) => JSON.stringify({ ...keysOf(fresh), ...keysOf(old) }),
  using: (old, fresh) => JSON.stringify({ ...keysOf(fresh), ...keysOf(old) }),
  alone: (old, fresh) =>
    JSON.stringify({ ...keysOf(fresh), ...Object.fromEntries(Object.entries(keysOf(old)).slice(1)) }),
  freshIn(value, old) {
    const fresh = Object.entries(keysOf(value)).filter(([name]) => !(name in keysOf(old)));
    return fresh.length === 0 ? null : JSON.stringify(Object.fromEntries(fresh));
  },
  problem: () => null,
};

export const supabaseSecretKey: Rotation = {
  variable: "SUPABASE_SECRET_KEYS",
  shape: dictionary,
  checkedHere: true,
  finishAfterMs: workerMs,
  says: {
    obtain: "create a second secret key at Supabase, which gives it to the functions",
    use: "give pg_cron's copy in Vault the new key",
    retire: "delete the first key at Supabase",
    hand:
      "give the new key to whatever else has the old one (servers of the shop, CI); Supabase says when each was " +
      "last used",
  },
  async obtain(context, progress, keep) {
    const api = managementApi(context.project, byHand);
    const name = nameFor(progress);
    const known = (await listKeys(context)).find((key) => key.name === name);
    const made = known ?? keysSchema.element.parse(
      await api("POST", "/api-keys?reveal=true", {
        type: "secret",
        name,
        description: "deno task rotate",
        secret_jwt_template: { role: "service_role" },
      }),
    );
    await keep(JSON.stringify({ [name]: z.string().parse(made.api_key) }));
  },
  async notReady(context, progress) {
    // Figures are for who has a secret key: the function knows it, and the gateway lets its own call pass.
    const { project } = context;
    const [key = ""] = Object.values(keysOf(dictionary.freshIn(valueOf(context), progress.old) ?? "{}"));
    const health = await ask(context, key, "/functions/v1/health");
    const rest = await ask(context, key, "/rest/v1/orders?select=id&limit=0");
    if (!rest.ok) return `the API does not take the new key yet (${rest.status})`;
    return hasFigures(health.body)
      ? null
      : `the functions at ${project.env.supabaseUrl} do not know the new key yet: ` +
        "try again in a minute, then 'deno task setup', which deploys them anew";
  },
  use: (context) => pointSchedule(context, secretKeyOf(context.project.env)),
  async unproved(context, { at }) {
    const { body } = await ask(context, secretKeyOf(context.project.env), "/functions/v1/health");
    const ranAt = figures.safeParse(body).data?.checks.jobs.last_run_at ?? null;
    return ranAt !== null && Date.parse(ranAt) > at
      ? null
      : "retry-jobs has not been called since: see health.checks.schedule (docs/operations.md)";
  },
  async retire(context, { old }) {
    const [replaced] = Object.values(keysOf(old));
    await deleteKeys(context, ({ api_key: key }) => key === replaced);
  },
  async undo(context, progress) {
    const fresh = keysOf(dictionary.freshIn(valueOf(context), progress.old) ?? "{}");
    const [before = ""] = Object.values(keysOf(progress.old));
    if (progress.stage !== "begun") await pointSchedule(context, before);
    // One that a run has made and not kept has the name of this rotation.
    const names = progress.stage === "begun" ? [nameFor(progress)] : Object.keys(fresh);
    await deleteKeys(context, ({ name }) => names.includes(name));
  },
};

const figures = z.object({ checks: z.object({ jobs: z.object({ last_run_at: z.string().nullable() }) }) });

function hasFigures(body: unknown): boolean {
  return figures.safeParse(body).success;
}

function valueOf({ project }: RotateContext): string {
  return project.values["SUPABASE_SECRET_KEYS"]?.trim() ?? "{}";
}

function keysOf(value: string): Record<string, string> {
  return z.record(z.string(), z.string()).parse(parseJson(value));
}

/** The same for every run of a rotation that has begun, so that a key which a run that died has made is found. */
function nameFor({ at }: Progress): string {
  return `backend_${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").toLowerCase()}`;
}

async function listKeys({ project }: RotateContext) {
  return keysSchema.parse(await managementApi(project, byHand)("GET", "/api-keys?reveal=true"));
}

async function deleteKeys(
  context: RotateContext,
  which: (key: z.infer<typeof keysSchema>[number]) => boolean,
): Promise<void> {
  for (const { id } of (await listKeys(context)).filter(which)) {
    await managementApi(context.project, byHand)("DELETE", `/api-keys/${id}`);
  }
}

async function ask({ project, fetch: get }: RotateContext, key: string, path: string) {
  const response = await get(`${project.env.supabaseUrl}${path}`, {
    headers: { apikey: key },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const body: unknown = await response.json().catch(() => null);
  return { ok: response.ok, status: response.status, body };
}
