/**
 * `deno task mutate`: breaks the code in small, named ways, one at a time, and asks the tests that should notice. A
 * mutant that no test notices is a test that is missing. Works in a copy of the project: nothing here is changed.
 */
import { join } from "node:path";
import { runCommand } from "../lib/command.ts";
import { ROOT } from "../lib/paths.ts";
import { runTask } from "../lib/task.ts";
import { TaskError } from "../lib/errors.ts";
import { startRunServer } from "../local/test_database.ts";
import { Jury } from "./mutate/jury.ts";
import { mutatedText, placesOf } from "./mutate/mutant.ts";
import { MUTANTS } from "./mutate/mutants.ts";

const usage = `deno task mutate [NAME]… [--list]

  NAME     only mutants whose name contains this; without any: all of them
  --list   print the mutants and run nothing

  Exit code 1 when a mutant survives. A mutant whose place in the code has changed is an error.`;

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
  for (const place of chosen.flatMap(placesOf)) {
    mutatedText(place, await Deno.readTextFile(join(ROOT, place.file)));
  }
  if (list) {
    for (const { name, file } of chosen) console.log(`${name.padEnd(64)} ${file}`);
    return 0;
  }
  const copy = await Deno.makeTempDir({ prefix: "mutants-" });
  const server = await startRunServer();
  try {
    await copyProject(copy);
    const jury = new Jury(copy, server.adminUrl);
    await jury.requireGreen([...new Set(chosen.flatMap(({ tests }) => tests))]);
    const survivors: string[] = [];
    for (const mutant of chosen) {
      const start = performance.now();
      const verdict = await jury.judge(mutant);
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
