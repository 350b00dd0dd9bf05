/** Looks at what must always be true of orders, in small steps: those that were settled, and all of them once a day. */
import { done, type JobHandler } from "./outcome.ts";

/** A step takes 200 ms at most. */
const ordersPerStep = 25;
/** The rest waits: other jobs want the worker too. */
const budgetMs = 10_000;

/** Payload: none. */
export const checkOrders: JobHandler = async (_job, { rpc, now }) => {
  const startedAt = now();
  while (await rpc.checkSettledOrders(ordersPerStep)) {
    if (now() - startedAt > budgetMs) {
      return { kind: "snooze", until: new Date(now() + 30_000), reason: "there are more orders to check" };
    }
  }
  return done;
};
