/** What `deno task doctor` says of the project. */
import { type Check, emptyResult, sha256 } from "./check.ts";
import { diagnose } from "../doctor.ts";

/** Its errors are findings, its warnings are facts to look at. */
export const configuration: Check = async ({ subject }) => {
  const result = emptyResult();
  const findings = Array.isArray(subject) ? subject : await diagnose(subject);
  for (const { level, what, fix } of findings) {
    if (level === "error") result.findings.push({ where: "deno task doctor", what: `${what} → ${fix}` });
    else result.facts.push(level === "ok" ? what : `to look at: ${what}`);
  }
  result.examined.push({
    what: "checks of the doctor",
    items: findings.length,
    sha256: await sha256(findings.map(({ what }) => what).join("\n")),
    moves: true,
  });
  return result;
};
