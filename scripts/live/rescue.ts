/**
 * `deno task rescue`: after the database was restored from a backup, takes over from Stripe what has happened since,
 * with the orders' own ids and numbers. Checkout is closed meanwhile. docs/disaster.md has the whole way.
 */
import type { RescueWindow } from "../../supabase/functions/_shared/database/rescue.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { runTask, UsageError } from "../lib/task.ts";
import { TaskError } from "../lib/errors.ts";
import { openBackend } from "./backend.ts";
import { NOT_RECOVERABLE } from "./rescue/not_recoverable.ts";
import { planRescue, rescue, type RescuePlan, type RescueReport } from "./rescue/rescue.ts";

const usage = `deno task rescue [--since TIME] [--stopped TIME] [--dry-run]

  --since    take over what has happened since then: 2026-11-26T03:00Z, the time of the backup. Without it: from an
             hour before the newest thing that the backup has
  --stopped  when the lost database did its last work. Mails and alerts for what happened before count as sent; for
             what happened after they are sent. Without it: now, so that nothing is sent twice
  --dry-run  print the plan and change nothing

  Checkout is closed while it runs, and stays closed until it has run to its end: run it again when it was
  interrupted. Exit code 1 when something could not be taken over.`;

const flags = {
  since: { type: "string" },
  stopped: { type: "string" },
  "dry-run": { type: "boolean", default: false },
} as const;

/**
 * Dates alone and times without a zone are refused: they would mean another moment on another machine, and so would
 * `5` or `11.12.2026`, which JavaScript takes for a date of some year.
 */
const momentPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: ({ values }) =>
        main(momentOf("--since", values.since), momentOf("--stopped", values.stopped), values["dry-run"]),
    }, Deno.args),
  );
}

async function main(since: Date | null, stoppedAt: Date | null, dryRun: boolean): Promise<number> {
  if (since !== null && stoppedAt !== null && stoppedAt < since) {
    throw new UsageError("--stopped is before --since");
  }
  const backend = await openBackend();
  const options = { since, stoppedAt, progress: (text: string) => console.error(text) };
  let closed = false;
  try {
    closed = requireSameWindow(await backend.rpc.getRescueWindow(since, stoppedAt), since, stoppedAt);
    if (dryRun) {
      printPlan(await planRescue(backend, options));
      return 0;
    }
    closed = true;
    const report = await rescue(backend, options);
    printReport(report);
    return report.problems.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new TaskError(
      closed && !dryRun ? "Interrupted, and checkout is closed: run it again" : "Nothing was changed",
      { cause: error },
    );
  }
}

/**
 * Whether the rescue that is asked for has begun already.
 * @throws TaskError when it is another one: the window of the one that has begun would be taken without a word.
 */
function requireSameWindow(window: RescueWindow, since: Date | null, stoppedAt: Date | null): boolean {
  if (!window.under_way) return false;
  const differs = (asked: Date | null, begun: string) =>
    asked !== null && Math.floor(asked.getTime() / 1000) !== Math.floor(Date.parse(begun) / 1000);
  if (differs(since, window.since) || differs(stoppedAt, window.stopped_at)) {
    throw new TaskError(
      `A rescue has begun with --since ${window.since} --stopped ${window.stopped_at}, and checkout is closed: ` +
        "run it to its end without these flags, or give it up with 'select finish_rescue()'",
    );
  }
  return true;
}

/** @throws UsageError when it is no time, or one that has not come. */
function momentOf(flag: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const moment = new Date(momentPattern.test(text) ? text : NaN);
  if (Number.isNaN(moment.getTime()) || moment.getTime() > Date.now()) {
    throw new UsageError(
      `${flag} ${text} is no time in the past with its zone, written like 2026-11-26T03:00Z`,
    );
  }
  return moment;
}

function printPlan({ window, others, sessions, missing }: RescuePlan): void {
  printWindow(window);
  console.log(`Stripe has ${counted(sessions, "payment page")} of that time.`);
  printOthers(others);
  console.log(`Missing here, and to be made anew: ${counted(missing.length, "order")}${listed(missing)}`);
  console.log("All other orders would be brought up to what Stripe says of them.");
  printLost();
}

function printWindow({ since, stopped_at, under_way }: RescuePlan["window"]): void {
  console.log(`Everything since ${since}${under_way ? ", as the rescue that was interrupted" : ""}.`);
  console.log(`Mails and alerts about what happened until ${stopped_at} count as sent.`);
}

function printReport(
  { window, others, made, reopened, renumbered, refunds, events, objects, end, problems }: RescueReport,
): void {
  printWindow(window);
  printOthers(others);
  console.log(`Made anew: ${counted(made.length, "order")}${listed(made)}`);
  if (renumbered.length > 0) {
    console.log(
      `Their numbers were given to other orders meanwhile, so both buyers know them${listed(renumbered)}`,
    );
  }
  console.log(
    `Gone on to another payment page: ${counted(reopened.length, "known order")}${listed(reopened)}`,
  );
  console.log(`Asked for here: ${counted(refunds, "refund")}.`);
  console.log(`Read: ${counted(events, "event")} and ${counted(objects, "object")}.`);
  if (end.stock_added.length > 0) {
    console.log(`Sold, and not in the stock of the backup: count ${end.stock_added.join(", ")}.`);
  }
  if (end.paid_orders.length > 0) {
    console.log(`To be sent, and perhaps sent already: look before you pack${listed(end.paid_orders)}`);
  }
  printLost();
  for (const { id, error } of problems) console.error(`${id} was left out: ${reasonOf(error)}`);
}

function printOthers(others: number): void {
  if (others > 0) console.log(`Left alone: ${counted(others, "payment page")} of other installations.`);
}

function printLost(): void {
  console.log("\nStripe does not know these, so what was done since the backup is lost:");
  for (const lost of NOT_RECOVERABLE) console.log(`  ${lost}`);
}

/** "1 order", "2 orders". */
function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function listed(numbers: string[]): string {
  return numbers.length === 0 ? "." : `: ${numbers.join(", ")}.`;
}

/** What an error says, and what is behind it. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause ?? error : error;
  return cause instanceof Error ? cause.message : String(cause);
}
