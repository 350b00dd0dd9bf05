/** Rows of reports as lines of a chart. */
import type { ChartData, Line } from "./chart.ts";

const DAY_SECONDS = 86_400;

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
  return { times, lines: [{ ...line, values }] };
}

/** Today in a time zone, `2026-11-27`. */
export function todayIn(zone: string, now: number): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(now);
}
