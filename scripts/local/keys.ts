/** The keys of one offline stack: made on first start, kept in its folder, never in the repository. */
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";

/** What `$LOCAL_DIR/keys.json` holds. */
export interface StackKeys {
  publishable_key: string;
  secret_key: string;
  stripe_secret_key: string;
  /** What the functions have: it may do what they need and nothing else. */
  stripe_restricted_key: string;
  stripe_webhook_secret: string;
  link_signing_secret: string;
  resend_api_key: string;
  resend_webhook_secret: string;
  /** Signs access tokens (ES256). */
  jwt_private_key: JWK;
}

/** Reads the keys of the stack in `dir`, making those that it does not have yet. */
export async function loadKeys(dir: string): Promise<StackKeys> {
  const path = join(dir, "keys.json");
  const text = await Deno.readTextFile(path).catch(() => null);
  const kept = text === null ? {} : JSON.parse(text);
  const keys = { ...await makeKeys(), ...kept };
  if (Object.keys(keys).every((name) => name in kept)) return keys;
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(keys, null, 2) + "\n", { mode: 0o600 });
  return keys;
}

/** Makes a new set of keys. */
export async function makeKeys(): Promise<StackKeys> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  return {
    publishable_key: `sb_publishable_${randomText(31)}`,
    secret_key: `sb_secret_${randomText(31)}`,
    stripe_secret_key: `sk_test_${randomText(40)}`,
    stripe_restricted_key: `rk_test_${randomText(40)}`,
    stripe_webhook_secret: `whsec_${randomText(40)}`,
    link_signing_secret: randomText(48),
    resend_api_key: `re_${randomText(32)}`,
    resend_webhook_secret: `whsec_${btoa(randomText(24))}`,
    jwt_private_key: { ...jwk, kid: crypto.randomUUID(), alg: "ES256", use: "sig" },
  };
}

/** The public half of the signing key, as `SUPABASE_JWKS` carries it. */
export function publicJwks(keys: StackKeys): { keys: JWK[] } {
  const { d: _private, ...jwk } = keys.jwt_private_key;
  return { keys: [jwk] };
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function randomText(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}
