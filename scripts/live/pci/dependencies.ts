/** What the code is built of: every version fixed, none with a published weakness. */
import { join } from "node:path";
import { readAdvisories } from "../../lib/advisories.ts";
import { readLockFile } from "../../lib/lock_file.ts";
import { type Check, emptyResult } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

/** Reads the lock file and asks the registry's advisories (`deno audit`). */
export const dependencies: Check = async ({ root, run }) => {
  const result = emptyResult();
  const text = await Deno.readTextFile(join(root, "deno.lock"));
  const packages = await readLockFile(root);
  result.examined.push({
    what: "packages in deno.lock",
    items: packages.length,
    sha256: await sha256(text),
    moves: false,
  });
  for (const { key, integrity } of packages) {
    if (integrity === null) {
      result.findings.push({ where: key, what: "is locked without a hash of its content" });
    }
  }
  const { found, unreachable, said } = await readAdvisories(root, run);
  if (unreachable !== null) result.notExamined.push(`advisories: ${unreachable}`);
  else if (found.length === 0) result.facts.push(said);
  else result.findings.push({ where: "deno audit", what: said });
  for (const { name, severity } of found) {
    result.findings.push({ where: name, what: `an advisory, ${severity}: run 'deno audit' and update it` });
  }
  return result;
};
