/** Figures about the system itself. */
import type { Call } from "./client.ts";

/** A database that has not answered by then is down: monitors give up after five to ten seconds. */
const timeoutMs = 3_000;

export type HealthCalls = ReturnType<typeof healthCalls>;

/** Each check has a `status`, and figures of its own. */
export type HealthFigures = {
  checks: { [name: string]: { [figure: string]: string | number | boolean | null } };
};

/** One metric as private.metrics has it, with all its series. */
export type MetricFamily = {
  /** Without the prefix `shop_`. */
  name: string;
  type: "counter" | "histogram" | "gauge";
  unit: string | null;
  help: string;
  labels: string[];
  /** Upper bounds of a histogram's buckets. */
  bounds: number[] | null;
  counted_by: "functions" | "database" | "health";
  /** Label values, bucket, count of that bucket or of the counter, sum or value of the gauge. */
  samples: [labels: string[], bucket: number, count: number, total: number][];
};

export const healthCalls = (call: Call) => ({
  getMetrics: () => call.within(() => timeoutMs)("get_metrics", {}) as Promise<MetricFamily[]>,
  getHealth: () => call.within(() => timeoutMs)("get_health", {}) as Promise<HealthFigures>,
});
