/**
 * docs/pci/controls.yaml is whole: every requirement of SAQ A once, and every check and document that it names there.
 * After a change of its shape or that of evidence: `WRITE_PCI_SCHEMAS=1 deno task test tests/quality/pci_controls.test.ts`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { ROOT } from "../../scripts/lib/paths.ts";
import { checkNames } from "../../scripts/live/pci/checks.ts";
import { controlsFile, readControls, readRecords } from "../../scripts/live/pci/controls.ts";
import { evidenceSchema } from "../../scripts/live/pci/evidence.ts";
import { isKeyVariable } from "../../scripts/live/pci/key_ages.ts";
import { environmentVariables } from "../../supabase/functions/_shared/env.ts";

const folder = join(ROOT, "docs/pci");
const path = join(folder, "controls.yaml");

/** PCI DSS v4.0.1, SAQ A revision 1 (January 2025): 6.4.3, 11.6.1 and 12.3.1 are not in it any more. */
const SAQ_A = `2.2.2 3.1.1 3.2.1 6.3.1 6.3.3 8.2.1 8.2.2 8.2.5 8.3.1 8.3.5 8.3.6 8.3.7 8.3.9
  9.4.1 9.4.1.1 9.4.2 9.4.3 9.4.4 9.4.6 11.3.2 11.3.2.1 12.8.1 12.8.2 12.8.3 12.8.4 12.8.5 12.10.1`.split(
  /\s+/,
);

Deno.test("controls.yaml has every requirement of SAQ A and its eligibility criteria, each once", async () => {
  const { requirements } = await readControls(path);
  const ids = requirements.map(({ id }) => id);
  assert.deepEqual(ids.filter((id) => /^\d/.test(id)), SAQ_A);
  assert.deepEqual(ids.filter((id) => /^E/.test(id)), ["E1", "E2", "E3", "E4", "E5", "E6", "E7"]);
});

Deno.test("controls.yaml uses every check and every task, and names documents that exist", async () => {
  const { requirements, tasks } = await readControls(path);
  const evidence = requirements.flatMap((requirement) => requirement.evidence);
  const asked = new Set(evidence.flatMap((each) => "check" in each ? [each.check] : []));
  assert.deepEqual([...asked].sort(), [...checkNames].sort());
  const recorded = new Set(evidence.flatMap((each) => "record" in each ? [each.record] : []));
  for (const { name } of tasks) {
    const known = recorded.has(name) || name === "questionnaire";
    assert.ok(known, `${name} proves nothing`);
  }
  for (const each of evidence) {
    if ("document" in each) assert.ok((await Deno.stat(join(ROOT, each.document))).isFile, each.document);
  }
});

Deno.test("a requirement that stands twice, an unknown check and a task that is not there are refused", async () => {
  const text = await Deno.readTextFile(path);
  const changed = await Deno.makeTempFile({ suffix: ".yaml" });
  const refuses = async (from: string, to: string, why: RegExp) => {
    assert.ok(text.includes(from));
    await Deno.writeTextFile(changed, text.replace(from, to));
    await assert.rejects(readControls(changed), why);
  };
  try {
    await refuses("- id: 3.2.1", "- id: 3.1.1", /3\.1\.1 stands there twice/);
    await refuses("check: payment-page", "check: payment-pages", /neither a check that there is/);
    await refuses("record: asv-scan", "record: asv-scans", /asv-scans, which is not there/);
    await refuses("who: [shop]", "who: [nobody]", /who/);
  } finally {
    await Deno.remove(changed);
  }
});

Deno.test("records.yaml fits controls.yaml", async () => {
  await readRecords(join(folder, "records.yaml"), await readControls(path), new Date());
});

Deno.test("a record of a day that is yet to come is refused: it would vouch for years", async () => {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  const noted = async (on: string) => {
    await Deno.writeTextFile(file, `records:\n  - { what: asv-scan, on: ${on}, by: owner }\n`);
    return await readRecords(file, await readControls(path), new Date("2026-11-27T12:00:00Z"));
  };
  try {
    assert.equal((await noted("2026-11-28")).length, 1, "today, where the day begins first");
    await assert.rejects(noted("2062-11-27"), /asv-scan is noted for 2062-11-27, which is yet to come/);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("the JSON schemas beside controls.yaml are those that the task checks with", async () => {
  const schemas = {
    "controls.schema.json": z.toJSONSchema(controlsFile),
    "evidence.schema.json": evidenceSchema(),
  };
  for (const [name, schema] of Object.entries(schemas)) {
    const file = join(folder, name);
    if (Deno.env.get("WRITE_PCI_SCHEMAS") === "1") {
      await Deno.writeTextFile(file, JSON.stringify(schema, null, 2) + "\n");
    }
    assert.deepEqual(JSON.parse(await Deno.readTextFile(file)), JSON.parse(JSON.stringify(schema)), name);
  }
});

Deno.test("keys.md says how to change every key, and calendar.md when to do every task", async () => {
  const keys = await Deno.readTextFile(join(folder, "keys.md"));
  const names = environmentVariables.filter(isKeyVariable);
  assert.ok(names.length > 5);
  for (const name of names) assert.ok(keys.includes(`| \`${name}\``), name);
  const calendar = await Deno.readTextFile(join(folder, "calendar.md"));
  const { tasks } = await readControls(path);
  for (const { name, days } of tasks) {
    const times = calendar.split("\n").filter((line) =>
      /^\| \d/.test(line) && line.includes(`\`${name}\``)
    ).length;
    assert.ok(times * days >= 365, `${name} stands in the calendar ${times} times a year`);
  }
});
