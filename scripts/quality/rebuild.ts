/**
 * `deno task rebuild`: makes what is derived anew from the log. The stored events go through the translators and the SQL
 * in a database of their own, as in a rehearsal, and what comes out replaces the facts and the state of each order.
 */
import { connect } from "../lib/connection.ts";
import { runTask } from "../lib/task.ts";
import { liveUrlOf, textOf } from "./rehearse.ts";
import { type RehearsalReport, rehearse } from "./rehearse/rehearsal.ts";
import { inTemporaryPlace } from "./rehearse/shadow.ts";
import { writeBack } from "./rehearse/write_back.ts";

const usage = `deno task rebuild [--db-url URL] [--dry-run]

  --db-url   the database, as postgres; else SUPABASE_DB_URL, else the stack that runs in LOCAL_DIR
  --dry-run  say which orders would come out otherwise, and change nothing

  Facts and state of orders are made anew from the stored webhook events and replaced. Orders whose events have lost
  their payload (retention_payload_days) or whose person was erased keep their rows, and are listed. Exit code 1 when
  an order was, or would be, another one.`;

const flags = { "db-url": { type: "string" }, "dry-run": { type: "boolean", default: false } } as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      run: async ({ values }) => {
        const liveUrl = await liveUrlOf(values["db-url"]);
        const report = await inTemporaryPlace((shadowUrl) =>
          rebuild({
            liveUrl,
            shadowUrl,
            dryRun: values["dry-run"],
            progress: (text) => console.error(text),
          })
        );
        console.log(textOf(report));
        return report.differing.length === 0 && report.failures.length === 0 ? 0 : 1;
      },
    }, Deno.args),
  );
}

/** What to rebuild, and where meanwhile. */
export interface RebuildOptions {
  liveUrl: string;
  /** An empty database; its owner removes it. */
  shadowUrl: string;
  dryRun: boolean;
  progress(text: string): void;
}

/** Rebuilds every order that the log can tell, and returns what came out otherwise than it was. */
export async function rebuild({ dryRun, ...options }: RebuildOptions): Promise<RehearsalReport> {
  const { since, older, now } = await reachOf(options.liveUrl);
  const report = await rehearse({ ...options, since, limit: null });
  const left = older.map((number) => ({ number, reason: "payloads of its events are gone" }));
  // What this checkout fails on is not written over what another one has made of it.
  if (!dryRun && report.failures.length === 0) {
    options.progress("Writing back …");
    for (const number of await writeBack(options.liveUrl, options.shadowUrl, now)) {
      left.push({ number, reason: "it has changed meanwhile: run this again" });
    }
  }
  return { ...report, not_rehearsed: [...left, ...report.not_rehearsed] };
}

/**
 * From when on the log is whole, and the orders that are older. Told by the events alone: the rows that would say whose
 * an event is may be what has to be rebuilt.
 */
async function reachOf(url: string): Promise<{ since: Date | null; older: string[]; now: Date }> {
  const sql = connect(url, {
    connection: { application_name: "rebuild", default_transaction_read_only: true },
  });
  try {
    const [row] = await sql<{ since: Date | null; now: Date }[]>`
      select max(e.received_at) as since, now() as now from public.webhook_events e where e.payload ? 'purged'`;
    const { since, now } = row ?? { since: null, now: new Date() };
    const older = await sql<{ number: string }[]>`
      select o.number from public.orders o where o.created_at < ${since} order by o.number`;
    return { since, now, older: older.map(({ number }) => number) };
  } finally {
    await sql.end({ timeout: 1 });
  }
}
