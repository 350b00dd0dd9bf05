/** What `deno task doctor` says of the project. */
import { type Check, type CheckResult, emptyResult } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import type { Finding } from "../doctor/finding.ts";
import type { FindingName } from "../doctor/finding_names.ts";
import { diagnose } from "../doctor.ts";

/** The doctor's errors are findings, its warnings facts to look at; what it could not see was not examined. */
export const configuration: Check = async ({ subject }) => {
  const findings = Array.isArray(subject) ? subject : await diagnose(subject);
  const result = judgeDiagnosis(findings);
  result.examined.push({
    what: "checks of the doctor",
    items: findings.length,
    sha256: await sha256(findings.map(({ what }) => what).join("\n")),
    moves: true,
  });
  return result;
};

/** The checks rights, dependencies and retention say these in full. */
const ofOtherChecks: FindingName[] = [
  "rights_changed",
  "row_security_changed",
  "function_open_to_all",
  "dependency_advised",
  "retention_off",
];

/** What a diagnosis is worth as evidence. */
export function judgeDiagnosis(findings: Finding[]): CheckResult {
  const result = emptyResult();
  for (const { level, name, what, fix, unseen } of findings) {
    if (name !== null && ofOtherChecks.includes(name)) continue;
    if (unseen === true) result.notExamined.push(what);
    else if (level === "error") {
      result.findings.push({ where: "deno task doctor", what: `${what} → ${fix}` });
    } else result.facts.push(level === "ok" ? what : `to look at: ${what}`);
  }
  return result;
}
