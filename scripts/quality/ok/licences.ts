/** Which licences we may live under, and that every package has one of them. */
import { type LockedPackage, readLicence, readLockFile } from "../../lib/lock_file.ts";
import { judged, type Step } from "./step.ts";

/** Ask for no more than to be named. SPDX identifiers. */
const PERMISSIVE = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"];

/** Fine for what is run here and never handed on: data, documents, and a licence that reaches the file alone. */
const TOOLS = [...PERMISSIVE, "BlueOak-1.0.0", "CC-BY-4.0", "CC0-1.0", "MPL-2.0", "Python-2.0", "Unlicense"];

/** Reads the licence of every package in the lock file. */
export const licences: Step = {
  name: "licences",
  async run({ root }) {
    const packages = await readLockFile(root);
    const problems = packages.map(async (locked) => licenceProblem(locked, await readLicence(root, locked)));
    return judged((await Promise.all(problems)).flatMap((each) => each ?? []), `${packages.length} packages`);
  },
};

/** What is wrong with a package's licence; null where nothing is. */
export function licenceProblem(locked: LockedPackage, licence: string | null): string | null {
  const { key, deployed, ofOnePlatform } = locked;
  if (licence === null) {
    // What another platform needs is not here to be read.
    return ofOnePlatform ? null : `${key}: its licence cannot be read: run 'deno install', or leave it out`;
  }
  const allowed = deployed ? PERMISSIVE : TOOLS;
  const choices = licence.replace(/^\((.*)\)$/, "$1").split(" OR ");
  return choices.some((choice) => allowed.includes(choice))
    ? null
    : `${key}: ${licence} is not on the list for ${
      deployed ? "what is deployed" : "tools"
    } (scripts/quality/ok/licences.ts)`;
}
