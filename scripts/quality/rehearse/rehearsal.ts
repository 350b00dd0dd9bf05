/** One rehearsal: the stored events of a live database through this checkout, and which orders come out otherwise. */
import type postgres from "postgres";
import { judge } from "../../../supabase/functions/_shared/stripe_events/judge.ts";
import { connect } from "../../lib/connection.ts";
import { atOneMoment } from "./live.ts";
import { addFunctions, connectAsleep, fillShadow } from "./shadow.ts";

/** What to rehearse, and with what. */
export interface RehearsalOptions {
  liveUrl: string;
  /** Orders that began then or later; null: all. */
  since: Date | null;
  /** The newest so many; null: all. */
  limit: number | null;
  /** An empty database to make the shadow in; its owner removes it. */
  shadowUrl: string;
  /** Told of each step, and now and then of how far it is. */
  progress(text: string): void;
}

/** One column of one order. */
export interface Difference {
  /** `table[key].column`, or what failed. */
  what: string;
  live: string;
  shadow: string;
}

/** What came out. */
export interface RehearsalReport {
  orders: number;
  events: number;
  /** By order number. */
  differing: { number: string; differences: Difference[] }[];
  /** Orders whose facts the log cannot tell any more. */
  not_rehearsed: { number: string; reason: string }[];
  /** Orders of which something was read from Stripe that no event of the log tells: it was taken over. */
  with_readings: string[];
  /** Events that the live database has applied, and this checkout cannot; those of known orders also differ. */
  failures: string[];
  seconds: number;
}

/** Work on the shadow at once: as many connections as a small machine has processors. */
const PARTS = 2;
const BATCH = 200;

/**
 * The tables fill while the functions' plans are kept: a plan that reads a table whole because it was empty would read
 * it whole for good. A commit does not wait for the disk.
 */
const FOR_ROW_BY_ROW = {
  synchronous_commit: "off",
  enable_seqscan: "off",
  plan_cache_mode: "force_generic_plan",
  jit: "off",
};

/**
 * Rehearses. The live database is read in one transaction that cannot write, which is over before the work begins;
 * nothing is sent anywhere, since no job runs.
 * @throws TaskError when the live database cannot be read.
 */
export async function rehearse(options: RehearsalOptions): Promise<RehearsalReport> {
  const startedAt = Date.now();
  const { progress, shadowUrl } = options;
  progress("Copying the live database into the shadow …");
  await atOneMoment(options.liveUrl, (live) => fillShadow(shadowUrl, live, options));
  progress("Taking the orders back to where no event had come …");
  const asleep = connectAsleep(shadowUrl);
  const workers = Array.from(
    { length: PARTS },
    () => connect(shadowUrl, { connection: FOR_ROW_BY_ROW }),
  );
  try {
    await addFunctions(asleep);
    await asleep`select rehearsal.choose(${options.since}, ${options.limit})`;
    await asleep`select rehearsal.number_on()`;
    await asleep`select rehearsal.keep_live()`;
    await asleep`select rehearsal.forget_events()`;
    const [settling] = await asleep<{ source: string }[]>`select rehearsal.hold_settling() as source`;
    await analyze(asleep);
    const events = await replay(asleep, workers, progress);
    progress("Settling the orders …");
    await asleep`select rehearsal.carry_over()`;
    await asleep.unsafe(settling?.source ?? "");
    await analyze(asleep);
    await Promise.all(
      workers.map((sql, part) => sql.unsafe(`call rehearsal.settle(${part}, ${workers.length})`)),
    );
    progress("Comparing …");
    return { ...await reportOf(asleep), events, seconds: (Date.now() - startedAt) / 1000 };
  } finally {
    await Promise.all([asleep, ...workers].map((sql) => sql.end({ timeout: 1 })));
  }
}

/** What was filled has statistics before it is asked: the plans of a small table do not do for a big one. */
async function analyze(sql: postgres.Sql): Promise<void> {
  await sql`analyze`;
}

interface StoredEvent {
  id: string;
  type: string;
  livemode: boolean;
  api_version: string | null;
  stripe_created_at: string;
  ignored_reason: string | null;
  payload: Record<string, unknown>;
}

/** Passes all stored events through the translators and the function that receives them; returns their number. */
async function replay(
  sql: postgres.Sql,
  workers: postgres.Sql[],
  progress: (text: string) => void,
): Promise<number> {
  const [count] = await sql<{ events: number }[]>`select count(*)::int as events from rehearsal.events
    where payload ? 'object'`;
  const all = count?.events ?? 0;
  const startedAt = Date.now();
  const busy = workers.map(() => Promise.resolve<unknown>(null));
  let sent = 0;
  let turn = 0;
  // A worker is given its next batch when it is done with its last; meanwhile the other's is translated.
  await sql<StoredEvent[]>`
    select id, type, livemode, api_version, stripe_created_at::text, ignored_reason, payload
    from rehearsal.events where payload ? 'object' order by received_at, id`.cursor(BATCH, async (rows) => {
    const batch = JSON.stringify(rows.map(judged));
    const at = turn++ % workers.length;
    await busy[at];
    busy[at] = workers[at]?.unsafe("call rehearsal.replay($1::text::jsonb)", [batch]).execute() ??
      Promise.resolve();
    sent += rows.length;
    if (turn % 25 === 0) {
      const perSecond = Math.round(sent / Math.max(0.001, (Date.now() - startedAt) / 1000));
      progress(`${sent} of ${all} events, ${perSecond} a second`);
    }
  });
  await Promise.all(busy);
  return sent;
}

/**
 * An event with what this checkout makes of it. Which mode and which account a deployment listens to is no matter of
 * the code: what was somebody else's stays so.
 */
function judged({ payload, ignored_reason, ...event }: StoredEvent): object {
  if (ignored_reason === "other_livemode" || ignored_reason === "connected_account") {
    return { ...event, payload, ignored_reason };
  }
  const { account } = payload;
  const ours = { livemode: event.livemode, stripeAccountId: typeof account === "string" ? account : null };
  const judgement = judge(payload, ours);
  if ("facts" in judgement) return { ...event, payload, facts: judgement.facts };
  if ("error" in judgement) return { ...event, payload, error: judgement.error };
  return { ...event, payload, ignored_reason: judgement.ignoredReason };
}

async function reportOf(sql: postgres.Sql): Promise<Omit<RehearsalReport, "events" | "seconds">> {
  const [orders] = await sql<{ count: number }[]>`select count(*)::int as count from rehearsal.rehearsed`;
  const rows = await sql<(Difference & { number: string })[]>`select * from rehearsal.differences()`;
  const differing = new Map<string, Difference[]>();
  for (const { number, ...difference } of rows) {
    const known = differing.get(number) ?? [];
    known.push(difference);
    differing.set(number, known);
  }
  return {
    orders: orders?.count ?? 0,
    differing: [...differing].map(([number, differences]) => ({ number, differences })),
    failures: (await sql<{ text: string }[]>`
      select what || ' ' || id || ': ' || error as text from rehearsal.failures order by 1`).map(({ text }) =>
      text
    ),
    not_rehearsed: [
      ...await sql<{ number: string; reason: string }[]>`
      select number, not_rehearsed as reason from rehearsal.chosen where not_rehearsed is not null order by number`,
    ],
    with_readings: (await sql<{ number: string }[]>`
      select distinct r.number from rehearsal.by_read b join rehearsal.rehearsed r on r.order_id = b.order_id
      where b.at_stripe order by 1`).map(({ number }) => number),
  };
}
