/** Whether the tests notice a mistake. */
import { join } from "node:path";
import { runCommand } from "../../lib/command.ts";
import { connect, withDatabaseName } from "../../lib/connection.ts";
import { TaskError } from "../../lib/errors.ts";
import { ADMIN_URL_VARIABLE } from "../../local/test_database.ts";
import { type Mutant, mutatedFunction, mutatedText } from "./mutant.ts";

/** Killed: a test failed. */
export type Verdict = "killed" | "SURVIVED";

/** Judges mutants in a copy of the project, with the tests' server of this run. */
export class Jury {
  constructor(private readonly copy: string, private readonly adminUrl: string) {}

  /** Tests that fail anyway would kill every mutant. */
  async requireGreen(tests: string[]): Promise<void> {
    const output = await this.#test(tests);
    if (!output.success) {
      throw new TaskError(
        `The tests fail without any mutant:\n${output.stdout.split("\n").slice(-40).join("\n")}`,
      );
    }
  }

  /** What the tests of a mutant say of it. */
  async judge(mutant: Mutant): Promise<Verdict> {
    return mutant.file.endsWith(".sql") ? await this.#judgeSql(mutant) : await this.#judgeTypeScript(mutant);
  }

  /** The broken function replaces the right one in the databases that tests are cloned from. */
  async #judgeSql(mutant: Mutant): Promise<Verdict> {
    const { broken, right } = mutatedFunction(mutant, await Deno.readTextFile(join(this.copy, mutant.file)));
    try {
      await this.#inTemplates(broken);
      return await this.#verdict(mutant);
    } finally {
      await this.#inTemplates(right);
    }
  }

  async #judgeTypeScript(mutant: Mutant): Promise<Verdict> {
    const path = join(this.copy, mutant.file);
    const right = await Deno.readTextFile(path);
    try {
      await Deno.writeTextFile(path, mutatedText(mutant, right));
      return await this.#verdict(mutant);
    } finally {
      await Deno.writeTextFile(path, right);
    }
  }

  /** One file after the other, until one notices. */
  async #verdict({ tests }: Mutant): Promise<Verdict> {
    for (const file of tests) if (!(await this.#test([file])).success) return "killed";
    return "SURVIVED";
  }

  async #inTemplates(statement: string): Promise<void> {
    for (const template of ["migrated", "seeded"]) {
      const sql = connect(withDatabaseName(this.adminUrl, template));
      try {
        await sql.unsafe(statement).simple();
      } finally {
        await sql.end();
      }
    }
  }

  async #test(tests: string[]) {
    return await runCommand(
      Deno.execPath(),
      ["test", "-A", "--no-check", "--quiet", "--no-lock", "--parallel", "--fail-fast", ...tests],
      { cwd: this.copy, env: { NO_COLOR: "1", [ADMIN_URL_VARIABLE]: this.adminUrl } },
    );
  }
}
