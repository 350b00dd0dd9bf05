/** Import boundaries and single-owner rules of the design. */
import { dirname, join, relative } from "node:path";
import { judged, runCommand, type Step } from "./step.ts";

interface SourceFile {
  path: string;
  text: string;
  imports: { specifier: string; line: number }[];
}

interface OwnerRule {
  pattern: RegExp;
  owner: string;
  what: string;
}

const FUNCTIONS = "supabase/functions/";
const SHARED = `${FUNCTIONS}_shared/`;

/** What only one file may do. */
const OWNERS: OwnerRule[] = [
  { pattern: /\bDeno\.env\b|\bprocess\.env\b/, owner: `${SHARED}env.ts`, what: "reads the environment" },
  { pattern: /\bconsole\.\w+/, owner: `${SHARED}log.ts`, what: "writes to the console" },
  { pattern: /\.rpc\(/, owner: `${SHARED}rpc.ts`, what: "calls .rpc()" },
];

/** Checks who imports whom and who alone may do what. */
export const boundaries: Step = {
  name: "boundaries",
  async run({ root }) {
    const files = await sourceFiles(root);
    const problems = files.flatMap((file) => [...importProblems(file), ...ownerProblems(file)]);
    return judged(problems, `${files.length} files`);
  },
};

async function sourceFiles(root: string): Promise<SourceFile[]> {
  const listed = await runCommand("git", ["ls-files", "-co", "--exclude-standard", "*.ts"], { cwd: root });
  const paths = listed.stdout.split("\n").filter((path) => /^(supabase|scripts|tests)\//.test(path));
  return await Promise.all(paths.map(async (path) => {
    const text = withoutComments(await Deno.readTextFile(join(root, path)).catch(() => ""));
    return { path, text, imports: importsOf(text) };
  }));
}

/** Blanks comments out; lines keep their numbers. Addresses such as https://… are not comments. */
export function withoutComments(text: string): string {
  const blank = (comment: string) => comment.replace(/[^\n]/g, " ");
  return text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(?<![:"'`\\])\/\/[^\n]*/g, blank);
}

function importsOf(text: string): SourceFile["imports"] {
  const pattern =
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? "",
    line: text.slice(0, (match.index ?? 0) + match[0].length).split("\n").length,
  }));
}

function importProblems(file: SourceFile): string[] {
  return file.imports.flatMap(({ specifier, line }) => {
    const problem = forbidden(file.path, specifier);
    return problem === null ? [] : [`${file.path}:${line} imports ${specifier}: ${problem}`];
  });
}

function forbidden(path: string, specifier: string): string | null {
  if (/^(jsr|https?):/.test(specifier)) return "only npm packages named in deno.json can be resolved offline";
  if (specifier.startsWith("npm:")) return "name the package, with its version, in deno.json";
  if (!specifier.startsWith(".")) return null;
  const target = relative(".", join(dirname(path), specifier));
  if (path.startsWith("supabase/") && !target.startsWith("supabase/")) {
    return "supabase/ imports nothing from outside";
  }
  const from = functionOf(path), to = functionOf(target);
  if (from === "_shared" && to !== null && to !== "_shared") return "_shared imports no function";
  if (from !== null && to !== null && to !== "_shared" && from !== to) return "no function imports another";
  return null;
}

function functionOf(path: string): string | null {
  return path.startsWith(FUNCTIONS) ? path.slice(FUNCTIONS.length).split("/")[0] ?? null : null;
}

function ownerProblems(file: SourceFile): string[] {
  if (!file.path.startsWith(FUNCTIONS)) return [];
  return OWNERS.filter((rule) => file.path !== rule.owner).flatMap((rule) =>
    file.text.split("\n").flatMap((line, at) =>
      rule.pattern.test(line) ? [`${file.path}:${at + 1} ${rule.what}: only ${rule.owner} does`] : []
    )
  );
}
