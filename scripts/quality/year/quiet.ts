/**
 * What the alert rules say of a year in which nothing is wrong: at most three alerts, each of which somebody can
 * explain. `deno run -A scripts/quality/year/quiet.ts [--orders 60000] [--seeds 404,505,606] [--minutes 60]`
 *
 * Rules about what is now (jobs, holds on stock, the key, sessions of staff) have nothing to see here.
 */
import type postgres from "postgres";
import { createTestDatabase } from "../../local/test_database.ts";
import { runTask, wholeNumber } from "../../lib/task.ts";
import { fillYear } from "./year.ts";

const usage = `scripts/quality/year/quiet.ts [--orders 60000] [--seeds 404,505,606] [--minutes 60]

  --orders    how many orders each year has
  --seeds     which years
  --minutes   how often the rules are measured`;

const flags = {
  orders: { type: "string", default: "60000" },
  seeds: { type: "string", default: "404,505,606" },
  minutes: { type: "string", default: "60" },
} as const;

const script = new URL("./quiet.sql", import.meta.url);
/** The most alerts that a quiet year may bring. */
export const quietAlertsMax = 3;

export interface QuietYear {
  orders: number;
  seed: number;
  ends: Date;
  /** How often the rules are measured on the days that are looked at. */
  everyMinutes: number;
  /** 1: each day is looked at; 12: each twelfth. */
  everyDays: number;
}

export interface OpenedAlert {
  kind: string;
  at: Date;
  data: Record<string, unknown>;
}

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: ({ values }) =>
        report(
          wholeNumber("--orders", values.orders, 100),
          values.seeds.split(",").map((seed) => wholeNumber("--seeds", seed, 1)),
          wholeNumber("--minutes", values.minutes, 1),
        ),
    }, Deno.args),
  );
}

async function report(orders: number, seeds: number[], everyMinutes: number): Promise<number> {
  let loud = 0;
  for (const seed of seeds) {
    await using database = await createTestDatabase();
    const started = performance.now();
    const year = { orders, seed, ends: new Date(), everyMinutes, everyDays: 1 };
    const { measured, alerts } = await liveQuietYear(database.sql, year);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(
      `seed ${seed}: ${orders} orders, measured ${measured} times, ${alerts.length} alerts, ${seconds} s`,
    );
    for (const { kind, at, data } of alerts) {
      console.log(`  ${at.toISOString().slice(0, 16)} ${kind} ${JSON.stringify(data)}`);
    }
    if (alerts.length > quietAlertsMax) loud++;
  }
  return loud === 0 ? 0 : 1;
}

/** Fills an empty shop with a quiet year and goes through it: how often it was measured, and each alert that opened. */
export async function liveQuietYear(
  sql: postgres.Sql,
  year: QuietYear,
): Promise<{ measured: number; alerts: OpenedAlert[] }> {
  await fillYear(sql, year, script);
  const connection = await sql.reserve();
  try {
    await connection.unsafe(`
      create temp table opened (kind text, at timestamptz, data jsonb);
      create function pg_temp.note_opened() returns trigger language plpgsql as $$
      begin
        insert into opened values (new.kind, current_setting('year.now')::timestamptz, new.data);
        return null;
      end $$;
      create trigger note_opened after insert on public.alerts
        for each row execute function pg_temp.note_opened();
      create trigger note_reopened after update of status on public.alerts
        for each row when (new.status = 'open' and old.status = 'resolved') execute function pg_temp.note_opened();
    `).simple();
    let measured = 0;
    // The first month is what is usual.
    for (let day = 330; day >= 0; day -= year.everyDays) {
      const from = new Date(year.ends.getTime() - day * 86_400_000);
      const [row] = await connection`
        select count(*)::integer as measured, coalesce(sum(x.failed), 0)::integer as failed
        from generate_series(0, ${1440 / year.everyMinutes - 1}::integer) s (n)
        cross join lateral (
          select set_config('year.now', (${from.toISOString()}::timestamptz
            + s.n * make_interval(mins => ${year.everyMinutes}::integer))::text, false) as at
        ) t
        cross join lateral (select public.evaluate_alert_rules(false, t.at::timestamptz) as failed) x`;
      if (row?.["failed"] !== 0) throw new Error("a rule failed");
      measured += row["measured"];
    }
    const alerts = await connection<OpenedAlert[]>`select * from opened order by at`;
    return { measured, alerts: [...alerts] };
  } finally {
    connection.release();
  }
}
