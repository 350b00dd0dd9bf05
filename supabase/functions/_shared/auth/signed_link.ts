/**
 * Claims in a link, signed with LINK_SIGNING_SECRET (HMAC-SHA256 through WebCrypto, which compares in constant time).
 * While the secret is rotated, links signed with the one before it are still good.
 */
import type { Env } from "../env.ts";

export type LinkEnv = Pick<Env, "linkSigningSecret"> & Partial<Pick<Env, "earlierLinkSigningSecrets">>;

const separator = ".";

/**
 * `claims` with its signature, fit for a query string.
 * @param purpose keeps signatures of one kind of link apart from those of any other.
 * @param claims letters, digits, dashes and dots.
 */
export async function signedToken(purpose: string, claims: string, env: LinkEnv): Promise<string> {
  const signature = await crypto.subtle.sign(
    "HMAC",
    await keyOf(env.linkSigningSecret),
    signedBytes(purpose, claims),
  );
  return `${claims}${separator}${toBase64Url(new Uint8Array(signature))}`;
}

/** The claims of a token of this purpose; null for one that we did not sign. */
export async function readToken(purpose: string, token: string, env: LinkEnv): Promise<string | null> {
  // The last character of 43 has two bits to spare: only the spelling that we write counts.
  const [, claims, signature] = /^([\w.-]{1,200})\.([\w-]{42}[048AEIMQUYcgkosw])$/.exec(token) ?? [];
  const bytes = signature === undefined ? null : fromBase64Url(signature);
  if (claims === undefined || bytes === null) return null;
  const secrets = [env.linkSigningSecret, ...env.earlierLinkSigningSecrets ?? []];
  const checks = secrets.map(async (secret) =>
    await crypto.subtle.verify("HMAC", await keyOf(secret), bytes, signedBytes(purpose, claims))
  );
  return (await Promise.all(checks)).includes(true) ? claims : null;
}

async function keyOf(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}

// Return types left to the compiler: the hosted Deno's TypeScript has no generic Uint8Array, the tooling's needs it.
function signedBytes(purpose: string, claims: string) {
  return new TextEncoder().encode(`${purpose}\n${claims}`);
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64Url(text: string) {
  try {
    return Uint8Array.from(
      atob(text.replaceAll("-", "+").replaceAll("_", "/")),
      (char) => char.charCodeAt(0),
    );
  } catch {
    return null;
  }
}
