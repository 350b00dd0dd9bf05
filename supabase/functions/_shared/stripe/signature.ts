/**
 * Checks of the `Stripe-Signature` header, one small function each
 * (https://docs.stripe.com/webhooks#verify-manually). Web Crypto instead of the SDK: the SDK checks one secret,
 * lets future timestamps pass, and costs the front door 50 ms of start-up.
 */
import { isSignedByAny } from "../text/hmac.ts";
import { AppError } from "../errors.ts";

/** How far a signature's time may be from ours, in either direction. */
const toleranceSeconds = 300;

/** Stripe sends one v1 per active secret while a secret is rolled; more than this is noise. */
const signatureLimit = 10;
const headerLimit = 4_096;

export interface SignatureHeader {
  /** Epoch seconds. */
  timestamp: number;
  /** The v1 signatures, as bytes. Other schemes (v0) are left out. */
  signatures: ArrayBuffer[];
}

/**
 * Verifies that the body was signed with one of the secrets, close to now.
 * @throws AppError `missing_signature`, `invalid_signature`, `timestamp_out_of_tolerance`.
 */
export async function verifySignature(
  body: Uint8Array,
  header: string | null,
  secrets: readonly string[],
  nowMs: number,
): Promise<void> {
  if (header === null || header.trim() === "") throw new AppError("missing_signature");
  const parsed = parseSignatureHeader(header);
  if (parsed === null || !await matchesAnySecret(body, parsed, secrets)) {
    throw new AppError("invalid_signature");
  }
  if (!isWithinTolerance(parsed.timestamp, nowMs)) throw new AppError("timestamp_out_of_tolerance");
}

/** Whether a body could have been signed with this header, close to now: what can be told without the body. */
export function mayBeSigned(header: string | null, nowMs: number): boolean {
  const parsed = header === null ? null : parseSignatureHeader(header);
  return parsed !== null && isWithinTolerance(parsed.timestamp, nowMs);
}

/** Reads `t=…,v1=…[,v1=…]`; null when there is no single valid time or no v1 signature. */
export function parseSignatureHeader(header: string): SignatureHeader | null {
  if (header.length > headerLimit) return null;
  const pairs = header.split(",").map((item) => {
    const separator = item.indexOf("=");
    return [item.slice(0, separator).trim(), item.slice(separator + 1).trim()] as const;
  });
  const times = pairs.filter(([scheme]) => scheme === "t").map(([, value]) => value);
  const signatures = pairs.filter(([scheme]) => scheme === "v1").flatMap(([, value]) =>
    decodeHex(value) ?? []
  );
  const [time] = times;
  // Two times in one header would let one be signed and the other be checked.
  if (times.length !== 1 || time === undefined || !/^\d{1,12}$/.test(time)) return null;
  if (signatures.length === 0 || signatures.length > signatureLimit) return null;
  return { timestamp: Number(time), signatures };
}

/** True when the time is at most five minutes ago and at most five minutes ahead. */
export function isWithinTolerance(timestamp: number, nowMs: number): boolean {
  return Math.abs(nowMs / 1000 - timestamp) <= toleranceSeconds;
}

/** True when any of the header's signatures was made with any of the secrets; compared in constant time. */
export async function matchesAnySecret(
  body: Uint8Array,
  header: SignatureHeader,
  secrets: readonly string[],
): Promise<boolean> {
  const keys = await Promise.all(secrets.map((secret) => importSecret(secret.trim())));
  return await isSignedByAny(signedPayload(header.timestamp, body), keys, header.signatures);
}

/** The header Stripe would send for this body; for tests and for our own replays of stored bodies. */
export async function signPayload(body: Uint8Array, secret: string, timestamp: number): Promise<string> {
  const key = await importSecret(secret.trim());
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, signedPayload(timestamp, body)));
  return `t=${timestamp},v1=${[...signature].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function signedPayload(timestamp: number, body: Uint8Array): ArrayBuffer {
  const prefix = new TextEncoder().encode(`${timestamp}.`);
  const signed = new ArrayBuffer(prefix.byteLength + body.byteLength);
  new Uint8Array(signed).set(prefix);
  new Uint8Array(signed).set(body, prefix.byteLength);
  return signed;
}

function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/** 32 bytes written in hexadecimal, or null. */
function decodeHex(value: string): ArrayBuffer | null {
  if (!/^[0-9a-f]{64}$/i.test(value)) return null;
  const decoded = new ArrayBuffer(32);
  new Uint8Array(decoded).set((value.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
  return decoded;
}
