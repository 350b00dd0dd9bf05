/**
 * `supabase/schemas` is the source of the database: one folder per subject, in the order that `schema_paths` of
 * `supabase/config.toml` lists. Until the first release the migrations are generated from it, one per subject; from
 * then on they are only added to, and `deno task ok` proves that both lead to the same database.
 */
import { join } from "node:path";
import { TaskError } from "./errors.ts";

/** Number of the first generated migration, and the step to the next. */
const FIRST_NUMBER = 20261127000100n;
const STEP = 100n;

/** Files that `schema_paths` of `supabase/config.toml` lists, relative to `dir`, in its order. */
export async function schemaPaths(dir: string): Promise<string[]> {
  const toml = (await Deno.readTextFile(join(dir, "config.toml"))).replace(/^\s*#.*$/gm, "");
  const list = /^\[db\.migrations\]$[^[]*?^schema_paths = \[([^\]]*)\]/m.exec(toml)?.[1];
  if (list === undefined) {
    throw new TaskError("supabase/config.toml lists no schema_paths in [db.migrations]");
  }
  return [...list.matchAll(/"\.\/([^"]+)"/g)].map(([, path = ""]) => path);
}

/** What is wrong with the list: files that it lacks, repeats or invents, and subjects that it scatters. */
export async function schemaPathProblems(dir: string): Promise<string[]> {
  const listed = await schemaPaths(dir);
  const present = await schemaFiles(dir);
  const subjects = listed.map(subjectOf).filter((subject, at, all) => subject !== all[at - 1]);
  return [
    ...present.filter((path) => !listed.includes(path)).map((path) => `schema_paths lacks ./${path}`),
    ...listed.filter((path) => !present.includes(path)).map((path) =>
      `schema_paths names ./${path}: no such file`
    ),
    ...repeated(listed).map((path) => `schema_paths names ./${path} twice`),
    ...repeated(subjects).map((subject) => `schema_paths scatters ${subject}: its files must stand together`),
  ];
}

/** The migrations that `supabase/schemas` makes: texts by file name. */
export async function generateMigrations(dir: string): Promise<Map<string, string>> {
  const bySubject = Map.groupBy(await schemaPaths(dir), subjectOf);
  const migrations = new Map<string, string>();
  let number = FIRST_NUMBER;
  for (const [subject, paths] of bySubject) {
    const texts = await Promise.all(paths.map((path) => Deno.readTextFile(join(dir, path))));
    const header = `-- Generated from supabase/schemas/${subject} by 'deno task migrations': edit there.\n`;
    migrations.set(`${number}_${subject}.sql`, [header, ...texts].join("\n"));
    number += STEP;
  }
  return migrations;
}

/** File names under `supabase/migrations` that differ from what `supabase/schemas` makes; none after the release. */
export async function staleMigrations(root: string): Promise<string[]> {
  if (await isReleased(root)) return [];
  const generated = await generateMigrations(join(root, "supabase"));
  const present = await migrationTexts(root);
  return [...new Set([...generated.keys(), ...present.keys()])]
    .filter((name) => generated.get(name) !== present.get(name)).sort();
}

/** Makes `supabase/migrations` what `supabase/schemas` says, and returns the names of the files that changed. */
export async function writeMigrations(root: string): Promise<string[]> {
  const generated = await generateMigrations(join(root, "supabase"));
  const changed = await staleMigrations(root);
  for (const name of changed) {
    const path = join(root, "supabase", "migrations", name);
    const text = generated.get(name);
    if (text === undefined) await Deno.remove(path);
    else await Deno.writeTextFile(path, text);
  }
  return changed;
}

/** Whether a version has been published: its migrations may stand in somebody's database and never change again. */
export async function isReleased(root: string): Promise<boolean> {
  return /^## v?\d+\.\d+\.\d+/m.test(await Deno.readTextFile(join(root, "CHANGELOG.md")));
}

async function migrationTexts(root: string): Promise<Map<string, string>> {
  const dir = join(root, "supabase", "migrations");
  const texts = new Map<string, string>();
  for await (const { name } of Deno.readDir(dir)) {
    if (name.endsWith(".sql")) texts.set(name, await Deno.readTextFile(join(dir, name)));
  }
  return texts;
}

/** All SQL files under `schemas`, relative to `dir`, in the order of their names. */
async function schemaFiles(dir: string, under = "schemas"): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(dir, under))) {
    if (isDirectory) paths.push(...await schemaFiles(dir, `${under}/${name}`));
    else if (name.endsWith(".sql")) paths.push(`${under}/${name}`);
  }
  return paths.sort();
}

/** `orders` of `schemas/orders/customers.sql`. */
function subjectOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function repeated(names: string[]): string[] {
  return names.filter((name, at) => names.indexOf(name) < at);
}
