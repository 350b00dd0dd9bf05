/** A file is read as a whole: beyond this length it has two subjects. */
import { runCommand } from "../../lib/command.ts";
import { judged, type Step } from "./step.ts";

const FILE_LINES = 400;

/** What a tool writes is as long as it is. */
const GENERATED = ["supabase/functions/_shared/database/database_types.ts", "tests/schema.sql"];

/** Checks the length of every TypeScript and SQL file; migrations are made from the schemas. */
export const fileLength: Step = {
  name: "file length",
  async run({ root }) {
    const patterns = ["*.ts", "*.sql", ":!supabase/migrations", ...GENERATED.map((path) => `:!${path}`)];
    const listed = await runCommand("git", ["ls-files", "-co", "--exclude-standard", "--", ...patterns], {
      cwd: root,
    });
    if (!listed.success) throw new Error(`git ls-files: ${listed.stderr.trim()}`);
    const problems = listed.stdout.split("\n").filter((path) => path !== "").map(async (path) => {
      // Deleted, and not yet committed.
      const text = await Deno.readTextFile(`${root}/${path}`).catch(() => "");
      return lengthProblems(path, text);
    });
    return judged((await Promise.all(problems)).flat());
  },
};

/** Says so of a file that is too long. */
export function lengthProblems(path: string, text: string): string[] {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  return lines > FILE_LINES ? [`${path} has ${lines} lines; ${FILE_LINES} fit: split it by subject`] : [];
}
