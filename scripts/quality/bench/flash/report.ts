/** What a run says. */
import type { Sale } from "./plan.ts";
import { type Answer, endings, type Visit } from "./shopping.ts";
import type { Stock } from "./verdict.ts";
import type { Sample } from "./watch.ts";

export interface Report {
  sale: Sale;
  visits: Visit[];
  /** When all had gone and nothing waited, and before the pages of those who left had ended. */
  stock: Stock[];
  samples: Sample[];
  /** Milliseconds of each delivery of Stripe's. */
  deliveries: number[];
  /** From the opening until the last shopper had gone, and until nothing waited. */
  wentMs: number;
  drainedMs: number;
  /** Seconds of processors by part, from the opening until nothing waited. */
  spent: Map<string, number>;
  wrong: string[];
}

const shares = [0.5, 0.95, 0.99];
const linesOfBacklog = 12;

/** One line, while the sale goes on. */
export function printProgress(visits: Visit[], { atMs, deliveries, jobs }: Sample): void {
  const answers = visits.flatMap((visit) => visit.answers);
  const checkouts = answers.filter(({ what }) => what === "checkout");
  const times = (of: (code: string) => boolean) => checkouts.filter(({ code }) => of(code)).length;
  const ended = (ending: Visit["ending"]) => visits.filter((visit) => visit.ending === ending).length;
  const parts = [
    `${visits.length - ended(null)} of ${visits.length} gone`,
    `${times((code) => code === "ok")} pages`,
    `${visits.filter(({ paid }) => paid).length} paid`,
    `${ended("sold out")} sold out`,
    `${times((code) => code !== "ok" && code !== "insufficient_stock")} told to come back or not answered`,
    `${ended("gave up")} gave up`,
    `${deliveries} deliveries and ${jobs} jobs wait`,
  ];
  console.log(`${seconds(atMs)}: ${parts.join(", ")}`);
}

export function printReport(report: Report): void {
  const { sale, visits, stock, samples, deliveries, wentMs, drainedMs, spent, wrong } = report;
  const answers = visits.flatMap((visit) => visit.answers);
  const checkouts = answers.filter(({ what }) => what === "checkout");
  console.log(
    `${sale.shoppers} shoppers in ${sale.seconds} s, seed ${sale.seed}; the last was gone after ${
      seconds(wentMs)
    }`,
  );
  for (const ending of endings) {
    row(
      `  ${ending}`,
      `${visits.filter((visit) => visit.ending === ending).length}`,
    );
  }

  heading("what was sold", ["stock", "paid", "held", "cut off", "free"]);
  for (const { sku, stock: pieces, paid, held, cut, free } of stock) {
    row(sku, `${pieces}`, `${paid}`, `${held}`, `${cut}`, `${free}`);
  }

  heading("waited", ["times", "p50", "p95", "p99", "most"]);
  const took = (some: Answer[]) => some.map(({ tookMs }) => tookMs);
  waited("checkout, to a page", took(checkouts.filter(({ code }) => code === "ok")));
  waited("checkout, sold out", took(checkouts.filter(({ code }) => code === "insufficient_stock")));
  waited("checkout, all answers", took(checkouts));
  waited("webhook, to its effect", deliveries);
  waited("order-status", took(answers.filter(({ what }) => what === "order-status")));
  waited("paid, until the shop says so", visits.flatMap(({ seenMs }) => seenMs ?? []));

  heading("answers", ["times", "retry after, s"]);
  const byAnswer = Map.groupBy(answers, ({ what, status, code }) => `${what} ${status || "–"} ${code}`);
  for (const [answer, some] of [...byAnswer].sort(([, a], [, b]) => b.length - a.length)) {
    const waits = some.flatMap(({ retryAfter }) => retryAfter ?? []);
    row(answer, `${some.length}`, waits.length === 0 ? "–" : `${Math.min(...waits)}–${Math.max(...waits)}`);
  }

  heading("what waited", ["deliveries", "jobs", "working", "for locks"]);
  const step = Math.ceil(samples.length / linesOfBacklog);
  for (let at = 0; at < samples.length; at += step) {
    const most = (name: Exclude<keyof Sample, "waits">) =>
      `${Math.max(...samples.slice(at, at + step).map((sample) => sample[name]))}`;
    row(
      `  from ${seconds(samples[at]?.atMs ?? 0)}`,
      ...(["deliveries", "jobs", "working", "locked"] as const).map(most),
    );
  }
  const waits = new Map<string, number>();
  for (const sample of samples) {
    for (const [name, times] of Object.entries(sample.waits)) waits.set(name, (waits.get(name) ?? 0) + times);
  }
  const seen = [...waits.values()].reduce((sum, times) => sum + times, 0);
  const shown = [...waits].sort(([, a], [, b]) => b - a).slice(0, 5);
  console.log(
    `seen of working connections: ${
      shown.map(([name, times]) => `${Math.round(100 * times / seen)} % ${name || "on the processor"}`).join(
        ", ",
      )
    }`,
  );
  console.log(
    `the backlog was gone ${seconds(drainedMs)} after the opening, ${
      seconds(drainedMs - wentMs)
    } after the last`,
  );

  heading("processor", ["seconds", "cores", "ms/shopper"]);
  const total = [...spent.values()].reduce((sum, some) => sum + some, 0);
  for (const [part, some] of [...spent].sort(([, a], [, b]) => b - a).concat([["all", total]])) {
    row(
      part,
      some.toFixed(1),
      (1_000 * some / drainedMs).toFixed(2),
      (1_000 * some / sale.shoppers).toFixed(2),
    );
  }
  console.log(
    `\n${navigator.hardwareConcurrency} cores for all of these, the shoppers and Stripe included`,
  );
  console.log(wrong.length === 0 ? "sold exactly" : wrong.map((one) => `WRONG: ${one}`).join("\n"));
}

function heading(name: string, columns: string[]): void {
  console.log();
  row(name, ...columns);
}

function row(name: string, ...cells: string[]): void {
  console.log(`${name.padEnd(44)}${cells.map((cell) => cell.padStart(12)).join("")}`);
}

function waited(name: string, ms: number[]): void {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  row(name, `${ms.length}`, ...[...shares, 1].map((share) => `${Math.round(at(share))} ms`));
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
