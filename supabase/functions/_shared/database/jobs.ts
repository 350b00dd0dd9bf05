/** The queue. */
import type { Arguments, Call, Json, Known, Returned } from "./client.ts";
import { maskedOrNull } from "./storable.ts";

export type Job = Known<Returned<"claim_jobs">[number], {
  payload: { [field: string]: Json | undefined };
  /** The order that it is about; null: none, or not known yet. */
  order_id: string | null;
}>;

/** How a job ended, for `finishJobs`. */
export interface JobResult {
  id: number;
  lease_id: string;
  outcome: "done" | "discard" | "retry" | "snooze";
  reason: string | null;
  /** ISO 8601; null: backoff. */
  run_at: string | null;
  /** Staff are told, this urgently. */
  alert: "warning" | "critical" | null;
  /** What the attempt says about the kind's provider; null: nothing. */
  provider_state: "up" | "down" | "unauthorized" | null;
}

type FinishedJob = Known<Returned<"finish_jobs">[number], { status: string | null }>;
type PurgeReport = Known<Returned<"purge_old_data">, { purged: { [kind: string]: number }; more: boolean }>;

/**
 * Which events and jobs to run again. `p_again`, with `p_type`: also events that were processed or ignored. `p_limit`
 * of them behind `p_after`, see {@linkcode redrivenName}.
 */
export type RedriveSelection = Required<Arguments<"redrive">>;

export type RedrivenItem = Known<Returned<"redrive">[number], {
  what: "event" | "job";
  id: string;
  status: string;
  redriven: boolean;
}>;

/** By what `redrive()` puts events and jobs in order. */
export function redrivenName({ what, id }: Pick<RedrivenItem, "what" | "id">): string {
  return `${what} ${id}`;
}

export const queueCalls = (call: Call) => ({
  /** Leases due jobs to this worker, at most `mails` of them mails to customers. */
  claimJobs: (worker: string, limit: number, leaseSeconds: number, mails: number) =>
    call("claim_jobs", {
      p_worker: worker,
      p_limit: limit,
      p_lease_seconds: leaseSeconds,
      p_mails: mails,
    }) as Promise<Job[]>,

  /** Ends leases. `finished` is false, `status` null, where the lease was lost: someone else owns that job now. */
  finishJobs: (results: JobResult[]) =>
    call("finish_jobs", {
      p_results: results.map((result) => ({ ...result, reason: maskedOrNull(result.reason) })),
    }) as Promise<FinishedJob[]>,

  /** Queues what is due by the clock, and notes that somebody works. Returns how many were queued. */
  enqueuePeriodicJobs: (settings: { admin_require_mfa: boolean }): Promise<number> =>
    call("enqueue_periodic_jobs", { p_settings: settings }),

  /** How many jobs are due or running. */
  countJobs: (): Promise<number> => call("count_jobs", {}),

  /** Removes up to `limit` old rows of each kind; `more`: call again. */
  purgeOldData: (limit: number) => call("purge_old_data", { p_limit: limit }) as Promise<PurgeReport>,

  /** Checks up to `limit` orders that were settled, and raises the alert; true: there are more. */
  checkSettledOrders: (limit: number): Promise<boolean> => call("check_settled_orders", { p_limit: limit }),

  /** Measures the alert rules for one mode; their alerts follow. Returns how many rules failed. */
  evaluateAlertRules: (livemode: boolean): Promise<number> =>
    call("evaluate_alert_rules", { p_livemode: livemode }),

  /** Queues dead and failed events and jobs again; see the SQL function. */
  redrive: (selection: RedriveSelection) => call("redrive", selection) as Promise<RedrivenItem[]>,
});
