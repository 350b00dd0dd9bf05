import { createLocalJWKSet, importJWK, type JWK, type JWTVerifyGetKey } from "jose";

/** The keys that the gateway knows callers and tokens by. */
export class LocalKeys {
  readonly jwks: { keys: JWK[] };
  readonly verifier: JWTVerifyGetKey;
  readonly #publishable: Set<string>;
  readonly #secret: Set<string>;

  constructor(publishable: string[], secret: string[], readonly signing: JWK, readonly issuer: string) {
    this.#publishable = new Set(publishable);
    this.#secret = new Set(secret);
    const { d: _private, ...jwk } = signing;
    this.jwks = { keys: [jwk] };
    this.verifier = createLocalJWKSet(this.jwks);
  }

  /** Returns the database role of an API key, or null when it is unknown. */
  roleOf(key: string): "anon" | "service_role" | null {
    if (this.#secret.has(key)) return "service_role";
    return this.#publishable.has(key) ? "anon" : null;
  }

  /** Imports the private key for signing. */
  async signingKey() {
    return await importJWK(this.signing, "ES256");
  }
}
