/**
 * How long a shopper waits in all. Storefronts give up after ten seconds, so every call of a request that can hang,
 * to Stripe and to the database, takes its limit from one deadline.
 */
import { AppError } from "../errors.ts";

export interface Deadline {
  /** Milliseconds for the next call to Stripe, retries included; never less than `leastMs`. */
  stripeMs(leastMs?: number): number;
  /** Milliseconds for the next call to the database. */
  databaseMs(): number;
  /**
   * The same for a call that holds something; asked when it gets its turn, since it may have stood in line.
   * @throws AppError `busy` when Stripe's page could not be made in time any more: the goods would be held for nobody.
   */
  startMs(): number;
  /** Stripe's share is used up: a failure of Stripe's is not worth another try. */
  passed(): boolean;
  /**
   * To be asked before each step that can be left for a repeat of the request.
   * @throws AppError `database_unavailable` when there is no time for another step.
   */
  check(): void;
}

/** Ends well before the whole, so that a busy machine still answers in time when Stripe does not. */
const stripeShareMs = 6_000;
/** What is under way then (at worst a session that has to be noted, or ended again) takes up to two seconds more. */
const limitMs = 8_000;
/** Behind this, what follows would not fit into Stripe's share: so late is who comes to a worker that has too much to do. */
const startMs = 5_000;
/** What an answer takes when all is well: cut shorter, a call could only fail. */
const shortestMs = 250;

/**
 * A deadline that starts now.
 * @param now epoch milliseconds.
 */
export function startDeadline(now: () => number): Deadline {
  const start = now();
  // A clock that is set back must not lengthen the wait.
  const left = (endMs: number) => Math.min(endMs, start + endMs - now());
  const databaseMs = () => Math.max(shortestMs, left(limitMs));
  return {
    stripeMs: (leastMs = shortestMs) => Math.max(leastMs, left(stripeShareMs)),
    databaseMs,
    startMs() {
      if (left(startMs) > 0) return databaseMs();
      throw new AppError("busy", {
        retryAfterSeconds: 5,
        cause: new Error(`nothing begun after ${now() - start} ms`),
      });
    },
    passed: () => left(stripeShareMs) <= 0,
    check() {
      if (left(limitMs) > 0) return;
      throw new AppError("database_unavailable", {
        retryAfterSeconds: 5,
        cause: new Error(`no time left after ${now() - start} ms`),
      });
    },
  };
}
