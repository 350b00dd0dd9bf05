/** Rows of reports as lines of a chart. */
import type { ChartData, Line } from "./chart.ts";

const DAY_SECONDS = 86_400;
const HOUR_SECONDS = 3_600;

/** Seconds since 1970 of a day, `2026-11-27`, at midnight in UTC. */
export function dayTime(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) / 1000;
}

/**
 * Sums of rows by day, with 0 on days without rows: the `days` days that end with the last one of `until` and the rows.
 * Each line says what a row adds to it.
 */
export function byDay<T extends { day: string }>(
  rows: readonly T[],
  until: string,
  days: number,
  lines: readonly (Omit<Line, "values"> & { of(row: T): number })[],
): ChartData {
  const last = Math.max(dayTime(until), ...rows.map(({ day }) => dayTime(day)));
  const times = Array.from({ length: days }, (_, at) => last - (days - 1 - at) * DAY_SECONDS);
  return {
    zone: "UTC",
    times,
    lines: lines.map(({ of, ...line }) => {
      const sums = new Map<number, number>();
      for (const row of rows) sums.set(dayTime(row.day), (sums.get(dayTime(row.day)) ?? 0) + of(row));
      return { ...line, values: times.map((time) => sums.get(time) ?? 0) };
    }),
  };
}

/** The last value known of each day, carried over days on which nothing changed; null before the first. */
export function carried(
  rows: readonly { day: string; value: number }[],
  until: string,
  days: number,
  line: Omit<Line, "values">,
): ChartData {
  const sorted = [...rows].sort((a, b) => dayTime(a.day) - dayTime(b.day));
  const last = Math.max(dayTime(until), ...sorted.map(({ day }) => dayTime(day)));
  const times = Array.from({ length: days }, (_, at) => last - (days - 1 - at) * DAY_SECONDS);
  const values = times.map((time) => sorted.findLast(({ day }) => dayTime(day) <= time)?.value ?? null);
  return { zone: "UTC", times, lines: [{ ...line, values }] };
}

/** Today in a time zone, `2026-11-27`. */
export function todayIn(zone: string, now: number): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(now);
}

/**
 * The hours from the first to the last of `rows`, but a week at least, in `zone`; a gap where an hour has no row.
 */
export function byHour<T extends { hour: string }>(
  rows: readonly T[],
  zone: string,
  lines: readonly (Omit<Line, "values"> & { of(row: T): number | null })[],
): ChartData {
  const at = (row: T) => Date.parse(row.hour) / 1000;
  const last = Math.max(...rows.map(at));
  const first = Math.min(...rows.map(at), last - 167 * HOUR_SECONDS);
  const times = rows.length === 0
    ? []
    : Array.from({ length: (last - first) / HOUR_SECONDS + 1 }, (_, n) => first + n * HOUR_SECONDS);
  const known = new Map(rows.map((row) => [at(row), row]));
  return {
    zone,
    times,
    lines: lines.map(({ of, ...line }) => ({
      ...line,
      values: times.map((time) => {
        const row = known.get(time);
        return row === undefined ? null : of(row);
      }),
    })),
  };
}
