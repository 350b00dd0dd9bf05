/** The official command line tools, which npm's packages carry: nothing is installed by hand. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "./command.ts";

const found = new Map<string, Promise<string>>();

/**
 * Returns the path of a program of an npm package, which npx fetches when it is not there yet. It is asked for once:
 * npx takes longer to start than what it starts. Throws npx's own last words when it cannot be had.
 */
export function npmProgram(spec: string, name: string): Promise<string> {
  const path = found.get(spec) ?? find(spec, name);
  found.set(spec, path);
  return path;
}

/**
 * As npmProgram(), for a package whose program is a script of Node's that only starts another one: returns that one,
 * which needs no Node and ends when it is told to. `binaries`: its path in `node_modules` by platform, as
 * `linux-x86_64`. Where it is somewhere else, the script.
 */
export async function npmBinary(
  spec: string,
  name: string,
  binaries: Record<string, string>,
): Promise<string> {
  const script = await npmProgram(spec, name);
  const binary = binaries[`${Deno.build.os}-${Deno.build.arch}`];
  const path = script.replace(/[/\\]\.bin[/\\][^/\\]+$/, `/${binary}`);
  return binary !== undefined && await Deno.stat(path).then(() => true, () => false) ? path : script;
}

/** One process at a time: npm before version 11 spoils a package that two npx install at once. */
async function find(spec: string, name: string): Promise<string> {
  using lock = await Deno.open(join(tmpdir(), `npx-${Deno.uid() ?? 0}.lock`), { create: true, write: true });
  await lock.lock(true);
  const { success, stdout, stderr } = await runCommand(
    "npx",
    // The version is exact, so what is in the cache is what the registry has: ask it only for what is missing.
    ["--prefer-offline", "-y", "-p", spec, "-c", `command -v ${name}`],
    {
      env: { NPM_CONFIG_UPDATE_NOTIFIER: "false" },
    },
  );
  const path = stdout.trim();
  if (success && path !== "") return path;
  throw new Error(stderr.trim().split("\n").at(-1) || `npx found no ${name} in ${spec}`);
}
