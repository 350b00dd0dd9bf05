/**
 * `deno task mutate`: breaks the code in small, named ways, one at a time, and asks the tests that should notice. A
 * mutant that no test notices is a test that is missing. Works in a copy of the project: nothing here is changed.
 */
import { join } from "node:path";
import { runCommand } from "../lib/command.ts";
import { connect, withDatabaseName } from "../lib/connection.ts";
import { ROOT } from "../lib/paths.ts";
import { runTask } from "../lib/task.ts";
import { TaskError } from "../lib/errors.ts";
import { ADMIN_URL_VARIABLE, startRunServer } from "../local/test_database.ts";
import { type Mutant, mutatedFunction, mutatedText } from "./mutate/mutant.ts";
import { checkoutMutants } from "./mutate/checkout.ts";
import { factMutants } from "./mutate/facts.ts";
import { settlementMutants } from "./mutate/settlement.ts";
import { translatorMutants } from "./mutate/translators.ts";
import { velocityMutants } from "./mutate/velocity.ts";

const usage = `deno task mutate [NAME]… [--list]

  NAME     only mutants whose name contains this; without any: all of them
  --list   print the mutants and run nothing

  Exit code 1 when a mutant survives. A mutant whose place in the code has changed is an error.`;

const MUTANTS: Mutant[] = [
  ...factMutants,
  ...settlementMutants,
  ...checkoutMutants,
  ...velocityMutants,
  ...translatorMutants,
];

type Verdict = "killed" | "SURVIVED";

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags: { list: { type: "boolean", default: false } },
      positionals: true,
      offline: true,
      run: ({ values, positionals }) => main(positionals, values.list),
    }, Deno.args),
  );
}

async function main(names: string[], list: boolean): Promise<number> {
  const chosen = MUTANTS.filter(({ name }) =>
    names.length === 0 || names.some((part) => name.includes(part))
  );
  if (chosen.length === 0) throw new TaskError(`No mutant is called ${names.join(" or ")}`);
  // All of them first: a stale one is not found out after half an hour.
  for (const mutant of chosen) mutatedText(mutant, await Deno.readTextFile(join(ROOT, mutant.file)));
  if (list) {
    for (const { name, file } of chosen) console.log(`${name.padEnd(64)} ${file}`);
    return 0;
  }
  const copy = await Deno.makeTempDir({ prefix: "mutants-" });
  const server = await startRunServer();
  try {
    await copyProject(copy);
    const run = new Run(copy, server.adminUrl);
    await run.requireGreen([...new Set(chosen.flatMap(({ tests }) => tests))]);
    const survivors: string[] = [];
    for (const mutant of chosen) {
      const start = performance.now();
      const verdict = await run.judge(mutant);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${verdict.padEnd(9)} ${seconds.padStart(6)} s  ${mutant.name}`);
      if (verdict === "SURVIVED") survivors.push(mutant.name);
    }
    const killed = chosen.length - survivors.length;
    console.log(`\n${killed} of ${chosen.length} mutants killed, ${survivors.length} survived`);
    return survivors.length === 0 ? 0 : 1;
  } finally {
    await server.stop();
    await Deno.remove(copy, { recursive: true });
  }
}

/** Every tracked and new file; the packages are linked. */
async function copyProject(copy: string): Promise<void> {
  const listed = await runCommand("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: ROOT });
  for (const path of listed.stdout.split("\0").filter((path) => path !== "")) {
    const target = join(copy, path);
    await Deno.mkdir(join(target, ".."), { recursive: true });
    await Deno.copyFile(join(ROOT, path), target);
  }
  await Deno.symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
}

class Run {
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

  async #verdict({ tests }: Mutant): Promise<Verdict> {
    return (await this.#test(tests)).success ? "SURVIVED" : "killed";
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
