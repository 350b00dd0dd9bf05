import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from "jose";
import type { LocalKeys } from "../keys.ts";

/** A row of `auth.users`, as far as tokens and answers need it. */
export interface AuthUser {
  id: string;
  email: string;
  created_at: string;
  updated_at: string;
  email_confirmed_at: string | null;
  confirmation_sent_at: string | null;
  email_change: string | null;
  email_change_sent_at: string | null;
  recovery_sent_at: string | null;
  banned_until: string | null;
  last_sign_in_at: string | null;
  raw_app_meta_data: Record<string, unknown>;
  raw_user_meta_data: Record<string, unknown>;
}

/** Seconds that an access token is valid, as on hosted projects. */
export const ACCESS_TOKEN_SECONDS = 3600;

/** Signs the access token of a session. */
export async function signAccessToken(
  user: AuthUser,
  session: { id: string; aal: string; amr: { method: string; timestamp: number }[] },
  keys: LocalKeys,
): Promise<string> {
  return await new SignJWT({
    role: "authenticated",
    aal: session.aal,
    amr: session.amr,
    session_id: session.id,
    email: user.email,
    phone: "",
    app_metadata: user.raw_app_meta_data,
    user_metadata: user.raw_user_meta_data,
    is_anonymous: false,
  })
    .setProtectedHeader({ alg: "ES256", kid: keys.signing.kid ?? "", typ: "JWT" })
    .setSubject(user.id)
    .setAudience("authenticated")
    .setIssuer(keys.issuer)
    .setIssuedAt()
    .setExpirationTime(`${ACCESS_TOKEN_SECONDS}s`)
    .sign(await keys.signingKey());
}

/** Returns the claims of a valid access token, or null. */
export async function verifyAccessToken(
  token: string,
  keys: LocalKeys,
): Promise<Record<string, unknown> | null> {
  const verified = await verifyToken(token, keys, 0);
  return "claims" in verified && verified.claims.role === "authenticated" ? verified.claims : null;
}

/** The claims of a token that this project signed, or what is wrong with it, in PostgREST's words. */
export async function verifyToken(
  token: string,
  keys: LocalKeys,
  leewaySeconds: number,
): Promise<{ claims: Record<string, unknown> } | { problem: string }> {
  const malformed = malformation(token);
  if (malformed !== null) return { problem: malformed };
  try {
    const options = { algorithms: ["ES256"], clockTolerance: leewaySeconds };
    const { payload } = await jwtVerify(token, await keys.verifyingKey(), options);
    const future = (payload.iat ?? 0) > Date.now() / 1000 + leewaySeconds;
    return future ? { problem: "JWTIssuedAtFuture" } : { claims: payload };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { problem: "JWT expired" };
    if (error instanceof errors.JWTClaimValidationFailed) return { problem: "JWTNotYetValid" };
    if (error instanceof errors.JOSEError) return { problem: "JWSError JWSInvalidSignature" };
    throw error;
  }
}

/** Why something cannot be a signed token at all, if so. */
function malformation(token: string): string | null {
  const parts = token.split(".");
  if (parts.length !== 3) {
    return `JWSError (CompactDecodeError Invalid number of parts: Expected 3 parts; got ${parts.length})`;
  }
  const [head = ""] = parts;
  if (!/^[\w-]*$/.test(head) || head.length % 4 === 1) {
    return 'JWSError (JSONDecodeError "Not valid base64url")';
  }
  const header = headerOf(token);
  if (header === null) return 'JWSError (JSONDecodeError "protected header contains invalid JSON")';
  return header.alg === "none" ? "JWSError JWSNoSignatures" : null;
}

function headerOf(token: string): { alg?: string } | null {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}
