/** Looks for what must never be in a repository, in files and history. */
import { addedLines, repositoryFiles } from "../../lib/repository_texts.ts";
import { findSecrets } from "../../lib/secrets.ts";
import { judged, type Step } from "./step.ts";

/** Scans every tracked and every new file. */
export const secretsInFiles: Step = {
  name: "secrets",
  async run({ root }) {
    const { problems, files } = await scanFiles(root);
    return judged(problems, `${files} files`);
  },
};

/** Scans every tracked and every new file, and every line that was ever added. */
export const secretScan: Step = {
  name: "secrets",
  async run({ root }) {
    const { problems, files } = await scanFiles(root);
    const { lines, commits } = await addedLines(root);
    problems.push(
      ...findSecrets([...lines.keys()].join("\n")).map(({ what, text }) =>
        `the history has ${what} (${text.slice(0, 12)}…): revoke it; git log -S finds the commit`
      ),
    );
    return judged(problems, `${files} files, ${commits} commits`);
  },
};

async function scanFiles(root: string): Promise<{ problems: string[]; files: number }> {
  const paths = await repositoryFiles(root);
  const problems: string[] = [];
  for (const path of paths) {
    const text = await Deno.readTextFile(`${root}/${path}`).catch(() => "");
    problems.push(
      ...findSecrets(text).map(({ what, line }) =>
        `${path}:${line} looks like ${what}: remove and revoke it`
      ),
    );
  }
  const env = paths.filter((path) => /(^|\/)\.env(\.|$)/.test(path) && !path.endsWith(".env.example"));
  problems.push(...env.map((path) => `${path} is not ignored by git: environment files hold secrets`));
  return { problems, files: paths.length };
}
