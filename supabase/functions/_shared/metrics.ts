/**
 * Counts what only a function sees: how its requests ended and how long they took, what limiter and allowlist decided.
 * In memory, told to the database seconds later in one call, so that no request waits for it. What a worker has not
 * told yet when the platform kills it is lost; everything that must be exact is counted in the database.
 */
import type { MetricCalls, MetricSample } from "./database/metrics.ts";
import { runLater } from "./background.ts";
import type { Logger } from "./log.ts";

/** The metrics of private.metrics that functions count, with what their labels may say. */
interface Counters {
  checkouts: [result: string];
  rate_limit_decisions: [limiter: string, decision: "allowed" | "refused" | "failed"];
  webhook_senders: [membership: "listed" | "unlisted" | "unknown"];
}
interface Histograms {
  request_duration_seconds: [name: string, outcome: RequestOutcome];
}

/** `refused`: 4xx, `limited`: 429, `failed`: 5xx. */
export type RequestOutcome = "ok" | "refused" | "limited" | "failed";

export interface Metrics {
  count<M extends keyof Counters>(metric: M, labels: Counters[M]): void;
  observe<M extends keyof Histograms>(metric: M, labels: Histograms[M], seconds: number): void;
}

export interface MetricsDeps {
  rpc: MetricCalls;
  log: Logger;
  /** Runs a report later without holding up an answer; tests run it by hand. */
  later?: (report: () => Promise<void>, ms: number) => void;
}

/** What was seen under one set of labels and not told yet. */
interface Kept {
  metric: string;
  labels: readonly string[];
  count: number;
  values: number[];
}

const reportEveryMs = 5_000;
/** What is kept while the database does not answer; past it the newest values are dropped. */
const valuesMax = 5_000;

/** The counts of one worker. */
export function createMetrics({ rpc, log, later = runLater }: MetricsDeps): Metrics {
  let kept = new Map<string, Kept>();
  let size = 0;
  let planned = false;

  function entryOf(metric: string, labels: readonly string[]): Kept {
    const key = JSON.stringify([metric, ...labels]);
    const entry = kept.get(key) ?? { metric, labels, count: 0, values: [] };
    kept.set(key, entry);
    plan();
    return entry;
  }

  function plan(): void {
    if (planned) return;
    planned = true;
    later(report, reportEveryMs);
  }

  async function report(): Promise<void> {
    planned = false;
    const told = kept;
    kept = new Map();
    size = 0;
    try {
      const refused = await rpc.recordMetrics([...told.values()].flatMap(sampleOf));
      if (refused > 0) log.warn("metrics_refused", { refused });
    } catch (error) {
      log.warn("metrics_not_recorded", { error });
      for (const entry of told.values()) keepAgain(entry);
    }
  }

  function keepAgain({ metric, labels, count, values }: Kept): void {
    const entry = entryOf(metric, labels);
    entry.count += count;
    for (const value of values) add(entry, value);
  }

  /** Of more than {@linkcode valuesMax} the distribution is known well enough. */
  function add(entry: Kept, value: number): void {
    if (size >= valuesMax) return;
    size += 1;
    entry.values.push(value);
  }

  return {
    count(metric, labels) {
      entryOf(metric, labels).count += 1;
    },
    observe(metric, labels, seconds) {
      // A tenth of a millisecond is more than a clock here tells.
      add(entryOf(metric, labels), Math.round(seconds * 10_000) / 10_000);
    },
  };
}

function sampleOf({ metric, labels, count, values }: Kept): MetricSample[] {
  if (count > 0) return [{ metric, labels, count }];
  return values.length > 0 ? [{ metric, labels, values }] : [];
}

/** Answers as `handle` does, and counts each request but preflights. */
export function measured(
  name: string,
  metrics: Pick<Metrics, "observe">,
  handle: (request: Request) => Promise<Response>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const startedAt = performance.now();
    const answer = await handle(request);
    if (request.method !== "OPTIONS") {
      const seconds = (performance.now() - startedAt) / 1000;
      metrics.observe("request_duration_seconds", [name, outcomeOf(answer.status)], seconds);
    }
    return answer;
  };
}

function outcomeOf(status: number): RequestOutcome {
  if (status >= 500) return "failed";
  if (status === 429) return "limited";
  return status >= 400 ? "refused" : "ok";
}
