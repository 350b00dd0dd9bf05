/**
 * Links that lead back to an unpaid order. A token names the order and its own end, and is signed with
 * LINK_SIGNING_SECRET (HMAC-SHA256 through WebCrypto, which compares in constant time).
 */
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";

type LinkEnv = Pick<Env, "linkSigningSecret">;

/** Long enough for a mail that waits over a holiday. */
const linkDays = 7;
/** Keeps signatures of this purpose apart from any other use of the secret. */
const purpose = "resume-checkout/1";
const separator = ".";

/**
 * The link that a mail carries.
 * @param now epoch milliseconds.
 */
export async function resumeLink(
  orderId: string,
  env: LinkEnv & Pick<Env, "supabaseUrl">,
  now: number,
  days = linkDays,
): Promise<string> {
  const token = await resumeToken(orderId, Math.floor(now / 1000) + days * 86_400, env);
  return `${env.supabaseUrl}/functions/v1/resume-checkout?token=${token}`;
}

/** A token for an order that is good until `expiresAt` (epoch seconds). */
export async function resumeToken(orderId: string, expiresAt: number, env: LinkEnv): Promise<string> {
  const claims = `${orderId}${separator}${expiresAt}`;
  const signature = await crypto.subtle.sign("HMAC", await keyOf(env), signedBytes(claims));
  return `${claims}${separator}${toBase64Url(new Uint8Array(signature))}`;
}

/**
 * The order that a token names.
 * @param now epoch milliseconds.
 * @throws AppError `invalid_request` for a token that we did not sign, `link_expired` for one past its end.
 */
export async function readResumeToken(token: string | null, env: LinkEnv, now: number): Promise<string> {
  const [, orderId, expiresAt, signature] =
    /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,12})\.([\w-]{42}[048AEIMQUYcgkosw])$/.exec(
      token ?? "",
    ) ?? [];
  const bytes = signature === undefined ? null : fromBase64Url(signature);
  if (orderId === undefined || bytes === null) throw invalid();
  const valid = await crypto.subtle.verify(
    "HMAC",
    await keyOf(env),
    bytes,
    signedBytes(`${orderId}${separator}${expiresAt}`),
  );
  if (!valid) throw invalid();
  if (Number(expiresAt) * 1000 <= now) throw new AppError("link_expired");
  return orderId;
}

function invalid(): AppError {
  return new AppError("invalid_request", {
    message: "This link is not valid; it may have been cut off.",
    details: [{ path: "token", message: "is not a link of this shop" }],
  });
}

async function keyOf({ linkSigningSecret }: LinkEnv): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(linkSigningSecret);
  return await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}

// Return types left to the compiler: the hosted Deno's TypeScript has no generic Uint8Array, the tooling's needs it.
function signedBytes(claims: string) {
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
