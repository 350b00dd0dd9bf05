/**
 * The line in front of the database. A worker that sends all that it has fills the few connections of the API for
 * everybody, webhooks too, and what waits there is still done when its caller has long given up: stock is held for
 * somebody who has been told to come back. So the rest waits here, where a call that is given up has not begun.
 */
import { AppError } from "../errors.ts";

/**
 * `goes on`: with what has begun, before all that starts; waits for as long as its caller does. `starts`: something
 * that is better refused soon than late.
 */
export type Turn = "starts" | "goes on";

export interface Line {
  /**
   * Runs `work` when it is its turn.
   * @throws AppError `busy` for what starts, `database_unavailable` for what goes on when `signal` ends: then `work`
   * has not run.
   */
  pass<T>(turn: Turn, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

/** Twice the connections of the API of a small project: more of them could only wait there. */
const underWayMax = 20;
/** A checkout stands in line twice before anything is held: Stripe's share of the shopper's patience is left. */
const waitMs = 2_000;
const comeBackSeconds = 5;

/** One for each worker. `patienceMs`: how long what starts waits. */
export function createLine(patienceMs: number = waitMs): Line {
  const lines: Record<Turn, Set<() => void>> = { "starts": new Set(), "goes on": new Set() };
  let underWay = 0;

  /** Hands a place on; only when nobody waits it is free. */
  function leave(): void {
    const line = lines["goes on"].size > 0 ? lines["goes on"] : lines.starts;
    const [enter] = line;
    if (enter === undefined) underWay--;
    else {
      line.delete(enter);
      enter();
    }
  }

  async function place(turn: Turn, signal: AbortSignal): Promise<void> {
    if (underWay < underWayMax) {
      underWay++;
      return;
    }
    const { promise, resolve: enter, reject } = Promise.withResolvers<void>();
    // Whoever has a place keeps it, and who has left the line gets none.
    const refuse = (error: AppError) => lines[turn].delete(enter) && reject(error);
    const giveUp = () => {
      const cause = signal.reason;
      // The database was not asked: for what has not begun that is a rush, never an outage.
      const code = turn === "starts" ? "busy" : "database_unavailable";
      refuse(new AppError(code, { retryAfterSeconds: comeBackSeconds, cause }));
    };
    const timer = turn === "starts" ? setTimeout(giveUp, patienceMs) : undefined;
    signal.addEventListener("abort", giveUp, { once: true });
    lines[turn].add(enter);
    // A signal tells only once that its time is over.
    if (signal.aborted) giveUp();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    }
  }

  return {
    async pass(turn, signal, work) {
      await place(turn, signal);
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
