/** What the code is built of: every version fixed, none with a published weakness. */
import { join } from "node:path";
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
  // The tool that looks is the one that runs this.
  const { success, stdout, stderr } = await run(Deno.execPath(), ["audit"], {
    cwd: root,
    env: { NO_COLOR: "1" },
  });
  const said = `${stdout}\n${stderr}`.trim();
  const advised = /^Found \d+ vulnerabilities$/m.exec(said);
  if (success) result.facts.push(lastLine(said));
  else if (advised !== null) {
    result.findings.push({ where: "deno audit", what: advised[0] });
    for (const [, severity = "", name = ""] of said.matchAll(/Severity:\s*(\w+)[\s\S]*?Package:\s*(\S+)/g)) {
      result.findings.push({ where: name, what: `an advisory, ${severity}: run 'deno audit' and update it` });
    }
  } else result.notExamined.push(`advisories: 'deno audit' does not reach the registry (${firstLine(said)})`);
  return result;
};

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}

function lastLine(text: string): string {
  return text.split("\n").at(-1) ?? "";
}
