/**
 * Schema reporting in the API: staff read it over REST. A project exposes `public` alone until somebody says more, and
 * the Supabase CLI has no command for it, so this asks the management API.
 * https://supabase.com/docs/reference/api/v1-update-postgrest-service-config
 */
import { z } from "zod";
import { managementApi } from "./management_api.ts";
import { type Project, secretKeyOf } from "./project.ts";
import { settled, type SetupStep } from "./step.ts";

/** The schema of the views for staff, as supabase/config.toml exposes it. */
const reportingSchema = "reporting";
const timeoutMs = 15_000;
const byHand = "add 'reporting' to the exposed schemas (dashboard, Project Settings, Data API)";

/** Exposes the schema, after the migrations: an exposed schema that does not exist takes the whole API down. */
export const exposedSchemas: SetupStep = {
  name: "exposed schemas",
  async plan({ project }) {
    if (await isExposed(project.env)) return settled;
    return { changes: [`expose schema ${reportingSchema}`], apply: () => expose(project) };
  },
};

/** Whether the API shows schema reporting. What is refused or missing in it is another matter. */
export async function isExposed(env: Project["env"]): Promise<boolean> {
  const response = await fetch(`${env.supabaseUrl}/rest/v1/disputes_due?limit=0`, {
    headers: { apikey: secretKeyOf(env), "accept-profile": reportingSchema },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const answer: unknown = await response.json();
  const code = typeof answer === "object" && answer !== null && "code" in answer ? answer.code : null;
  return code !== "PGRST106";
}

async function expose(project: Project): Promise<void> {
  const call = managementApi(project, byHand);
  const schemaOf = (answer: unknown) => z.object({ db_schema: z.string() }).parse(answer).db_schema;
  // What the project exposes beside is its own.
  const names = schemaOf(await call("GET", "/postgrest")).split(",").map((name) => name.trim()).filter((
    name,
  ) => name !== "");
  if (!names.includes(reportingSchema)) {
    await call("PATCH", "/postgrest", { db_schema: [...names, reportingSchema].join(",") });
  }
}
