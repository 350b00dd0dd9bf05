/** What a repository holds and ever held, for those who look for what must not be there. */
import { runCommand } from "./command.ts";
import { TaskError } from "./errors.ts";

/** Where a line was added. */
export interface Origin {
  commit: string;
  path: string;
}

/**
 * Paths of every tracked and every new file, ignored ones left out.
 * @throws TaskError where there is no repository.
 */
export async function repositoryFiles(root: string): Promise<string[]> {
  const listed = await git(root, ["ls-files", "-co", "--exclude-standard", "-z"]);
  return listed.split("\0").filter((path) => path !== "");
}

/**
 * Every line that any commit has added, each once, with the newest commit that did.
 * @throws TaskError where there is no repository.
 */
export async function addedLines(root: string): Promise<{ lines: Map<string, Origin>; commits: number }> {
  const log = await git(root, ["log", "-p", "--no-color", "--no-ext-diff", "--format=%n@@%h"]);
  const lines = new Map<string, Origin>();
  let commit = "", path = "", commits = 0;
  for (const line of log.split("\n")) {
    if (/^@@[0-9a-f]{7,}$/.test(line)) {
      commit = line.slice(2);
      commits++;
    } else if (line.startsWith("+++ ")) path = line.slice(4).replace(/^b\//, "");
    else if (line.startsWith("+")) {
      const text = line.slice(1);
      if (!lines.has(text)) lines.set(text, { commit, path });
    }
  }
  return { lines, commits };
}

async function git(root: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await runCommand("git", args, { cwd: root });
  if (!success) throw new TaskError(`git ${args[0]} failed: ${stderr.trim()}`);
  return stdout;
}
