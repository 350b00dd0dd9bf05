/**
 * `deno task reconcile`: ingests the events that never arrived, compares payments, refunds,
 * disputes and open checkouts with Stripe, and prints what was (or would be) repaired.
 */
import { type Drift, reconcileEvents } from "../../supabase/functions/_shared/jobs/reconcile_events.ts";
import { reconcileObjects } from "../../supabase/functions/_shared/jobs/reconcile_objects.ts";
import type { JobCalls } from "../../supabase/functions/_shared/jobs/calls.ts";
import type { Problem } from "../../supabase/functions/_shared/jobs/problems.ts";
import { type Backend, openBackend, quietLog } from "./backend.ts";
import { runTask, UsageError } from "../lib/task.ts";

const usage = `deno task reconcile [--since 7d] [--dry-run]

  --since    how far back: 90m, 12h, 7d (at most 30d). Without it: from where the last run stopped
  --dry-run  print what would be repaired and change nothing`;

const unitMs: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const sinceMaxMs = 30 * 86_400_000;
/** Objects are compared over this time when nothing else is asked for. */
const objectsMs = 3 * 86_400_000;
/** Nobody waits with a stopwatch: a command may take as long as it needs. */
const usualBudgetMs = Infinity;
/** What is open of a shop that was not told of anything for days. */
const openMax = 100_000;

const flags = { since: { type: "string" }, "dry-run": { type: "boolean", default: false } } as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: ({ values }) =>
        main(values.since === undefined ? null : parseDuration(values.since), values["dry-run"]),
    }, Deno.args),
  );
}

async function main(sinceMs: number | null, dryRun: boolean): Promise<number> {
  const { drift, problems, complete } = await reconcile(await openBackend(), { sinceMs, dryRun });
  printDrift(drift, dryRun, complete);
  for (const { id, error } of problems) console.error(`${id} was left out: ${reasonOf(error)}`);
  if (!complete) {
    console.error("Stopped before the end, and there is more to compare: give a shorter --since");
  }
  return problems.length === 0 && complete ? 0 : 1;
}

/** Runs both halves and returns what differed, what could not be compared or repaired, and whether all was. */
export async function reconcile(
  { rpc, stripe, env }: Pick<Backend, "stripe" | "env"> & { rpc: JobCalls },
  options: { sinceMs: number | null; dryRun: boolean; budgetMs?: number },
): Promise<{ drift: Drift[]; problems: Problem[]; complete: boolean }> {
  const context = { rpc, stripe, env, now: Date.now, log: quietLog };
  const runId = crypto.randomUUID();
  const { dryRun, sinceMs, budgetMs = usualBudgetMs } = options;
  const events = await reconcileEvents(context, {
    runId,
    ...(sinceMs === null ? {} : { from: new Date(Date.now() - sinceMs) }),
    // Who runs this by hand means now.
    graceMs: -1_000,
    budgetMs,
    dryRun,
  });
  const since = new Date(Date.now() - (sinceMs ?? objectsMs));
  const objects = await reconcileObjects(context, { runId, since, budgetMs, dryRun, openMax });
  return {
    drift: [...events.drift, ...objects.drift],
    problems: [...events.problems, ...objects.problems],
    complete: events.complete && objects.complete,
  };
}

/** What an error says, and what is behind it. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause ?? error : error;
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * `7d` in milliseconds.
 * @throws UsageError when it is not a duration, or longer than Stripe keeps events.
 */
function parseDuration(text: string): number {
  const match = /^(\d{1,6})([mhd])$/.exec(text);
  const ms = Number(match?.[1]) * (unitMs[match?.[2] ?? ""] ?? NaN);
  if (!(ms > 0 && ms <= sinceMaxMs)) {
    throw new UsageError(
      `--since ${text}: give a duration up to 30d, which is as long as Stripe keeps events`,
    );
  }
  return ms;
}

function printDrift(drift: Drift[], dryRun: boolean, complete: boolean): void {
  for (const { kind, id, detail, before, after } of drift) {
    console.log(`${kind.padEnd(16)}  ${id.padEnd(30)}  ${detail.padEnd(38)}  ${orderChanges(before, after)}`);
  }
  const repaired = dryRun ? "would be repaired" : "repaired";
  console.log(
    drift.length > 0
      ? `${drift.length} ${repaired}.`
      : complete
      ? "No drift: the database agrees with Stripe."
      : "No drift so far.",
  );
}

interface Digest {
  orders: Record<string, { status: string; amount_refunded: number; fulfillment_status: string }> | null;
}

/** `KCT-100001 pending → paid`, for each order that changes. */
function orderChanges(before: unknown, after: unknown): string {
  const [old, now] = [(before as Digest | null)?.orders ?? {}, (after as Digest | null)?.orders ?? {}];
  return Object.entries(now).flatMap(([number, order]) => {
    const was = old[number];
    const state = (digest: typeof was) =>
      digest === undefined
        ? "unknown"
        : `${digest.status}/${digest.fulfillment_status}, refunded ${digest.amount_refunded}`;
    return state(was) === state(order) ? [] : [`${number} ${state(was)} → ${state(order)}`];
  }).join("; ");
}
