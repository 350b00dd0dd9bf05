/** Reconciles in a thread of its own, as a function of its own would: whoever measures checkouts is not held up by it. */
import { openBackend } from "../../live/backend.ts";
import { reconcile } from "../../live/reconcile.ts";

/** What to talk to, by the names of the environment, and how far back. */
export interface Reconciliation {
  env: Record<string, string>;
  sinceMs: number;
}

/** What a worker has, and the library of other programs does not know. */
interface WorkerScope {
  onmessage: (message: { data: Reconciliation }) => Promise<void>;
  postMessage(message: { repaired: number; problems: number }): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = async ({ data: { env, sinceMs } }) => {
  const backend = await openBackend((name) => env[name]);
  const { drift, problems } = await reconcile(backend, { sinceMs, dryRun: false });
  scope.postMessage({ repaired: drift.length, problems: problems.length });
};
