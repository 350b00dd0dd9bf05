/**
 * `deno task bench`: how close the paths that carry the load come to what they cannot do without, as a ratio (1.00 is
 * the limit itself), measured side by side in one run. Exit code 1 when a ratio is below its goal.
 */
import { benchCheckouts } from "./bench/checkouts.ts";
import { benchEventCalls } from "./bench/event_calls.ts";
import { benchEvents } from "./bench/events.ts";
import { benchJobs } from "./bench/jobs.ts";
import { benchMails } from "./bench/mails.ts";
import { benchPayments, type PathBench } from "./bench/payments.ts";
import { benchRefunds } from "./bench/refunds.ts";
import { runTask, wholeNumber } from "../lib/task.ts";

const usage = `deno task bench [--orders 200] [--jobs 5000] [--finished 100000] [--quick] [--json]

  --orders     checkouts, webhook deliveries and refunds that are measured
  --jobs       jobs that the queue drains
  --finished   finished jobs that lie beside those that are claimed
  --quick      a tenth of it all, unless said otherwise: in a minute, and rougher
  --json       the lines as JSON

  ours is what the product does, limit the same without it; the nearer the ratio is to 1.00, the better. Exit code 1
  when a ratio is below its goal; most have none, since figures depend on the machine.`;

/** What rendering a mail may cost, so that a burst is bound by the provider's rate alone. */
const mailBudgetMs = 5;

interface Line {
  path: string;
  ours: string;
  limit: string;
  ratio: number;
  /** The least ratio, where one is promised. */
  goal?: number;
}

function pathLine(path: string, { oursMs, limitMs }: PathBench): Line {
  return {
    path,
    ours: `${oursMs.toFixed(1)} ms`,
    limit: `${limitMs.toFixed(1)} ms`,
    ratio: limitMs / oursMs,
  };
}

function printLines(lines: Line[]): void {
  console.log(`${"path".padEnd(34)}${"ours".padStart(12)}${"limit".padStart(12)}   ratio   goal`);
  for (const { path, ours, limit, ratio, goal } of lines) {
    const verdict = goal === undefined ? "–" : `${goal.toFixed(2)} ${ratio >= goal ? "ok" : "MISSED"}`;
    console.log(
      `${path.padEnd(34)}${ours.padStart(12)}${limit.padStart(12)}   ${
        ratio.toFixed(2).padStart(5)
      }   ${verdict}`,
    );
  }
}

const flags = {
  orders: { type: "string" },
  jobs: { type: "string" },
  finished: { type: "string" },
  quick: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

/** Connections that deliver at the same time. */
const connections = [16, 64];

interface Sizes {
  orders: number;
  jobs: number;
  finished: number;
}

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: ({ values }) => {
        const size = (name: keyof Sizes, full: number) =>
          wholeNumber(`--${name}`, values[name] ?? String(values.quick ? full / 10 : full), 1);
        const sizes = {
          orders: size("orders", 200),
          jobs: size("jobs", 5000),
          finished: size("finished", 100_000),
        };
        return bench(sizes, values.json);
      },
    }, Deno.args),
  );
}

async function bench({ orders, jobs, finished }: Sizes, asJson: boolean): Promise<number> {
  // With --json what is printed is the result alone.
  const say = asJson ? console.error : console.log;
  say(
    `Measuring ${orders} checkouts and ${orders} webhook deliveries against their SQL and Stripe calls …`,
  );
  const payments = await benchPayments(orders);
  say(`Beginning ${10 * orders} checkouts in each way …`);
  const checkouts = await benchCheckouts(10 * orders);
  say(`Delivering the events of ${orders} orders in each way …`);
  const events = await benchEvents(orders, connections);
  say(`Measuring the events of ${orders} orders in SQL alone …`);
  const calls = await benchEventCalls(orders);
  say(`Measuring ${orders} refunds of pieces against as many of an amount …`);
  const refunds = await benchRefunds(orders);
  say(`Rendering ${10 * orders} receipts …`);
  const mailMs = await benchMails(10 * orders);
  say(`Measuring ${jobs} jobs against their SQL, and claiming beside ${finished} finished jobs …\n`);
  const queue = await benchJobs(jobs, finished);

  const lines: Line[] = [
    pathLine("checkout, to the payment page", payments.checkout),
    pathLine("webhook, to the paid order", payments.webhook),
    {
      path: "checkouts, to stock updates",
      ours: `${checkouts.onePerSecond} /s`,
      limit: `${checkouts.updatePerSecond} /s`,
      ratio: checkouts.onePerSecond / checkouts.updatePerSecond,
    },
    {
      path: `one article, to many (${checkouts.lockMs.toFixed(2)} ms held)`,
      ours: `${checkouts.onePerSecond} /s`,
      limit: `${checkouts.spreadPerSecond} /s`,
      ratio: checkouts.onePerSecond / checkouts.spreadPerSecond,
    },
    {
      path: "velocity rules, to none",
      ours: `${checkouts.onePerSecond} /s`,
      limit: `${checkouts.unruledPerSecond} /s`,
      ratio: checkouts.onePerSecond / checkouts.unruledPerSecond,
    },
    ...events.flatMap(({ connections, insertPerSecond, alonePerSecond, togetherPerSecond }) =>
      [["alone", alonePerSecond], ["together", togetherPerSecond]].map(([way, perSecond]) => ({
        path: `events ${way}, ${connections} at once`,
        ours: `${perSecond} /s`,
        limit: `${insertPerSecond} /s`,
        ratio: Number(perSecond) / insertPerSecond,
      }))
    ),
    // Lower than what is measured by as much as a busy machine makes of it: docs/capacity.md has the figures.
    {
      ...pathLine("first event, to insert and update", { oursMs: calls.firstMs, limitMs: calls.bareMs }),
      goal: 0.25,
    },
    pathLine("event that pays, to the same", { oursMs: calls.payingMs, limitMs: calls.bareMs }),
    {
      ...pathLine("event without news, to a duplicate", {
        oursMs: calls.noNewsMs,
        limitMs: calls.duplicateMs,
      }),
      goal: 0.45,
    },
    pathLine("events that pay, p99 to p50", { oursMs: calls.payingP99Ms, limitMs: calls.payingMs }),
    pathLine("events of an order, p99 to p50", { oursMs: calls.p99Ms, limitMs: calls.p50Ms }),
    {
      path: `${calls.crowd} events of one order, to in turn`,
      ours: `${calls.oneOrderPerSecond} /s`,
      limit: `${calls.inTurnPerSecond} /s`,
      ratio: calls.oneOrderPerSecond / calls.inTurnPerSecond,
      // What one lock allows: who waits for it must not slow who has it.
      goal: 0.4,
    },
    {
      path: "the same, to one of each order",
      ours: `${calls.oneOrderPerSecond} /s`,
      limit: `${calls.manyOrdersPerSecond} /s`,
      ratio: calls.oneOrderPerSecond / calls.manyOrdersPerSecond,
    },
    {
      path: "refund with lines, to one without",
      ours: `${refunds.linesMs.toFixed(1)} ms`,
      limit: `${refunds.plainMs.toFixed(1)} ms`,
      ratio: refunds.plainMs / refunds.linesMs,
      goal: 0.5,
    },
    {
      path: "a receipt rendered, of 5 ms",
      ours: `${mailMs.toFixed(1)} ms`,
      limit: `${mailBudgetMs.toFixed(1)} ms`,
      ratio: mailBudgetMs / mailMs,
      goal: 1,
    },
    {
      path: "jobs drained",
      ours: `${queue.workerPerSecond} /s`,
      limit: `${queue.rawPerSecond} /s`,
      ratio: queue.ratio,
      goal: 0.5,
    },
    {
      path: `claim beside ${finished} finished`,
      ours: `${queue.claimFullMs} ms`,
      limit: `${queue.claimEmptyMs} ms`,
      ratio: queue.claimEmptyMs / queue.claimFullMs,
    },
  ];
  if (asJson) console.log(JSON.stringify(lines, null, 2));
  else printLines(lines);
  return lines.some(({ ratio, goal }) => goal !== undefined && ratio < goal) ? 1 : 0;
}
