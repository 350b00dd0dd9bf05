/** Figures as a monitor reads them: https://prometheus.io/docs/specs/om/open_metrics_spec/ */
import type { HealthFigures, MetricFamily } from "../_shared/database/health.ts";

type Checks = HealthFigures["checks"];
type Family = Pick<MetricFamily, "name" | "type" | "unit" | "help">;

export const contentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** What can be said without the database; all others are in private.metrics. */
export const ownFamilies: readonly Family[] = [
  { name: "up", type: "gauge", unit: null, help: "1 while orders can be taken." },
  {
    name: "check_ok",
    type: "gauge",
    unit: null,
    help: "1 when the check is ok, 0 when it is degraded or down.",
  },
];

/** The whole text. `checks` may lack their figures, `families` is empty for those who may not see them. */
export function openMetrics(up: boolean, checks: Checks, families: readonly MetricFamily[]): string {
  const health = healthFigures(checks);
  const own: Record<string, string[]> = {
    up: [`shop_up ${Number(up)}`],
    check_ok: Object.entries(checks).map(([check, { status }]) =>
      sample("check_ok", { check }, Number(status === "ok"))
    ),
  };
  const lines = [
    ...ownFamilies.flatMap((family) => [...head(family), ...own[family.name] ?? []]),
    ...families.flatMap((family) => {
      const samples = family.counted_by === "health" ? figureOf(family, health) : samplesOf(family);
      return samples.length === 0 ? [] : [...head(family), ...samples];
    }),
  ];
  return [...lines, "# EOF", ""].join("\n");
}

function head({ name, type, unit, help }: Family): string[] {
  return [
    `# TYPE shop_${name} ${type}`,
    ...(unit === null ? [] : [`# UNIT shop_${name} ${unit}`]),
    `# HELP shop_${name} ${escaped(help)}`,
  ];
}

/** Figures of health by the names that a monitor knows: `jobs.due` is `jobs_due`, times and durations in seconds. */
export function healthFigures(checks: Checks): Map<string, number> {
  const found = new Map<string, number>();
  for (const [check, figures] of Object.entries(checks)) {
    for (const [figure, value] of Object.entries(figures)) {
      if (figure.endsWith("_at") && typeof value === "string") {
        found.set(`${check}_${figure.replace(/_at$/, "_timestamp_seconds")}`, Date.parse(value) / 1000);
      } else if (figure.endsWith("_ms") && typeof value === "number") {
        found.set(`${check}_${figure.replace(/_ms$/, "_seconds")}`, value / 1000);
      } else if (typeof value === "number") {
        found.set(`${check}_${figure}`, value);
      }
    }
  }
  return found;
}

function figureOf({ name }: MetricFamily, figures: ReadonlyMap<string, number>): string[] {
  const value = figures.get(name);
  return value === undefined || !Number.isFinite(value) ? [] : [sample(name, {}, value)];
}

function samplesOf(family: MetricFamily): string[] {
  const { name, type, labels, samples } = family;
  if (type === "histogram") return histogram(family);
  return samples.map(([values, , count, total]) =>
    type === "counter"
      ? sample(`${name}_total`, labelled(labels, values), count)
      : sample(name, labelled(labels, values), total)
  );
}

function histogram({ name, labels, bounds, samples }: MetricFamily): string[] {
  const series = new Map<string, { values: readonly string[]; counts: number[]; total: number }>();
  for (const [values, bucket, count, total] of samples) {
    const key = JSON.stringify(values);
    const known = series.get(key) ?? { values, counts: Array((bounds ?? []).length + 1).fill(0), total: 0 };
    known.counts[bucket] = count;
    known.total += total;
    series.set(key, known);
  }
  return [...series.values()].flatMap(({ values, counts, total }) => {
    const own = labelled(labels, values);
    let sum = 0;
    const buckets = [...(bounds ?? []).map(bound), "+Inf"].map((le, at) => {
      sum += counts[at] ?? 0;
      return sample(`${name}_bucket`, { ...own, le }, sum);
    });
    return [...buckets, sample(`${name}_count`, own, sum), sample(`${name}_sum`, own, total)];
  });
}

/** Bounds are floats, in their one form. */
function bound(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, at) => [name, values[at] ?? ""]));
}

function sample(name: string, labels: Record<string, string>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `shop_${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
