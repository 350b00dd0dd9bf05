/**
 * docs/stripe-events.md says of every event of the pinned Stripe library what becomes of it. After a change of the
 * registry, or of the library: give new types a reason in `event_families.ts`, then
 * `WRITE_EVENTS=1 deno task test tests/quality/stripe_events_doc.test.ts` and `deno fmt docs`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../scripts/lib/paths.ts";
import { enabledEvents, isWanted } from "../../supabase/functions/_shared/stripe_events/mod.ts";
import { translateThin } from "../../supabase/functions/_shared/stripe_events/thin.ts";
import { stripeApiVersion } from "../../supabase/functions/_shared/stripe/api_version.ts";
import { type Family, snapshotFamilies, thinFamilies } from "./event_families.ts";

const path = join(ROOT, "docs/stripe-events.md");
const start = "<!-- events -->", end = "<!-- end of events -->";

/** The types of events that a file of the library declares. */
async function declared(file: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, "node_modules/stripe/esm/resources", file));
  return [...new Set([...text.matchAll(/^ {4}type: '([a-z0-9_.]+)';$/gm)].map(([, type = ""]) => type))]
    .sort();
}

const snapshots = await declared("Events.d.ts");
const thin = await declared("V2/Core/Events.d.ts");

/** Why we listen, in the words of the registry. */
async function reasons(): Promise<Map<string, string>> {
  const text = await Deno.readTextFile(join(ROOT, "supabase/functions/_shared/stripe_events/mod.ts"));
  return new Map(
    [...text.matchAll(/^ {2}\/\/ (.+)\n {2}"([a-z_.]+)":/gm)].map(([, why = "", type = ""]) => [type, why]),
  );
}

/** The types of each family; every type has one. */
function sorted(types: readonly string[], families: readonly Family[]): Map<Family, string[]> {
  const found = new Map(families.map((family) => [family, [] as string[]]));
  const strays = types.filter((type) => {
    const family = families.find(({ prefixes }) => prefixes.some((prefix) => type.startsWith(prefix)));
    if (family !== undefined) found.get(family)?.push(type);
    return family === undefined;
  });
  assert.deepEqual(strays, [], "an event without a reason in event_families.ts");
  return found;
}

/** Whether a thin event has its object read, as the translator decides it. */
function isRead(type: string): boolean {
  const [object = ""] =
    /^v1\.(checkout\.session|payment_intent|refund|review|customer)\./.exec(type)?.slice(1) ?? [
      type.startsWith("v1.charge.dispute.") ? "dispute" : "charge",
    ];
  return translateThin({ id: "evt_1", type, related_object: { id: "id_1", type: object } }, isWanted).kind ===
    "facts";
}

const codes = (types: readonly string[]) => types.map((type) => `\`${type}\``).join(", ");

async function described(): Promise<string> {
  const why = await reasons();
  const ignored = (types: readonly string[], families: readonly Family[]) =>
    [...sorted(types, families)].map(([{ why }, own]) => `- **${why}**: ${codes(own)}`).join("\n");
  return [
    `API version \`${stripeApiVersion}\`: ${snapshots.length} snapshot events, ${thin.length} thin ones.`,
    "## Events that are handled",
    ["| event | why |", "| --- | --- |", ...enabledEvents.map((type) => `| \`${type}\` | ${why.get(type)} |`)]
      .join("\n"),
    "## Snapshot events that are ignored",
    ignored(snapshots.filter((type) => !enabledEvents.includes(type)), snapshotFamilies),
    "## Thin events whose object is read again",
    codes(thin.filter(isRead)),
    "## Thin events that are ignored",
    ignored(thin.filter((type) => !isRead(type)), thinFamilies),
  ].join("\n\n");
}

/** As the formatter may wrap and pad it. */
function plain(text: string): string {
  return text.replaceAll(/\| -+ \| -+ \|/g, "").replaceAll(/-{3,}/g, "").replaceAll(/[\s|]+/g, " ").trim();
}

Deno.test("the library's events are read, and every one that the registry names is among them", async () => {
  assert(snapshots.length > 200 && thin.length > 200, `${snapshots.length} and ${thin.length}`);
  assert.deepEqual(enabledEvents.filter((type) => !snapshots.includes(type)), []);
  const why = await reasons();
  assert.deepEqual(enabledEvents.filter((type) => (why.get(type) ?? "") === ""), [], "each has its reason");
});

Deno.test("every family of ignored events has some, and every event that is not handled has a family", () => {
  const left = snapshots.filter((type) => !enabledEvents.includes(type));
  const unread = thin.filter((type) => !isRead(type));
  for (const found of [sorted(left, snapshotFamilies), sorted(unread, thinFamilies)]) {
    assert.deepEqual(
      [...found].filter(([, types]) => types.length === 0).map(([{ prefixes }]) => prefixes),
      [],
    );
  }
  const prefixes = snapshotFamilies.flatMap((family) => family.prefixes);
  assert.deepEqual(prefixes.filter((prefix) => !left.some((type) => type.startsWith(prefix))), []);
});

Deno.test("docs/stripe-events.md has every event of the library, with what becomes of it", async () => {
  const page = await Deno.readTextFile(path);
  const from = page.indexOf(start) + start.length, to = page.indexOf(end);
  assert(from > start.length && to > from, "the page marks where the events stand");
  if (Deno.env.get("WRITE_EVENTS") === "1") {
    await Deno.writeTextFile(path, `${page.slice(0, from)}\n\n${await described()}\n\n${page.slice(to)}`);
  }
  const now = await Deno.readTextFile(path);
  assert.equal(
    plain(now.slice(now.indexOf(start) + start.length, now.indexOf(end))),
    plain(await described()),
  );
});
