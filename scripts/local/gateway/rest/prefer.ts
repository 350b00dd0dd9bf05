import { RestError } from "./errors.ts";

/** What the request's `Prefer` header asks for; null where it says nothing. */
export interface Preferences {
  resolution: string | null;
  missing: string | null;
  returned: string | null;
  parameters: string | null;
  count: string | null;
  handling: string | null;
  timezone: string | null;
  /** What nobody knows. */
  invalid: string[];
}

const KNOWN = {
  resolution: ["resolution=merge-duplicates", "resolution=ignore-duplicates"],
  missing: ["missing=default", "missing=null"],
  returned: ["return=representation", "return=minimal", "return=headers-only"],
  parameters: ["params=single-object"],
  count: ["count=exact", "count=planned", "count=estimated"],
  handling: ["handling=strict", "handling=lenient"],
};
/** Understood, and without effect: the transaction always commits, as on hosted projects. */
const WITHOUT_EFFECT = ["tx=commit", "tx=rollback"];

/** Reads `Prefer`; of a preference that is given twice the first counts. */
export function readPreferences(headers: Headers, timeZones: ReadonlySet<string>): Preferences {
  const header = headers.get("prefer") ?? "";
  const given = header === "" ? [] : header.split(",").map((part) => part.trim());
  const find = (known: string[]) =>
    given.find((part) => known.includes(part))?.replace(/^[\w-]+=/, "") ?? null;
  const zone = given.find((part) => part.startsWith("timezone="))?.slice("timezone=".length) ?? null;
  const timezone = zone !== null && timeZones.has(zone) ? zone : null;
  const all = [...Object.values(KNOWN).flat(), ...WITHOUT_EFFECT];
  return {
    resolution: find(KNOWN.resolution),
    missing: find(KNOWN.missing),
    returned: find(KNOWN.returned),
    parameters: find(KNOWN.parameters),
    count: find(KNOWN.count),
    handling: find(KNOWN.handling),
    timezone,
    invalid: given.filter((part) =>
      !all.includes(part) && !(part.startsWith("timezone=") && timezone !== null)
    ),
  };
}

/** Refuses what nobody knows, if the request wants that. */
export function requireKnown({ handling, invalid }: Preferences): void {
  if (handling !== "strict" || invalid.length === 0) return;
  const details = `Invalid preferences: ${invalid.join(", ")}`;
  throw new RestError(400, "PGRST122", "Invalid preferences given with handling=strict", details);
}

/** `Preference-Applied` of an answer that heeds the named preferences, or null. */
export function preferenceApplied(
  prefer: Preferences,
  heeded: ("resolution" | "missing" | "returned" | "parameters")[],
): string | null {
  const applied = (name: "resolution" | "missing" | "returned" | "parameters", word: string) =>
    heeded.includes(name) && prefer[name] !== null ? [`${word}=${prefer[name]}`] : [];
  const always = (name: "count" | "handling" | "timezone") =>
    prefer[name] === null ? [] : [`${name}=${prefer[name]}`];
  const parts = [
    ...applied("resolution", "resolution"),
    ...applied("missing", "missing"),
    ...applied("returned", "return"),
    ...applied("parameters", "params"),
    ...always("count"),
    ...always("handling"),
    ...always("timezone"),
  ];
  return parts.length === 0 ? null : parts.join(", ");
}
