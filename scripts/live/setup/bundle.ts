/** What is deployed of each function: one file, of this checkout's code and the packages that deno.lock names. */
import { join } from "node:path";
import { runCommand } from "../../lib/command.ts";
import { ROOT } from "../../lib/paths.ts";
import { SetupError } from "./project.ts";

/** The text of each function's only module, by the function's name. */
export type Bundles = Map<string, string>;

/** The folders with an entry point. */
export async function functionNames(root: string = ROOT): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(join(root, "supabase", "functions"))) {
    if (entry.isDirectory && !/^[_.]|^node_modules$/.test(entry.name)) names.push(entry.name);
  }
  return names.sort();
}

/**
 * Bundles every function of a checkout with its frozen lock file. Supabase by itself would choose the packages of our
 * packages anew: the CLI uploads no lock file, and the hosted runtime cannot read one of this version
 * (https://github.com/supabase/edge-runtime/issues/615). Names of functions and classes are kept: errors go by them.
 * @throws SetupError when the lock file does not have what the code imports.
 */
export async function bundleFunctions(root: string = ROOT): Promise<Bundles> {
  const names = await functionNames(root);
  const folder = await Deno.makeTempDir({ prefix: "kct-bundle-" });
  try {
    const entrypoints = names.map((name) => join("supabase", "functions", name, "index.ts"));
    const { success, stderr } = await runCommand(
      Deno.execPath(),
      ["bundle", "--quiet", "--frozen", "--keep-names", "--outdir", folder, ...entrypoints],
      { cwd: root, env: { NO_COLOR: "1" } },
    );
    if (!success) throw new SetupError(`the functions cannot be bundled: ${firstLines(stderr)}`);
    const read = async (name: string) =>
      [name, await Deno.readTextFile(join(folder, name, "index.js"))] as const;
    return new Map(await Promise.all(names.map(read)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * The files of a project that the Supabase CLI deploys as it is, by path: what `supabase/config.toml` says of each
 * function holds, but for the file and the import map, which nothing needs any more.
 */
export async function deploymentFiles(bundles: Bundles, root: string = ROOT): Promise<[string, string][]> {
  const config = await Deno.readTextFile(join(root, "supabase", "config.toml"));
  return [
    ...[...bundles].map(([name, text]): [string, string] => [`supabase/functions/${name}/index.js`, text]),
    ["supabase/config.toml", deploymentConfig(config)],
  ];
}

function deploymentConfig(config: string): string {
  const sections = config.split(/^(?=\[)/m);
  const kept = sections.filter((section, at) => at === 0 || section.startsWith("[functions."));
  return kept.join("").replaceAll(/^import_map = .*\n/gm, "").replaceAll('/index.ts"', '/index.js"');
}

/** The error and its cause; what follows is the whole difference of the lock files. */
function firstLines(text: string): string {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").slice(0, 4).join("\n  ");
}
