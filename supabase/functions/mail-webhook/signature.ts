/**
 * Svix's signatures, which Resend's webhooks carry (https://docs.svix.com/receiving/verifying-payloads/how-manual):
 * `svix-signature` has `v1,` and a Base64 HMAC-SHA256 of `id.timestamp.body` for each secret that is in use.
 */
import { isSignedByAny } from "../_shared/text/hmac.ts";

/** How far a signature's time may be from ours, in either direction; as Svix's own libraries have it. */
const toleranceSeconds = 300;
/** Two are sent while a secret is rotated; more than this is noise. */
const signatureLimit = 10;
const headerLimit = 2_048;

/** Whether the body was signed with one of the secrets, close to now. */
export async function isSigned(
  body: Uint8Array,
  headers: Headers,
  secrets: readonly string[],
  nowMs: number,
): Promise<boolean> {
  const id = headers.get("svix-id") ?? "";
  const timestamp = headers.get("svix-timestamp") ?? "";
  const listed = headers.get("svix-signature") ?? "";
  if (id === "" || id.length > 256 || listed.length > headerLimit) return false;
  if (!/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > toleranceSeconds) return false;
  const signatures = listed.split(" ").flatMap((item) => decodeV1(item) ?? []);
  if (signatures.length > signatureLimit) return false;
  const keys = await Promise.all(secrets.map(keyOf));
  return await isSignedByAny(signedContent(id, timestamp, body), keys, signatures);
}

/** The headers that Svix would send; for tests and the offline stack. `timestamp` in epoch seconds. */
export async function svixHeaders(
  body: Uint8Array,
  secret: string,
  id: string,
  timestamp: number,
): Promise<Record<string, string>> {
  const content = signedContent(id, String(timestamp), body);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", await keyOf(secret), content));
  return {
    "svix-id": id,
    "svix-timestamp": String(timestamp),
    "svix-signature": `v1,${btoa(String.fromCharCode(...signature))}`,
  };
}

function signedContent(id: string, timestamp: string, body: Uint8Array): ArrayBuffer {
  const prefix = new TextEncoder().encode(`${id}.${timestamp}.`);
  const content = new ArrayBuffer(prefix.byteLength + body.byteLength);
  new Uint8Array(content).set(prefix);
  new Uint8Array(content).set(body, prefix.byteLength);
  return content;
}

async function keyOf(secret: string): Promise<CryptoKey> {
  const bytes = Uint8Array.from(atob(secret.replace(/^whsec_/, "")), (char) => char.charCodeAt(0));
  return await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/** The 32 bytes of one `v1,…`, or null: other schemes (v1a) are left out. */
function decodeV1(item: string): ArrayBuffer | null {
  const [, text] = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(item) ?? [];
  if (text === undefined) return null;
  const decoded = new ArrayBuffer(32);
  new Uint8Array(decoded).set(Array.from(atob(text), (char) => char.charCodeAt(0)));
  return decoded;
}
