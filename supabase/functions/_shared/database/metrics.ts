/** What a function has seen, for a monitor. */
import type { Call } from "./client.ts";

/** Of a counter how often, of a histogram each value in its unit; labels in the order of private.metrics. */
export type MetricSample =
  & { metric: string; labels: readonly string[] }
  & ({ count: number } | { values: readonly number[] });

export type MetricCalls = ReturnType<typeof metricCalls>;

export const metricCalls = (call: Call) => ({
  /** Returns how many samples were refused. */
  recordMetrics: (samples: MetricSample[]): Promise<number> => call("record_metrics", { p_samples: samples }),
});
