/** The project's own modules and who imports whom, as Deno itself resolves them. */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../lib/command.ts";

/** One import of a module. */
export interface Import {
  /** As it is written. */
  specifier: string;
  line: number;
  /** Path of the imported file from the project folder; null for a package. */
  target: string | null;
}

/** A source file of the project. */
export interface Module {
  path: string;
  text: string;
  imports: Import[];
}

interface Dependency {
  specifier: string;
  code?: Resolved;
  type?: Resolved;
}

interface Resolved {
  specifier?: string;
  error?: string;
  span: { start: { line: number } };
}

/** Every TypeScript file under version control, or about to be, with its imports, types included. */
export async function moduleGraph(root: string): Promise<Module[]> {
  const listed = await runCommand("git", ["ls-files", "-co", "--exclude-standard", "*.ts"], { cwd: root });
  const paths = listed.stdout.split("\n").filter((path) => /^(supabase|scripts|tests)\//.test(path));
  const texts = new Map<string, string>();
  for (const path of paths) {
    const text = await Deno.readTextFile(join(root, path)).catch(() => null);
    if (text !== null) texts.set(path, text);
  }
  const graph = await denoInfo(root, [...texts.keys()]);
  return [...texts].map(([path, text]) => ({ path, text, imports: graph.get(path) ?? [] }));
}

/** Asks Deno for the graph of one module that imports them all. */
async function denoInfo(root: string, paths: string[]): Promise<Map<string, Import[]>> {
  // It must lie in the project, whose import maps apply by folder.
  const entry = await Deno.makeTempFile({ dir: root, prefix: ".graph-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(entry, paths.map((path) => `import "./${path}";\n`).join(""));
    const { success, stdout, stderr } = await runCommand(Deno.execPath(), ["info", "--json", entry], {
      cwd: root,
      env: { NO_COLOR: "1" },
    });
    if (!success) throw new Error(`deno info: ${stderr.trim().split("\n").at(-1)}`);
    const modules: { specifier: string; dependencies?: Dependency[] }[] = JSON.parse(stdout).modules;
    return new Map(modules.flatMap(({ specifier, dependencies = [] }) => {
      const path = projectPath(root, specifier);
      return path === null ? [] : [[path, dependencies.map((found) => importOf(root, found))]];
    }));
  } finally {
    await Deno.remove(entry);
  }
}

function importOf(root: string, { specifier, code, type }: Dependency): Import {
  const resolved = code ?? type;
  return {
    specifier,
    line: (resolved?.span.start.line ?? 0) + 1,
    target: projectPath(root, code?.specifier ?? type?.specifier ?? ""),
  };
}

function projectPath(root: string, specifier: string): string | null {
  if (!specifier.startsWith("file:")) return null;
  const path = relative(root, fileURLToPath(specifier));
  return path.startsWith("..") || path.startsWith("node_modules") ? null : path;
}
