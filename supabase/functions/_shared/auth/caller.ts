/**
 * Who is calling. Supabase's gateway does not check keys for these functions (`verify_jwt = false`, because
 * `sb_` keys are not JWTs), so each endpoint does it here, with Supabase's own verification.
 */
import { extractCredentials, verifyCredentials } from "@supabase/server/core";
import { type AuthKeys, createAuthKeys, type Jwk, keyIdOf } from "./keys.ts";
import { emailOfAccount } from "../text/email_address.ts";
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";

/** A signed-in shopper. */
export interface User {
  id: string;
  /** In its one form; null for accounts that have none that Stripe would take. */
  email: string | null;
}

export type KeyKind = "publishable" | "secret";

/** Who asks: with which key, and for which account. */
export interface Caller {
  key: KeyKind;
  /** Null for a guest. */
  user: User | null;
}

/** What the endpoints need of the configuration. */
export type AuthEnv = Pick<Env, "supabaseUrl" | "publishableKeys" | "secretKeys" | "jwks" | "authIssuer">;

const authKeys = createAuthKeys();

/**
 * Requires a secret key in `apikey`.
 * @throws AppError `unauthorized`, also for a valid publishable key.
 */
export async function requireSecretKey(request: Request, env: AuthEnv): Promise<void> {
  if (await keyKind(request, env) !== "secret") throw new AppError("unauthorized");
}

/**
 * Requires a publishable or secret key in `apikey`, and reads the optional user token in `Authorization`.
 * @throws AppError `unauthorized` without a known key, or with a token that is there but not valid;
 * `database_unavailable` while Auth cannot be asked for the key of a token.
 */
export async function requireApiKey(
  request: Request,
  env: AuthEnv,
  keysOf: AuthKeys = authKeys,
): Promise<Caller> {
  const key = await keyKind(request, env);
  if (key === null) throw new AppError("unauthorized");
  return { key, user: await signedInUser(request, env, keysOf) };
}

/** Whether the caller presents one of these tokens as bearer: for a reader who needs no more than they open. */
export async function bearsToken(request: Request, tokens: readonly string[]): Promise<boolean> {
  const given = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (given === undefined || given.length > 512) return false;
  // Digests are as long as each other, whatever was sent, and tell nothing by where they begin to differ.
  const [theirs = "", ...ours] = await Promise.all([given, ...tokens].map(digest));
  return ours.includes(theirs);
}

async function digest(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return bytes.join();
}

/** The kind of key that the caller presents, or null when it presents none that is known. */
export async function keyKind(request: Request, env: AuthEnv): Promise<KeyKind | null> {
  const { apikey } = extractCredentials(request);
  if (apikey === null || apikey.length > 512) return null;
  const { data } = await verifyCredentials({ token: null, apikey }, {
    auth: ["publishable:*", "secret:*"],
    env: serverEnv(env, []),
  });
  return data?.authMode === "publishable" || data?.authMode === "secret" ? data.authMode : null;
}

/** Supabase's role and audience of everybody who is signed in, anonymously too. */
const signedInRole = "authenticated";

async function signedInUser(request: Request, env: AuthEnv, keysOf: AuthKeys): Promise<User | null> {
  const { token } = extractCredentials(request);
  // supabase-js repeats the API key as bearer while nobody is signed in.
  if (token === null || token.startsWith("sb_")) return null;
  const { data } = await verifyCredentials({ token, apikey: null }, {
    auth: "user",
    audience: signedInRole,
    issuer: env.authIssuer,
    env: serverEnv(env, await keysOf(env, keyIdOf(token))),
  });
  const claims = data?.userClaims;
  if (!claims || claims.role !== signedInRole || !isUuid(claims.id)) {
    throw new AppError("unauthorized", { message: "The session has expired; sign in again." });
  }
  return { id: claims.id, email: emailOfAccount(claims.email) };
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

function serverEnv(env: AuthEnv, keys: Jwk[]) {
  return {
    url: env.supabaseUrl,
    publishableKeys: env.publishableKeys,
    secretKeys: env.secretKeys,
    jwks: { keys },
  };
}
