/**
 * `deno task rehearse`: what a deployment of this checkout would make of the orders that a shop has. The stored events
 * go through this checkout's translators and SQL in a database of their own, and every order that comes out otherwise
 * is told. Exit code 1 when one does.
 */
import { readStackFile } from "../lib/stack_file.ts";
import { TaskError } from "../lib/errors.ts";
import { runTask, UsageError, wholeNumber } from "../lib/task.ts";
import { type RehearsalReport, rehearse } from "./rehearse/rehearsal.ts";
import { inTemporaryPlace } from "./rehearse/shadow.ts";

const usage = `deno task rehearse [--db-url URL] [--since 30d] [--limit N] [--json]

  --db-url  the live database, which is only read; else SUPABASE_DB_URL, else the stack that runs in LOCAL_DIR
  --since   orders that began since then: 12h, 30d, 2026-11-01
  --limit   the newest N orders
  --json    { orders, events, differing, not_rehearsed, with_readings, seconds } for programs

  The stored webhook events pass through the translators and the SQL of this checkout, in a database in a temporary
  folder that is removed at the end. Nothing is written to the live database, and nothing is sent. Exit code 1 when an
  order comes out otherwise than the live database has it.`;

const flags = {
  "db-url": { type: "string" },
  since: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: async ({ values }) => {
        const since = values.since === undefined ? null : momentOf(values.since, Date.now());
        const limit = values.limit === undefined ? null : wholeNumber("--limit", values.limit, 1);
        const liveUrl = await liveUrlOf(values["db-url"]);
        const report = await inTemporaryPlace((shadowUrl) =>
          rehearse({ liveUrl, shadowUrl, since, limit, progress: (text) => console.error(text) })
        );
        console.log(values.json ? JSON.stringify(report, null, 2) : textOf(report));
        return report.differing.length === 0 && report.failures.length === 0 ? 0 : 1;
      },
    }, Deno.args),
  );
}

const unitMs: Record<string, number> = { h: 3_600_000, d: 86_400_000 };

/** The moment that `--since` names. */
function momentOf(text: string, now: number): Date {
  const [, count, unit] = /^([1-9]\d{0,3})([hd])$/.exec(text) ?? [];
  const ms = count === undefined ? Date.parse(text) : now - Number(count) * (unitMs[unit ?? ""] ?? 0);
  if (Number.isNaN(ms)) throw new UsageError(`--since ${text} is neither 12h, 30d nor a date`);
  return new Date(ms);
}

/** The database of `--db-url`, of the environment, or of the stack that runs. */
export async function liveUrlOf(given: string | undefined): Promise<string> {
  const url = given ?? (Deno.env.get("SUPABASE_DB_URL") || undefined);
  if (url !== undefined) {
    if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return url;
    throw new UsageError("--db-url is not a connection string: postgresql://…");
  }
  const dir = Deno.env.get("LOCAL_DIR") ?? ".local";
  const file = await readStackFile(dir);
  if (file !== null) return file.db_url;
  throw new TaskError(`No stack runs in ${dir}: start one with 'deno task dev', or give --db-url`);
}

/** The report for people. */
export function textOf(report: RehearsalReport): string {
  const { orders, events, seconds, differing, failures } = report;
  const lines = [`${orders} orders and ${events} events rehearsed in ${Math.round(seconds)} s.`];
  for (const { number, differences } of differing) {
    lines.push("", `Order ${number}`);
    for (const { what, live, shadow } of differences) lines.push(`  ${what}: ${live} → ${shadow}`);
  }
  if (failures.length > 0) lines.push("", "This checkout fails on:", ...failures.map((text) => `  ${text}`));
  if (report.not_rehearsed.length > 0) lines.push("", "Not rehearsed:");
  const reasons = Map.groupBy(report.not_rehearsed, ({ reason }) => reason);
  for (const [reason, left] of reasons) {
    lines.push(`  ${left.length} orders, because ${reason}: ${shortened(left.map(({ number }) => number))}`);
  }
  if (report.with_readings.length > 0) {
    const { length } = report.with_readings;
    lines.push("", `Read from Stripe and told by no event, so taken over: of ${length} orders.`);
    lines.push(`  ${shortened(report.with_readings)}`);
  }
  lines.push(
    "",
    differing.length === 0 ? "No order differs." : `${differing.length} of ${orders} orders differ.`,
  );
  return lines.join("\n");
}

const SHOWN = 20;

/** The first of many numbers. */
function shortened(numbers: string[]): string {
  const shown = numbers.slice(0, SHOWN).join(", ");
  return numbers.length > SHOWN ? `${shown}, … (--json has all)` : shown;
}
