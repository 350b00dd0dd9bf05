/** Who may do what in the database, held against what the repository says. */
import { expectedFile, readAccessRules } from "../access_rules.ts";
import { type Check, emptyResult, noDatabase } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

/** Every rule of access that differs. */
export const rights: Check = async ({ root, sql }) => {
  if (sql === null) return noDatabase;
  const result = emptyResult();
  const { found, lacking, surplus } = await readAccessRules(sql, root);
  for (const rule of lacking) {
    result.findings.push({ where: placeOf(rule), what: `the database lacks: ${rule}` });
  }
  for (const rule of surplus) {
    result.findings.push({ where: placeOf(rule), what: `${expectedFile} does not know: ${rule}` });
  }
  result.examined.push({
    what: "rules of access in schemas public, private and reporting",
    items: found.length,
    sha256: await sha256(found.toSorted().join("\n")),
    moves: false,
  });
  return result;
};

function placeOf(rule: string): string {
  return /\b(?:public|private|reporting)\.\w+/.exec(rule)?.[0] ?? rule;
}
