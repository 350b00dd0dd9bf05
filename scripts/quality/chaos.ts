/**
 * `deno task chaos`: kills the functions, the worker and the database with SIGKILL,
 * at random and at named points, while orders are placed, paid, refunded and cancelled. Afterwards nothing may be
 * lost, doubled or in disagreement with Stripe. The seed of a failed run repeats its plan.
 */
import { runOnce, type RunReport } from "./chaos/run.ts";
import { startWorld } from "./chaos/world.ts";
import { runTask, wholeNumber } from "../lib/task.ts";

const usage = `deno task chaos [--runs 10] [--seed 1] [--verbose]

  --runs      how many; the first that finds something ends them
  --seed      the plan of the first run; each further run takes the next
  --verbose   print every run`;

const flags = {
  runs: { type: "string", default: "10" },
  seed: { type: "string", default: "1" },
  verbose: { type: "boolean", default: false },
} as const;

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: ({ values }) =>
        main(wholeNumber("--runs", values.runs, 1), wholeNumber("--seed", values.seed, 0), values.verbose),
    }, Deno.args),
  );
}

async function main(runs: number, seed: number, verbose: boolean): Promise<number> {
  surviveLostConnections();
  const dir = await Deno.makeTempDir({ prefix: "kct-chaos-" });
  const world = await startWorld(dir);
  const reports: RunReport[] = [];
  try {
    for (let run = 0; run < runs; run++) {
      const report = await runOnce(world, seed + run);
      reports.push(report);
      if (verbose || report.violations.length > 0 || (run + 1) % 10 === 0) {
        print(report, run + 1, runs);
      }
      // What is broken stays broken: later runs would only find it again.
      if (report.violations.length > 0) break;
    }
  } finally {
    await world.stop();
  }
  const failed = reports.some(({ violations }) => violations.length > 0);
  if (failed) console.log(`\nThe logs of the processes and the database are in ${dir}`);
  else await Deno.remove(dir, { recursive: true });
  return summary(reports);
}

/** The database client fails outside of any promise of ours when the server dies under it; here that happens all the time. */
export function surviveLostConnections(): void {
  const ofClient = (error: unknown) =>
    error instanceof Error && String(error.stack).includes("/postgres/src/");
  globalThis.addEventListener("error", (event) => {
    if (ofClient(event.error)) event.preventDefault();
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    if (ofClient(event.reason)) event.preventDefault();
  });
}

function print(report: RunReport, number: number, runs: number): void {
  const { storm, settling, judging } = report.phasesMs;
  const state = report.violations.length === 0 ? "ok" : "FAILED";
  console.log(
    `run ${number}/${runs}  seed ${report.seed}  ${state}  ${report.orders} orders, ${report.struck.length} kills, ${report.durationMs} ms (storm ${storm}, settling ${settling}, judging ${judging})`,
  );
  if (report.violations.length === 0) return;
  console.log(`  planned: ${report.planned.join("; ")}\n  struck:  ${report.struck.join("; ")}`);
  for (const { rule, detail } of report.violations.slice(0, 10)) {
    console.log(`  ${rule}: ${JSON.stringify(detail).slice(0, 600)}`);
  }
  console.log(`  repeat with: deno task chaos --runs 1 --seed ${report.seed} --verbose`);
}

function summary(reports: RunReport[]): number {
  const failed = reports.filter(({ violations }) => violations.length > 0).length;
  const kills = new Map<string, number>();
  for (const name of reports.flatMap(({ struck }) => struck)) {
    const kind = name.replace(/ at \d+ ms$/, " at random");
    kills.set(kind, (kills.get(kind) ?? 0) + 1);
  }
  const orders = reports.reduce((sum, report) => sum + report.orders, 0);
  console.log(
    `\n${reports.length} runs, ${orders} orders, ${[...kills.values()].reduce((a, b) => a + b, 0)} kills`,
  );
  for (const [kind, count] of [...kills].sort((a, b) => b[1] - a[1])) {
    console.log(`  ${String(count).padStart(4)}  ${kind}`);
  }
  console.log(failed === 0 ? "Nothing lost, nothing doubled." : `${failed} run failed`);
  return failed === 0 ? 0 : 1;
}
