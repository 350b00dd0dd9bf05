/** What the software is built of: the bill of materials, licences, advisories. */
import assert from "node:assert/strict";
import { ROOT } from "../../scripts/lib/paths.ts";
import { type LockedPackage, readLockFile } from "../../scripts/lib/lock_file.ts";
import { judgeAdvisories } from "../../scripts/quality/ok/advisories.ts";
import { licenceProblem, licences } from "../../scripts/quality/ok/licences.ts";
import { billOfMaterials } from "../../scripts/quality/sbom.ts";
import { nonEmpty } from "../support/non_empty.ts";

Deno.test("sbom: the bill of materials has the shape of CycloneDX 1.6, and every reference leads somewhere", async () => {
  const bill = await billOfMaterials(ROOT, "1.2.3");
  assert.equal(bill.bomFormat, "CycloneDX");
  assert.equal(bill.specVersion, "1.6");
  assert.match(
    bill.serialNumber,
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.ok(Number.isInteger(bill.version) && bill.version >= 1);
  assert.equal(bill.metadata.component.version, "1.2.3");
  const product = bill.metadata.component["bom-ref"];
  const refs = [product, ...bill.components.map((each) => each["bom-ref"])];
  assert.equal(new Set(refs).size, refs.length, "each bom-ref is there once");
  for (const { type, name, version, purl, scope, hashes = [], licenses = [] } of nonEmpty(bill.components)) {
    assert.equal(type, "library");
    assert.ok(name !== "" && version !== "", purl);
    assert.match(purl, /^pkg:npm\/(?:%40[\w.-]+\/)?[\w.-]+@[\w.+-]+$/);
    assert.ok(scope === "required" || scope === "excluded", purl);
    for (const { alg, content } of nonEmpty(hashes)) {
      assert.equal(alg, "SHA-512");
      assert.match(content, /^[0-9a-f]{128}$/, purl);
    }
    for (const each of licenses) {
      assert.match(
        "license" in each ? each.license.id : each.expression,
        /^[\w.-]+(?: (?:OR|AND) [\w.-]+)*$/,
        purl,
      );
    }
  }
  assert.deepEqual(bill.dependencies.map(({ ref }) => ref).sort(), refs.toSorted());
  for (const { ref, dependsOn } of bill.dependencies) {
    assert.deepEqual(dependsOn.filter((wanted) => !refs.includes(wanted)), [], ref);
    assert.equal(new Set(dependsOn).size, dependsOn.length, ref);
  }
});

Deno.test("sbom: the bill names all that deno.lock has, tells what is deployed, and is the same each time", async () => {
  const lock: { npm: Record<string, { integrity: string }> } = JSON.parse(
    await Deno.readTextFile(`${ROOT}/deno.lock`),
  );
  const bill = await billOfMaterials(ROOT, undefined);
  const named = bill.components.map(({ purl }) => purl.replace("pkg:npm/", "").replace("%40", "@"));
  assert.deepEqual(named.sort(), Object.keys(lock.npm).map((key) => key.split("_")[0]).sort());
  const of = (name: string) => bill.components.find(({ purl }) => purl.startsWith(`pkg:npm/${name}@`));
  assert.equal(of("zod")?.scope, "required");
  assert.equal(of("postgres")?.scope, "excluded", "a tool");
  assert.deepEqual(of("zod")?.licenses, [{ license: { id: "MIT" } }]);
  const zod = `zod@${of("zod")?.version}`;
  const content = of("zod")?.hashes?.[0]?.content ?? "";
  assert.equal(`sha512-${Uint8Array.fromHex(content).toBase64()}`, lock.npm[zod]?.integrity);
  const direct = bill.dependencies[0]?.dependsOn ?? [];
  assert.ok(direct.includes(`pkg:npm/${zod}`) && !nonEmpty(direct).some((purl) => purl.includes("/tslib@")));
  assert.deepEqual(await billOfMaterials(ROOT, undefined), bill);
  assert.notEqual((await billOfMaterials(ROOT, "2.0.0")).serialNumber, bill.serialNumber);
});

Deno.test("licences: all of this checkout are on the list, and one that is not is a problem", async () => {
  assert.equal((await licences.run({ root: ROOT, write: false, adminUrl: "" })).kind, "passed");
  const [any] = nonEmpty(await readLockFile(ROOT));
  const judged = (licence: string | null, given: Partial<LockedPackage>) =>
    licenceProblem({ ...any as LockedPackage, ofOnePlatform: false, ...given }, licence);
  assert.equal(judged("MIT", { deployed: true }), null);
  assert.equal(judged("(GPL-3.0 OR MIT)", { deployed: true }), null);
  assert.equal(judged("MPL-2.0", { deployed: false }), null);
  assert.match(
    judged("MPL-2.0", { deployed: true }) ?? "",
    /MPL-2\.0 is not on the list for what is deployed/,
  );
  assert.match(judged("AGPL-3.0", { deployed: false }) ?? "", /AGPL-3\.0 is not on the list for tools/);
  assert.match(judged(null, {}) ?? "", /cannot be read/);
  assert.equal(judged(null, { ofOnePlatform: true }), null);
});

Deno.test("advisories: one fails the gate; a registry that does not answer fails it where one should", () => {
  const none = { found: [], unreachable: null, said: "none" };
  assert.equal(judgeAdvisories(none, true).kind, "passed");
  assert.equal(
    judgeAdvisories({ ...none, found: [{ name: "zod", severity: "high" }] }, false).kind,
    "failed",
  );
  const silent = judgeAdvisories({ ...none, unreachable: "no answer" }, false);
  assert.deepEqual(silent, { kind: "passed", note: "not asked: no answer" });
  assert.deepEqual(judgeAdvisories({ ...none, unreachable: "no answer" }, true), {
    kind: "failed",
    problems: ["no answer"],
  });
});
