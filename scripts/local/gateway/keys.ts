import { importJWK, type JWK } from "jose";

/** The keys that the gateway knows callers and tokens by. */
export class LocalKeys {
  readonly jwks: { keys: JWK[] };
  readonly #public: JWK;
  readonly #publishable: Set<string>;
  readonly #secret: Set<string>;

  constructor(publishable: string[], secret: string[], readonly signing: JWK, readonly issuer: string) {
    this.#publishable = new Set(publishable);
    this.#secret = new Set(secret);
    const { d: _private, ...jwk } = signing;
    this.#public = jwk;
    this.jwks = { keys: [jwk] };
  }

  /** Returns the database role of an API key, or null when it is unknown. */
  roleOf(key: string): "anon" | "service_role" | null {
    if (this.#secret.has(key)) return "service_role";
    return this.#publishable.has(key) ? "anon" : null;
  }

  /** Imports the public key that tokens are verified with, whatever key they name. */
  async verifyingKey() {
    return await importJWK(this.#public, "ES256");
  }

  /** Imports the private key for signing. */
  async signingKey() {
    return await importJWK(this.signing, "ES256");
  }
}
