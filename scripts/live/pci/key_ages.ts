/** How old each key is: from the shop's records, and from what Supabase says of its secrets. */
import { environmentVariables } from "../../../supabase/functions/_shared/env.ts";
import { readSecretDates } from "../setup/secrets.ts";
import { supabaseCli } from "../setup/supabase.ts";
import { type Check, daysBetween, emptyResult, notExamined, type Scene } from "./check.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";

const daysMax = 365;

/** Whether a variable holds a key, a token or a secret. */
export function isKeyVariable(name: string): boolean {
  return /_(?:KEYS?|SECRETS?|TOKEN)$/.test(name) && !name.includes("PUBLISHABLE");
}

/** Every key that is set was made or changed within a year. */
export const keyAges: Check = async (scene) => {
  const { subject, records, now, kind } = scene;
  if (Array.isArray(subject)) return notExamined("keys: the environment is not complete");
  const result = emptyResult();
  const names = environmentVariables.filter((name) =>
    isKeyVariable(name) && (subject.values[name] ?? "") !== ""
  );
  const deployed = await deployedDates(scene);
  for (const name of names) {
    const days = [
      deployed.get(name),
      ...records.filter(({ what }) => what === `key:${name}`).map(({ on }) => on),
    ]
      .flatMap((date) => date === undefined ? [] : [daysBetween(new Date(date), now)]);
    const age = Math.min(...days);
    if (days.length === 0) {
      const what = `nobody has noted when it was made: add key:${name} to docs/pci/records.yaml`;
      if (kind === "project") result.findings.push({ where: name, what });
      else result.notExamined.push(`${name}: ${what}`);
    } else if (age > daysMax) {
      result.findings.push({
        where: name,
        what: `is more than ${daysMax} days old: rotate it (docs/pci/keys.md)`,
      });
    } else result.facts.push(`${name}: changed within ${daysMax} days`);
  }
  result.examined.push({
    what: "keys that are set, by name",
    items: names.length,
    sha256: await sha256(names.join("\n")),
    moves: false,
  });
  return result;
};

async function deployedDates({ subject }: Scene): Promise<Map<string, string>> {
  if (
    Array.isArray(subject) || subject.ref === null || subject.values["SUPABASE_ACCESS_TOKEN"] === undefined
  ) {
    return new Map();
  }
  return await readSecretDates(subject, supabaseCli(subject));
}
