/**
 * Schema reporting in the API: staff read it over REST. A project exposes `public` alone until somebody says more, and
 * the Supabase CLI has no command for it, so this asks the management API.
 * https://supabase.com/docs/reference/api/v1-update-postgrest-service-config
 */
import { type Project, secretKeyOf, SetupError } from "./project.ts";
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

async function expose({ values, ref }: Project): Promise<void> {
  const token = values["SUPABASE_ACCESS_TOKEN"];
  if (token === undefined || ref === null) {
    throw new SetupError(`SUPABASE_ACCESS_TOKEN and the project's reference are needed; or ${byHand}`);
  }
  const call = async (method: string, body?: { db_schema: string }): Promise<{ db_schema: string }> => {
    const response = await fetch(`${await managementUrl(values)}/v1/projects/${ref}/postgrest`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = await response.json().catch(() => null);
    if (!response.ok || typeof answer?.db_schema !== "string") {
      throw new SetupError(`the management API answers ${response.status}; ${byHand}`);
    }
    return answer;
  };
  // What the project exposes beside is its own.
  const names = (await call("GET")).db_schema.split(",").map((name) => name.trim()).filter((name) =>
    name !== ""
  );
  if (!names.includes(reportingSchema)) {
    await call("PATCH", { db_schema: [...names, reportingSchema].join(",") });
  }
}

/** A profile of the CLI may be a file that names another address than Supabase's. */
async function managementUrl(values: Record<string, string>): Promise<string> {
  const profile = values["SUPABASE_PROFILE"] ?? "";
  if (!profile.includes("/")) return "https://api.supabase.com";
  const url = /^api_url:\s*(\S+)$/m.exec(await Deno.readTextFile(profile))?.[1];
  if (url === undefined) throw new SetupError(`${profile} names no api_url`);
  return url;
}
