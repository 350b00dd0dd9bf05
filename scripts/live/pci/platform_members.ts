/** Who may open the project in Supabase's dashboard. */
import { z } from "zod";
import { type Check, emptyResult, notExamined } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import { managementApi } from "../management_api.ts";

const members = z.array(z.object({ user_id: z.string(), role_name: z.string(), mfa_enabled: z.boolean() }));

/** Every member of the organisation has a second factor. Needs SUPABASE_ACCESS_TOKEN. */
export const platformMembers: Check = async (scene) => {
  const api = Array.isArray(scene.subject) ? null : managementApi(scene.subject, scene.fetch);
  if (api === null) return notExamined("members of the Supabase organisation: set SUPABASE_ACCESS_TOKEN");
  const project = z.object({ organization_id: z.string() }).parse(await api.read(`/projects/${api.ref}`));
  const found = members.parse(await api.read(`/organizations/${project.organization_id}/members`));
  const result = emptyResult();
  for (const { user_id, role_name, mfa_enabled } of found) {
    if (mfa_enabled) result.facts.push(`member ${user_id} (${role_name}) has a second factor`);
    else result.findings.push({ where: `member ${user_id} (${role_name})`, what: "has no second factor" });
  }
  result.examined.push({
    what: "members of the Supabase organisation",
    items: found.length,
    sha256: await sha256(JSON.stringify(found)),
    moves: false,
  });
  return result;
};
