/**
 * Ends leases in groups: while one round trip is under way the next outcomes gather, so that a slow job waits for
 * nobody and a thousand quick ones do not need a thousand round trips.
 */
import { type JobContext, type Outcome, resultOf } from "../_shared/jobs/mod.ts";
import type { Job, JobResult } from "../_shared/database/jobs.ts";

export interface Tally {
  claimed: number;
  succeeded: number;
  retried: number;
  discarded: number;
  dead: number;
}

export interface Finisher {
  tally: Tally;
  /** Takes an outcome; it is written soon. */
  add(job: Job, outcome: Outcome): void;
  /** Settles when everything added so far is written, or could not be. */
  drained(): Promise<void>;
}

/** Outcomes per round trip: a transaction of some tens of milliseconds. */
const groupMax = 100;
const gatherMs = 2;

/** A finisher with an empty tally. */
export function createFinisher({ rpc, log }: Pick<JobContext, "rpc" | "log">): Finisher {
  const tally: Tally = { claimed: 0, succeeded: 0, retried: 0, discarded: 0, dead: 0 };
  const waiting: JobResult[] = [];
  let writing: Promise<void> | null = null;

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, groupMax);
      try {
        for (const { id, finished, status } of await rpc.finishJobs(group)) {
          if (finished) count(tally, status);
          else log.warn("job_lease_lost", { job_id: id, status });
        }
      } catch (error) {
        // The leases run out and the jobs come back; their idempotency keys make the repetition harmless.
        tally.retried += group.length;
        log.error("jobs_not_finished", { job_ids: group.map(({ id }) => id), error });
      }
    }
  }

  function start(): void {
    writing ??= gather().then(write).finally(() => {
      writing = null;
      // What came in between the last look and this moment.
      if (waiting.length > 0) start();
    });
  }

  return {
    tally,
    add(job, outcome) {
      waiting.push(resultOf(job, outcome));
      start();
    },
    async drained() {
      while (writing !== null) await writing;
    },
  };
}

/** Quick jobs end within one another's milliseconds: the first of them does not go alone. */
function gather(): Promise<void> {
  return new Promise((wake) => setTimeout(wake, gatherMs));
}

function count(tally: Tally, status: string | null): void {
  switch (status) {
    case "done":
      tally.succeeded += 1;
      break;
    case "discarded":
      tally.discarded += 1;
      break;
    case "dead":
      tally.dead += 1;
      break;
    default:
      tally.retried += 1;
  }
}
