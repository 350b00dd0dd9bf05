/** Removes what the retention settings call old, in small steps, so that no lock is held for long. */
import { done, type JobHandler } from "./outcome.ts";

const rowsPerStep = 5_000;
/** The rest waits for the next round: other jobs want the worker too. */
const budgetMs = 20_000;

/** Payload: none. */
export const purge: JobHandler = async (_job, { rpc, now, log }) => {
  const startedAt = now();
  while (true) {
    const { purged, more } = await rpc.purgeOldData(rowsPerStep);
    log.info("old_data_purged", purged);
    if (!more) return done;
    if (now() - startedAt > budgetMs) {
      return { kind: "snooze", until: new Date(now() + 60_000), reason: "there is more to purge" };
    }
  }
};
