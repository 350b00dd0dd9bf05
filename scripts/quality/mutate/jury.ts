/** Whether the tests notice a mistake. */
import { join } from "node:path";
import { runCommand } from "../../lib/command.ts";
import { connect, withDatabaseName } from "../../lib/connection.ts";
import { TaskError } from "../../lib/errors.ts";
import { ADMIN_URL_VARIABLE } from "../../local/test_database.ts";
import { type Mutant, mutatedFunction, mutatedText, placesOf } from "./mutant.ts";

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
    return await this.#within(placesOf(mutant), mutant);
  }

  /** Breaks one place after the other, asks, and mends them again. */
  async #within([place, ...others]: Mutant[], mutant: Mutant): Promise<Verdict> {
    if (place === undefined) return await this.#verdict(mutant);
    const mend = await this.#break(place);
    try {
      return await this.#within(others, mutant);
    } finally {
      await mend();
    }
  }

  /** In SQL the broken function replaces the right one in the databases that tests are cloned from. */
  async #break(place: Mutant): Promise<() => Promise<void>> {
    const path = join(this.copy, place.file);
    const text = await Deno.readTextFile(path);
    if (place.file.endsWith(".sql")) {
      const { broken, right } = mutatedFunction(place, text);
      await this.#inTemplates(broken);
      return () => this.#inTemplates(right);
    }
    await Deno.writeTextFile(path, mutatedText(place, text));
    return () => Deno.writeTextFile(path, text);
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
