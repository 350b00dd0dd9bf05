/** Failures that were found once, each as the few steps that led to it. */
import { join } from "node:path";
import { ROOT } from "../../lib/paths.ts";
import { type Mutant, mutatedFunction, placesOf } from "../mutate/mutant.ts";
import type { Step } from "./steps.ts";
import type { World } from "./world.ts";

const keptDir = join(ROOT, "tests", "integration", "simulation", "kept");

/** One file of the folder. */
export interface Kept extends World {
  /** What was broken, as the verdict calls it. */
  rule: string;
  /** The mistake behind it, in a sentence. */
  why: string;
  /** Makes the mistake again: with it the world has to fail, without it has to pass. */
  mutant?: SqlMutant;
}

/** A mistake in functions of SQL. */
export type SqlMutant = Omit<Mutant, "name" | "tests">;

/** What puts the mistake into a database, in all of its places. */
export async function mistakeIn(mutant: SqlMutant): Promise<string> {
  const places = placesOf({ ...mutant, name: mutant.find, tests: [] });
  const broken = places.map(async (place) =>
    mutatedFunction(place, await Deno.readTextFile(join(ROOT, place.file))).broken
  );
  return (await Promise.all(broken)).join("\n");
}

/** Writes a failure down for the tests to repeat; returns the file. */
export async function keep(kept: Kept): Promise<string> {
  await Deno.mkdir(keptDir, { recursive: true });
  const path = join(keptDir, `seed_${kept.seed}.json`);
  await Deno.writeTextFile(path, `${JSON.stringify(kept, null, 2)}\n`);
  return path;
}

/** All that are kept, by the names of their files. */
export async function readKept(): Promise<Map<string, Kept>> {
  const found: [string, Kept][] = [];
  for await (const { name } of Deno.readDir(keptDir)) {
    if (name.endsWith(".json")) found.push([name, parseKept(await Deno.readTextFile(join(keptDir, name)))]);
  }
  return new Map(found.sort(([a], [b]) => a < b ? -1 : 1));
}

/** Reads a kept world. */
export function parseKept(text: string): Kept {
  const kept = JSON.parse(text) as Kept;
  const complete = Number.isInteger(kept.seed) && Array.isArray(kept.steps) && kept.steps.every(isStep);
  if (!complete) throw new TypeError("a kept world is { seed, rule, why, steps: [{ at, do, … }] }");
  return kept;
}

function isStep(step: Step): boolean {
  return Number.isInteger(step?.at) && typeof step?.do === "string";
}
