/** Signs what was collected, and tells later whether anything of it was changed. Ed25519 (RFC 8032). */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { join } from "node:path";
import { TaskError } from "../../lib/errors.ts";
import { sha256 } from "../../../supabase/functions/_shared/text/sha256.ts";
import { type Manifest, manifestFile } from "./evidence.ts";

const privateFile = "signing-key.pem";
const publicFile = "signing-key.pub.pem";

/**
 * The key that signs: PCI_SIGNING_KEY (PKCS #8, as PEM or as its base64 on one line), else the one in the folder of
 * evidence, made at the first run. Its public half is kept there, and may not change unnoticed.
 * @throws TaskError for a key of another kind, or another key than that of the evidence so far.
 */
export async function openSigningKey(out: string, given: string | undefined): Promise<KeyObject> {
  const path = join(out, privateFile);
  let pem = given === undefined || given === "" ? await readIfThere(path) : asPem(given);
  if (pem === null) {
    pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    await Deno.writeTextFile(path, pem, { mode: 0o600 });
  }
  const key = privateKeyOf(pem);
  const shown = createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
  const known = await readIfThere(join(out, publicFile));
  if (known === null) await Deno.writeTextFile(join(out, publicFile), shown);
  else if (known !== shown) {
    throw new TaskError(
      `${
        join(out, publicFile)
      } belongs to another key than this one: collect into another folder after a change of key`,
    );
  }
  return key;
}

/** Writes `manifest.json` and `manifest.sig` into the folder. */
export async function writeSigned(folder: string, manifest: Manifest, key: KeyObject): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await Deno.writeTextFile(join(folder, "manifest.json"), text);
  await Deno.writeFile(
    join(folder, "manifest.sig"),
    new Uint8Array(sign(null, new TextEncoder().encode(text), key)),
  );
}

/** Holds a collection against its manifest, and the manifest against its signature. Returns what is wrong. */
export async function verifyCollection(out: string, folder: string): Promise<string[]> {
  const pem = await readIfThere(join(out, publicFile));
  if (pem === null) {
    return [`${join(out, publicFile)} is missing: nothing tells whether the evidence is genuine`];
  }
  const path = join(out, folder);
  const text = await readIfThere(join(path, "manifest.json"));
  if (text === null) return [`${folder} has no manifest.json`];
  const signature = await Deno.readFile(join(path, "manifest.sig")).catch(() => new Uint8Array());
  if (!verify(null, new TextEncoder().encode(text), createPublicKey(pem), signature)) {
    return [`${folder}/manifest.json does not match its signature`];
  }
  const { files, previous } = manifestFile.parse(JSON.parse(text));
  const problems: string[] = [];
  if (previous !== null) {
    const before = await readIfThere(join(out, previous.folder, "manifest.json"));
    if (before === null || await sha256(before) !== previous.manifest_sha256) {
      problems.push(`${previous.folder} is not the collection that ${folder} followed`);
    }
  }
  for (const [name, hash] of Object.entries(files)) {
    const content = await Deno.readFile(join(path, name)).catch(() => null);
    if (content === null) problems.push(`${folder}/${name} is missing`);
    else if (await sha256(content) !== hash) {
      problems.push(`${folder}/${name} was changed after it was signed`);
    }
  }
  for await (const { name } of Deno.readDir(path)) {
    if (!(name in files) && !/^manifest\.(?:json|sig)$/.test(name)) {
      problems.push(`${folder}/${name} was added later`);
    }
  }
  return problems;
}

function asPem(text: string): string {
  if (text.includes("-----")) return text.replaceAll("\\n", "\n");
  const label = "PRIVATE KEY";
  return `-----BEGIN ${label}-----\n${text.trim()}\n-----END ${label}-----\n`;
}

function privateKeyOf(pem: string): KeyObject {
  const wanted = "PCI_SIGNING_KEY is no Ed25519 key: openssl genpkey -algorithm ed25519 makes one";
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new TaskError(wanted);
  }
  if (key.asymmetricKeyType !== "ed25519") throw new TaskError(wanted);
  return key;
}

async function readIfThere(path: string): Promise<string | null> {
  return await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
}
