/** What a monitor would read, as `private.metric_series` has it. */
import type postgres from "postgres";

export type Db = postgres.ReservedSql | postgres.Sql;
type Family = { name: string; samples: [labels: string[], bucket: number, count: number, total: number][] };

/** Counters and histograms: how often, by metric and labels (`jobs send_mail done`); zero is left out. */
export async function counts(db: Db, ...metrics: string[]): Promise<Record<string, number>> {
  const [row] = await db<{ families: Family[] }[]>`select public.get_metrics() as families`;
  const found: Record<string, number> = {};
  for (const { name, samples } of row?.families ?? []) {
    if (!metrics.includes(name)) continue;
    for (const [labels, , count] of samples) {
      const key = [name, ...labels].join(" ");
      if (count > 0) found[key] = (found[key] ?? 0) + count;
    }
  }
  return found;
}

/** Forgets what was counted before. */
export async function forget(db: Db): Promise<void> {
  await db`truncate private.metric_samples`;
  await db`update private.metric_series set count = 0, total = 0`;
  await db`truncate private.objective_days`;
}
