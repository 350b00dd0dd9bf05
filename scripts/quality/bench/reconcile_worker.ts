/** Reconciles in a thread of its own, as a function of its own would: whoever measures checkouts is not held up by it. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { openBackend } from "../../live/backend.ts";
import { reconcile } from "../../live/reconcile.ts";

/** What to talk to, by the names of the environment, and how far back. */
export interface Reconciliation {
  env: Record<string, string>;
  sinceMs: number;
}

self.onmessage = async ({ data: { env, sinceMs } }: MessageEvent<Reconciliation>) => {
  const backend = await openBackend((name) => env[name]);
  const { drift, problems } = await reconcile(backend, { sinceMs, dryRun: false });
  self.postMessage({ repaired: drift.length, problems: problems.length });
};
