/** Supabase's Management API (https://supabase.com/docs/reference/api), read only. */
import type { Subject } from "./doctor/subject.ts";

const address = "https://api.supabase.com/v1";
const timeoutMs = 15_000;

/** Reads what stands under a path of the API. */
type Read = (path: string) => Promise<unknown>;

/** How to ask about the project, with its reference; null without SUPABASE_ACCESS_TOKEN or a project. */
export function managementApi(
  { values, ref }: Pick<Subject, "values" | "ref">,
  get: typeof fetch,
): { ref: string; read: Read } | null {
  const token = values["SUPABASE_ACCESS_TOKEN"];
  if (ref === null || token === undefined) return null;
  const read = async (path: string): Promise<unknown> => {
    const response = await get(`${address}${path}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`Supabase's Management API answers ${response.status}`);
    return await response.json();
  };
  return { ref, read };
}
