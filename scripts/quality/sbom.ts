/** `deno task sbom`: what the software is built of, as a bill of materials in CycloneDX 1.6 (https://cyclonedx.org). */
import { createHash } from "node:crypto";
import { ROOT } from "../lib/paths.ts";
import { type LockedPackage, readLicence, readLockFile } from "../lib/lock_file.ts";
import { runTask } from "../lib/task.ts";

const usage = `deno task sbom [--out FILE] [--release VERSION]

  --out       where to write it (sbom.cdx.json)
  --release   the version that it is for: a release names its tag`;

const flags = {
  out: { type: "string", default: "sbom.cdx.json" },
  release: { type: "string" },
} as const;

const product = "kct-menswear-payments";

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: async ({ values }) => {
        const bill = await billOfMaterials(ROOT, values.release);
        await Deno.writeTextFile(values.out, JSON.stringify(bill, null, 2) + "\n");
        console.log(`${values.out}: ${bill.components.length} packages`);
        return 0;
      },
    }, Deno.args),
  );
}

/**
 * The bill of materials of a checkout. The same lock file gives the same bill: it has no time, and its serial number
 * is made of the lock file and the version. `scope` tells what is deployed (required) from tools (excluded).
 */
export async function billOfMaterials(root: string, version: string | undefined) {
  const packages = await readLockFile(root);
  const components = await Promise.all(
    packages.map(async (locked) => component(locked, await readLicence(root, locked))),
  );
  const digest = createHash("sha256").update(JSON.stringify([version ?? null, components])).digest("hex");
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${asUuid(digest)}`,
    version: 1,
    metadata: {
      lifecycles: [{ phase: "build" }],
      tools: { components: [{ type: "application", name: "deno task sbom" }] },
      component: {
        type: "application",
        "bom-ref": product,
        name: product,
        ...(version === undefined ? {} : { version }),
        licenses: [{ license: { id: "MIT" } }],
      },
    },
    components,
    dependencies: [
      { ref: product, dependsOn: unique(packages.filter(({ direct }) => direct).map(purlOf)) },
      ...packages.map((locked) => ({
        ref: purlOf(locked),
        dependsOn: unique(packages.filter(({ key }) => locked.needs.includes(key)).map(purlOf)),
      })),
    ],
  };
}

function component(locked: LockedPackage, licence: string | null) {
  const [group, name] = locked.name.startsWith("@") ? locked.name.split("/") : [undefined, locked.name];
  return {
    type: "library",
    "bom-ref": purlOf(locked),
    ...(group === undefined ? {} : { group }),
    name: name ?? locked.name,
    version: locked.version,
    scope: locked.deployed ? "required" : "excluded",
    ...(locked.integrity === null ? {} : { hashes: [hashOf(locked.integrity)] }),
    ...(licence === null ? {} : { licenses: [licenceChoice(licence)] }),
    purl: purlOf(locked),
  };
}

/** https://github.com/package-url/purl-spec: the @ of a scope is escaped. */
function purlOf({ name, version }: LockedPackage): string {
  return `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;
}

function hashOf(integrity: string): { alg: string; content: string } {
  const [, algorithm = "", digest = ""] = /^sha(\d+)-(.+)$/.exec(integrity) ?? [];
  return { alg: `SHA-${algorithm}`, content: Uint8Array.fromBase64(digest).toHex() };
}

function licenceChoice(licence: string) {
  return / (?:OR|AND|WITH) /.test(licence) ? { expression: licence } : { license: { id: licence } };
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)].sort();
}

function asUuid(digest: string): string {
  // Version 8 is for numbers of one's own making (RFC 9562).
  const hex = `${digest.slice(0, 12)}8${digest.slice(13, 16)}8${digest.slice(17, 32)}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
