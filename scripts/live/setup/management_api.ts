/** What the Supabase CLI has no command for, over the management API (https://supabase.com/docs/reference/api). */
import { type Project, SetupError } from "./project.ts";

const timeoutMs = 15_000;

/** Asks for a path below the project's own, and answers the JSON. @throws SetupError when it is refused. */
export type ManagementApi = (method: string, path: string, body?: unknown) => Promise<unknown>;

/** The management API of one project. @param byHand what a person can do where it cannot be asked. */
export function managementApi(
  { values, ref }: Pick<Project, "values" | "ref">,
  byHand: string,
): ManagementApi {
  return async (method, path, body) => {
    const token = values["SUPABASE_ACCESS_TOKEN"];
    if (token === undefined || ref === null) {
      throw new SetupError(`SUPABASE_ACCESS_TOKEN and the project's reference are needed; or ${byHand}`);
    }
    const response = await fetch(`${await addressOf(values)}/v1/projects/${ref}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (!response.ok) throw new SetupError(`the management API answers ${response.status}; ${byHand}`);
    return text === "" ? null : JSON.parse(text);
  };
}

/** A profile of the CLI may be a file that names another address than Supabase's. */
async function addressOf(values: Record<string, string>): Promise<string> {
  const profile = values["SUPABASE_PROFILE"] ?? "";
  if (!profile.includes("/")) return "https://api.supabase.com";
  const url = /^api_url:\s*(\S+)$/m.exec(await Deno.readTextFile(profile))?.[1];
  if (url === undefined) throw new SetupError(`${profile} names no api_url`);
  return url;
}
