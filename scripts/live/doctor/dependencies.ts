import { type Advisories, readAdvisories } from "../../lib/advisories.ts";
import { ROOT } from "../../lib/paths.ts";
import { error, type Finding, ok, unseen } from "./finding.ts";
import type { Subject } from "./subject.ts";

/** Whether anything is publicly known against the packages that a deployment from this checkout would carry. */
export async function checkDependencies({ kind }: Pick<Subject, "kind">): Promise<Finding[]> {
  return kind === "local" ? [] : judgeAdvisories(await readAdvisories(ROOT));
}

/** What the answer means for the shop. */
export function judgeAdvisories({ found, unreachable, said }: Advisories): Finding[] {
  if (unreachable !== null) {
    return [unseen(`advisories of the packages: ${unreachable}`, "run it where the npm registry answers")];
  }
  if (found.length === 0) return [ok(`packages: ${said}`)];
  return found.map(({ name, severity }) =>
    error(
      "dependency_advised",
      `the package ${name} has an advisory (${severity})`,
      "read 'deno audit', take the version that mends it, and deploy",
    )
  );
}
