import { type CommandOutput, runCommand } from "./command.ts";

/** What is publicly known against the packages of the lock file. */
export interface Advisories {
  /** Each advisory's package and how grave it is. */
  found: { name: string; severity: string }[];
  /** Why nobody could be asked; null where an answer came. */
  unreachable: string | null;
  /** The answer in one line. */
  said: string;
}

/** Asks the registry's advisories with `deno audit`: the tool that looks is the one that runs this. */
export async function readAdvisories(root: string, run: typeof runCommand = runCommand): Promise<Advisories> {
  return judgeAudit(await run(Deno.execPath(), ["audit"], { cwd: root, env: { NO_COLOR: "1" } }));
}

function judgeAudit({ success, stdout, stderr }: CommandOutput): Advisories {
  const text = `${stdout}\n${stderr}`.trim();
  const lines = text.split("\n");
  if (success) return { found: [], unreachable: null, said: lines.at(-1) ?? "" };
  const counted = /^Found \d+ vulnerabilities$/m.exec(text);
  if (counted === null) {
    const reason = `'deno audit' does not reach the registry (${lines[0] ?? ""})`;
    return { found: [], unreachable: reason, said: reason };
  }
  const found = [...text.matchAll(/Severity:\s*(\w+)[\s\S]*?Package:\s*(\S+)/g)].map((
    [, severity = "", name = ""],
  ) => ({ name, severity }));
  if (found.length === 0) found.push({ name: "that is not named", severity: "unknown" });
  return { found, unreachable: null, said: counted[0] };
}
