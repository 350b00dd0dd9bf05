/**
 * `deno task redrive`: queues dead or failed webhook events and jobs again, and events that were processed when they
 * are named or asked for: they are translated anew. Running something twice is harmless: facts merge, and outward calls
 * carry idempotency keys.
 */
import {
  type RedrivenItem,
  redrivenName,
  type RedriveSelection,
} from "../../supabase/functions/_shared/database/jobs.ts";
import { openBackend } from "./backend.ts";
import { type Given, runTask, UsageError } from "../lib/task.ts";

const usage = `deno task redrive [evt_… | job id]… [--type TYPE [--again]] [--all] [--dry-run]

  evt_…, 123   these events and jobs; an event that was processed or ignored is translated anew
  --type       all failed or dead events of a type (charge.refunded), or jobs of a kind (send_mail)
  --again      with --type: also events of the type that were processed or ignored
  --all        every failed or dead event and job
               (failed: waiting for the next try, which then comes at once)
  --dry-run    list them and change nothing`;

const flags = {
  type: { type: "string" },
  again: { type: "boolean", default: false },
  all: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
} as const;

/** A call locks what it brings back until it is done, and has ten seconds. */
const atOnce = 200;

if (import.meta.main) {
  Deno.exit(
    await runTask({ usage, flags, positionals: true, run: (given) => main(selectionOf(given)) }, Deno.args),
  );
}

async function main(selection: RedriveSelection): Promise<number> {
  const { rpc } = await openBackend();
  let [queued, leftAlone] = [0, 0];
  for (let after: string | null = null;;) {
    const items = await rpc.redrive({ ...selection, p_after: after });
    for (const item of items) print(item);
    const problems = items.filter(({ problem }) => problem !== null).length;
    queued += items.length - problems;
    leftAlone += problems;
    const last = items.at(-1);
    if (last === undefined || items.length < (selection.p_limit ?? Infinity)) break;
    after = redrivenName(last);
  }
  console.log(summaryOf(queued, leftAlone, selection));
  return leftAlone > 0 ? 1 : 0;
}

/** @throws UsageError when the arguments select nothing, or name something that is neither an event nor a job. */
function selectionOf({ values, positionals: named }: Given<typeof flags>): RedriveSelection {
  const positionals = [...new Set(named)];
  const unknown = positionals.find((id) => !/^(evt_\w+|\d{1,15})$/.test(id));
  if (unknown !== undefined) throw new UsageError(`${unknown} is neither an event (evt_…) nor a job id`);
  if (positionals.length === 0 && values.type === undefined && !values.all) {
    throw new UsageError("Say what to redrive: ids, --type or --all");
  }
  if (values.again && values.type === undefined) throw new UsageError("--again needs --type");
  return {
    p_event_ids: positionals.filter((id) => id.startsWith("evt_")),
    p_job_ids: positionals.filter((id) => !id.startsWith("evt_")).map(Number),
    p_type: values.type ?? null,
    p_all: values.all,
    p_again: values.again,
    p_dry_run: values["dry-run"],
    p_actor: "redrive",
    p_after: null,
    p_limit: atOnce,
  };
}

function print({ what, id, type, status, error, problem }: RedrivenItem): void {
  const note = problem === null ? error ?? "" : `left alone: ${problem}`;
  console.log(
    `${what.padEnd(5)}  ${id.padEnd(30)}  ${(type ?? "").padEnd(38)}  ${status.padEnd(9)}  ${note}`,
  );
}

function summaryOf(
  queued: number,
  leftAlone: number,
  { p_type: type, p_again: again, p_dry_run: dryRun }: RedriveSelection,
): string {
  if (queued + leftAlone > 0) return `${queued} ${dryRun ? "would be queued" : "queued"} again.`;
  const of = type === null ? "" : ` of type ${type}`;
  return again ? `No event and no dead job${of} is there.` : `Nothing${of} is failed or dead.`;
}
