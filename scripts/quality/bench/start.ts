/**
 * `deno run -A scripts/quality/bench/start.ts`: what it takes until a function that is called for the first time can
 * answer: importing it as it is deployed, against importing the packages alone that it imports, by turns, in processor
 * time.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runCommand } from "../../lib/command.ts";
import { ROOT } from "../../lib/paths.ts";
import { bundleFunctions } from "../../live/setup/bundle.ts";

const rounds = Number(Deno.args[0] ?? 15);

interface Module {
  specifier: string;
  dependencies?: { code?: { specifier?: string } }[];
}

/** The packages in the one file of a function: those that it imports later are in it, and are read with it. */
async function packagesOf(name: string): Promise<string[]> {
  const entry = join(ROOT, "supabase", "functions", name, "index.ts");
  const { success, stdout, stderr } = await runCommand(Deno.execPath(), ["info", "--json", entry], {
    cwd: ROOT,
  });
  if (!success) throw new Error(stderr);
  const modules: Module[] = JSON.parse(stdout).modules;
  const waiting = [pathToFileURL(entry).href];
  const found = new Set<string>();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    const imports = modules.find(({ specifier }) => specifier === next)?.dependencies ?? [];
    waiting.push(...imports.flatMap(({ code }) => code?.specifier ?? []));
  }
  return [...found].filter((specifier) => specifier.startsWith("npm:")).sort();
}

/** All that these packages export, in one file; null: there are none. */
async function bundlePackages(packages: string[], name: string, folder: string): Promise<string | null> {
  if (packages.length === 0) return null;
  // Within the workspace of the functions, whose lock file names the versions.
  const entry = join(ROOT, "supabase", "functions", name, `.packages-${crypto.randomUUID()}.ts`);
  const out = join(folder, `${name}-packages.js`);
  const text = packages.map((specifier, at) => `export * as p${at} from ${JSON.stringify(specifier)};\n`)
    .join("");
  await Deno.writeTextFile(entry, text);
  try {
    const { success, stderr } = await runCommand(Deno.execPath(), [
      "bundle",
      "--quiet",
      "--frozen",
      "--keep-names",
      "--output",
      out,
      entry,
    ], { cwd: ROOT });
    if (!success) throw new Error(stderr);
    return out;
  } finally {
    await Deno.remove(entry);
  }
}

/** Milliseconds of processor time that an import takes, in a process of its own. */
async function importMs(file: string): Promise<number> {
  const code = `import { cpuUsage } from "node:process";
    Deno.serve = () => ({ finished: new Promise(() => {}) });
    const before = cpuUsage();
    try { await import(${JSON.stringify(pathToFileURL(file).href)}); } catch (error) {
      // Without its variables a function ends when it has read all of its code.
      if (!String(error).includes("is not set") && error.name !== "EnvError") throw error;
    }
    const { user, system } = cpuUsage(before);
    console.log((user + system) / 1000);
    Deno.exit(0);`;
  const { success, stdout, stderr } = await runCommand(Deno.execPath(), ["eval", "--no-lock", code], {
    cwd: "/",
  });
  if (!success) throw new Error(stderr);
  return Number(stdout);
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[times.length >> 1] ?? NaN;
}

const folder = await Deno.makeTempDir({ prefix: "kct-bench-start-" });
try {
  console.log(
    `${"function".padEnd(26)}${"code".padStart(10)}${"ours".padStart(12)}${"packages".padStart(12)}   ratio`,
  );
  for (const [name, text] of await bundleFunctions()) {
    const ours = join(folder, `${name}.js`);
    await Deno.writeTextFile(ours, text);
    const packages = await bundlePackages(await packagesOf(name), name, folder);
    const times = { ours: [] as number[], packages: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      times.ours.push(await importMs(ours));
      if (packages !== null) times.packages.push(await importMs(packages));
    }
    const [our, their] = [median(times.ours), median(times.packages)];
    console.log(
      `${name.padEnd(26)}${`${Math.round(text.length / 1024)} KiB`.padStart(10)}${
        `${our.toFixed(1)} ms`.padStart(12)
      }${`${their.toFixed(1)} ms`.padStart(12)}${(our / their).toFixed(2).padStart(8)}`,
    );
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
