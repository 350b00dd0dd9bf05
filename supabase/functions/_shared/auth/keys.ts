/**
 * The public keys that Auth signs with: those of SUPABASE_JWKS, and for a key that they do not name those of Auth's
 * well-known address. Auth may rotate its key at any time, and a secret that was copied once, or a worker that
 * started before, knows nothing of the new one.
 */
import type { Env } from "../env.ts";
import { AppError } from "../errors.ts";

export type Jwk = JsonWebKey & { kty: string; kid?: string };

/** The keys among which the one called `kid` is, if Auth has it. */
export type AuthKeys = (env: Pick<Env, "supabaseUrl" | "jwks">, kid: string | null) => Promise<Jwk[]>;

/** Anybody can make up key ids: Auth is not asked more often, whatever comes. */
const pauseMs = 60_000;
/** After a question without an answer: until there is one, nobody with such a token can buy. */
const retryMs = 5_000;
/** A key that Auth has withdrawn is believed no longer than this. */
const ageMaxMs = 10 * 60_000;
const timeoutMs = 3_000;

interface Known {
  keys: Jwk[] | null;
  readAt: number;
  /** Auth is not asked before. */
  askAt: number;
  /** Settles when the question that is under way is answered. */
  asking: Promise<void> | null;
}

/**
 * A source of keys that remembers what it has read, for the life of the worker.
 * It throws AppError `database_unavailable` while a key that is not known cannot be asked for.
 */
export function createAuthKeys(deps: { fetch?: typeof fetch; now?: () => number } = {}): AuthKeys {
  const { fetch: ask = fetch, now = Date.now } = deps;
  const known = new Map<string, Known>();

  async function read(url: string, state: Known): Promise<void> {
    try {
      const response = await ask(url, { signal: AbortSignal.timeout(timeoutMs) });
      const body: unknown = response.ok ? await response.json() : null;
      if (!isKeySet(body)) throw new Error("no key set");
      state.keys = body.keys;
      state.readAt = now();
    } catch {
      // What was read before still stands.
      state.askAt = now() + retryMs;
    } finally {
      state.asking = null;
    }
  }

  return async ({ supabaseUrl, jwks }, kid) => {
    const inline = (jwks?.keys ?? []) as Jwk[];
    if (kid === null || has(inline, kid)) return inline;
    const url = `${supabaseUrl}/auth/v1/.well-known/jwks.json`;
    const state = known.get(url) ?? { keys: null, readAt: 0, askAt: -Infinity, asking: null };
    known.set(url, state);
    if (state.keys !== null && has(state.keys, kid) && now() - state.readAt < ageMaxMs) return state.keys;
    if (state.asking === null && now() >= state.askAt) {
      state.askAt = now() + pauseMs;
      state.asking = read(url, state);
    }
    await state.asking;
    if (state.keys !== null) return state.keys;
    throw new AppError("database_unavailable", {
      retryAfterSeconds: retryMs / 1000,
      cause: new Error("the signing keys of Auth cannot be read"),
    });
  };
}

/** The key id that a token names in its header, or null for what is no token. */
export function keyIdOf(token: string): string | null {
  const [header = ""] = token.split(".");
  try {
    const { kid } = JSON.parse(atob(header.replaceAll("-", "+").replaceAll("_", "/")));
    return typeof kid === "string" && kid !== "" && kid.length <= 200 ? kid : null;
  } catch {
    return null;
  }
}

function has(keys: Jwk[], kid: string): boolean {
  return keys.some((key) => key.kid === kid);
}

function isKeySet(body: unknown): body is { keys: Jwk[] } {
  return typeof body === "object" && body !== null && "keys" in body && Array.isArray(body.keys);
}
