import { ApiError, invalidRequest } from "./errors.ts";
import type { Store } from "./store.ts";

interface Saved {
  fingerprint: string;
  status: number | null;
  body: string | null;
  request_id: string;
  at: number;
}

/** A finished answer to replay. */
export interface Replay {
  status: number;
  body: string;
  requestId: string;
}

const KEPT_MS = 24 * 3600 * 1000;

/** Remembers what was answered to an idempotency key, for a day. */
export class Idempotency {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    // A request that a crash cut short left no trace but its key: it must be possible to send it again.
    store.run("delete from idempotency where status is null or at < ?", Date.now() - KEPT_MS);
  }

  /** Claims a key; a replay when it was used for the same request before. */
  begin(key: string, fingerprint: string, requestId: string): Replay | null {
    if (key.length > 255) {
      throw invalidRequest("Idempotency keys can be up to 255 characters long.", "idempotency_key");
    }
    const saved = this.#store.row<Saved>("select * from idempotency where key = ?", key);
    if (saved === undefined || saved.at < Date.now() - KEPT_MS) {
      this.#store.run(
        "insert or replace into idempotency (key, fingerprint, request_id, at) values (?, ?, ?, ?)",
        key,
        fingerprint,
        requestId,
        Date.now(),
      );
      return null;
    }
    const [address, before] = [fingerprint, saved.fingerprint].map((print) => print.split(" ")[0]);
    if (address !== before) {
      throw new ApiError(400, {
        type: "idempotency_error",
        message:
          `Keys for idempotent requests can only be used for the same endpoint they were first used for ('${address}' vs '${before}'). Try using a key other than '${key}' if you meant to execute a different request.`,
      });
    }
    if (saved.fingerprint !== fingerprint) {
      throw new ApiError(400, {
        type: "idempotency_error",
        message:
          `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      });
    }
    if (saved.status === null || saved.body === null) {
      throw new ApiError(409, {
        type: "idempotency_error",
        code: "idempotency_key_in_use",
        message:
          `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}.`,
      });
    }
    return { status: saved.status, body: saved.body, requestId: saved.request_id };
  }

  /** Keeps the answer. */
  finish(key: string, status: number, body: string): void {
    this.#store.run("update idempotency set status = ?, body = ? where key = ?", status, body, key);
  }

  /** Frees a key whose request was refused before it began; Stripe does not save those answers. */
  release(key: string): void {
    this.#store.run("delete from idempotency where key = ?", key);
  }
}
