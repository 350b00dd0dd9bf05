/** Which passwords Auth takes. */
import { z } from "zod";
import { type Check, emptyResult, notExamined } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import { managementApi } from "../management_api.ts";

/** PCI DSS 8.3.6. */
const lengthMin = 12;

const settings = z.object({
  password_min_length: z.number().nullish(),
  /** Groups of characters, divided by colons, of each of which one must be there. */
  password_required_characters: z.string().nullish(),
});

/** Twelve characters at least, with letters and digits. Needs SUPABASE_ACCESS_TOKEN. */
export const passwordRules: Check = async (scene) => {
  const api = Array.isArray(scene.subject) ? null : managementApi(scene.subject, scene.fetch);
  if (api === null) return notExamined("Auth's rules for passwords: set SUPABASE_ACCESS_TOKEN");
  const found = settings.parse(await api.read(`/projects/${api.ref}/config/auth`));
  const result = emptyResult();
  const where = "dashboard, Authentication, Sign In / Providers, Email";
  const length = found.password_min_length ?? 0;
  if (length >= lengthMin) result.facts.push(`passwords have ${length} characters at least`);
  else {result.findings.push({
      where,
      what: `passwords may have ${length} characters: set ${lengthMin} or more`,
    });}
  const groups = (found.password_required_characters ?? "").split(":");
  const asks = (wanted: RegExp) => groups.some((group) => wanted.test(group));
  if (asks(/^[a-z]+$/i) && asks(/^[0-9]+$/)) result.facts.push("passwords have letters and digits");
  else result.findings.push({ where, what: "passwords need no letters and digits: require them" });
  result.examined.push({
    what: "settings of Auth for passwords",
    items: Object.keys(found).length,
    sha256: await sha256(JSON.stringify(found)),
    moves: false,
  });
  return result;
};
