/** The project's English is British; names of Stripe's, Supabase's and the database's stay as they are. */
import { runCommand } from "../../lib/command.ts";
import { npmProgram } from "../../lib/npm_program.ts";
import { judged, type Step } from "./step.ts";

/** The last version that runs on Node 20. */
const CSPELL = "cspell@9.8.0";

const CONFIG = "scripts/quality/spelling/cspell.json";
const WORDS = "scripts/quality/spelling/words.txt";

/** Looks up every word of the docs, the mails, the schema and the code, names and comments alike. */
export const spelling: Step = {
  name: "spelling",
  async run({ root }) {
    let program: string;
    try {
      program = await npmProgram(CSPELL, "cspell");
    } catch (error) {
      return { kind: "skipped", reason: error instanceof Error ? error.message : String(error) };
    }
    const output = await runCommand(
      program,
      [
        "lint",
        "--no-progress",
        "--no-summary",
        "--no-color",
        "--relative",
        "--show-suggestions",
        "-c",
        CONFIG,
      ],
      { cwd: root },
    );
    const found = `${output.stdout}${output.stderr}`.split("\n").filter((line) => line !== "");
    return judged(output.success ? [] : [...found.slice(0, 40), `A word that is right goes into ${WORDS}`]);
  },
};
