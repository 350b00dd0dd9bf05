/** What the code is built of: every version fixed, none with a published weakness. */
import { join } from "node:path";
import { readAdvisories } from "../../lib/advisories.ts";
import { type Check, emptyResult, sha256 } from "./check.ts";

/** Reads the lock file and asks the registry's advisories (`deno audit`). */
export const dependencies: Check = async ({ root, run }) => {
  const result = emptyResult();
  const text = await Deno.readTextFile(join(root, "deno.lock"));
  const lock: { npm?: Record<string, { integrity?: string }> } = JSON.parse(text);
  const packages = Object.entries(lock.npm ?? {});
  result.examined.push({
    what: "packages in deno.lock",
    items: packages.length,
    sha256: await sha256(text),
    moves: false,
  });
  for (const [name, { integrity }] of packages) {
    if (integrity === undefined) {
      result.findings.push({ where: name, what: "is locked without a hash of its content" });
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
