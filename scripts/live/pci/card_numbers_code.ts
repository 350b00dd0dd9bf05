/** Card numbers and secrets in the files and the history of the repository. */
import { addedLines, repositoryFiles } from "../../lib/repository_texts.ts";
import { findSecrets } from "../../lib/secrets.ts";
import { cardNumbersIn } from "./card_finder.ts";
import { type Check, type CheckResult, emptyResult, type Scene } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import { withoutPublished } from "./published_cards.ts";

interface Line {
  where: string;
  text: string;
}

/** Card numbers other than the published ones for tests. */
export const cardNumbersInCode: Check = async (scene) => {
  const { result, lines } = await readRepository(scene);
  for (const { where, text } of lines) {
    for (const card of cardNumbersIn(withoutPublished(text))) {
      result.findings.push({ where, what: `a card number that is not one for tests: ${card}` });
    }
  }
  return result;
};

/** Keys, tokens and passwords, by the rules of the gate. */
export const secretsInCode: Check = async (scene) => {
  const { result, lines } = await readRepository(scene);
  // All at once, since a secret may be put together over two lines; the line found leads back to its place.
  const text = lines.map((line) => line.text).join("\n");
  for (const { what, line } of findSecrets(text)) {
    result.findings.push({ where: lines[line - 1]?.where ?? "", what: `looks like ${what}` });
  }
  return result;
};

const read = new WeakMap<Scene, ReturnType<typeof readAll>>();

/** Reading the history takes seconds, so both checks of a run share it. */
async function readRepository(scene: Scene): Promise<{ result: CheckResult; lines: Line[] }> {
  const reading = read.get(scene) ?? readAll(scene);
  read.set(scene, reading);
  const { result, lines } = await reading;
  return { result: { ...result, findings: [] }, lines };
}

async function readAll({ root, run }: Scene): Promise<{ result: CheckResult; lines: Line[] }> {
  const result = emptyResult();
  const paths = await repositoryFiles(root);
  const lines: Line[] = [], marks: string[] = [];
  for (const path of paths) {
    const content = await Deno.readFile(`${root}/${path}`).catch((error) => {
      // Deleted and not committed yet, or a link to a folder.
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory) {
        return new Uint8Array();
      }
      throw error;
    });
    marks.push(`${path} ${await sha256(content)}`);
    const texts = new TextDecoder().decode(content).split("\n");
    for (const [at, text] of texts.entries()) lines.push({ where: `${path}:${at + 1}`, text });
  }
  const { lines: added, commits } = await addedLines(root);
  const now = new Set(lines.map(({ text }) => text));
  for (const [text, { commit, path }] of added) {
    if (!now.has(text)) lines.push({ where: `${path} in the history (commit ${commit})`, text });
  }
  const shallow = await run("git", ["rev-parse", "--is-shallow-repository"], { cwd: root });
  if (shallow.stdout.trim() !== "false") {
    result.notExamined.push("older history: run 'git fetch --unshallow'");
  }
  result.examined.push(
    {
      what: "files of the checkout",
      items: paths.length,
      sha256: await sha256(marks.join("\n")),
      moves: false,
    },
    {
      what: `commits, ${added.size} lines ever added`,
      items: commits,
      sha256: await sha256([...added.keys()].join("\n")),
      moves: false,
    },
  );
  return { result, lines };
}
