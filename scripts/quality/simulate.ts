/**
 * `deno task simulate`: whole shop-days on virtual time, in one process: shoppers, staff, Stripe, mails, a bad wire and
 * killed functions over the real SQL and the real functions. One seed is one world. What fails is shrunk to the few
 * steps that it takes, and kept as a test.
 */
import { runTask, UsageError, wholeNumber } from "../lib/task.ts";
import { startRunServer } from "../local/test_database.ts";
import { placesOf } from "./mutate/mutant.ts";
import { MUTANTS } from "./mutate/mutants.ts";
import { prepareTemplate } from "./simulate/database.ts";
import { keep, mistakeIn, parseKept, type SqlMutant } from "./simulate/kept.ts";
import { shrink } from "./simulate/shrink.ts";
import { planDay, shopDay } from "./simulate/steps.ts";
import { startThread, type WorldThread } from "./simulate/threads.ts";
import type { World, WorldOptions, WorldReport } from "./simulate/world.ts";

const usage =
  `deno task simulate [--seed 1] [--days 1] [--minutes N] [--orders 200] [--hours 3] [--threads 2] [--trace] [--replay FILE] [--mutant NAME]

  --seed     the first world; each further day takes the next
  --days     how many shop-days
  --minutes  as many days as begin within so many minutes, instead
  --orders   of each day
  --hours    from the first of them to the last
  --threads  how many days side by side
  --trace    print what happens, line by line
  --replay   a world of tests/integration/simulation/kept instead
  --mutant   with this mistake of 'deno task mutate --list' in the SQL, which the days should find`;

const flags = {
  seed: { type: "string", default: "1" },
  days: { type: "string", default: "1" },
  minutes: { type: "string" },
  orders: { type: "string", default: String(shopDay.orders) },
  hours: { type: "string", default: String(shopDay.hours) },
  threads: { type: "string", default: "2" },
  trace: { type: "boolean", default: false },
  replay: { type: "string" },
  mutant: { type: "string" },
} as const;

interface Wanted {
  seed: number;
  days: number;
  minutes: number | null;
  orders: number;
  hours: number;
  threads: number;
  trace: boolean;
  replay: World | null;
  mutant: SqlMutant | null;
}

/** They end before the server that they work on. */
const threads = new Set<WorldThread>();

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: async ({ values }) => {
        const { seed, days, minutes, orders, hours, threads, trace, replay, mutant } = values;
        return await simulate({
          seed: wholeNumber("--seed", seed, 0),
          days: wholeNumber("--days", days, 1),
          minutes: minutes === undefined ? null : wholeNumber("--minutes", minutes, 1),
          orders: wholeNumber("--orders", orders, 1),
          hours: hoursOf(hours),
          threads: wholeNumber("--threads", threads, 1),
          trace,
          replay: replay === undefined ? null : await readWorld(replay),
          mutant: mutant === undefined ? null : mutantOf(mutant),
        });
      },
    }, Deno.args),
  );
}

function hoursOf(text: string): number {
  const hours = Number(text);
  if (hours > 0 && hours <= 24) return hours;
  throw new UsageError(`--hours ${text} is not a number of hours, at most 24`);
}

async function readWorld(path: string): Promise<World> {
  try {
    return parseKept(await Deno.readTextFile(path));
  } catch (error) {
    throw new UsageError(`--replay ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

function mutantOf(name: string): SqlMutant {
  const found = MUTANTS.find((mutant) => mutant.name === name);
  const inSql = found !== undefined && placesOf(found).every(({ file }) => file.endsWith(".sql"));
  if (!inSql) throw new UsageError(`--mutant ${name} is none of those in SQL`);
  const { name: _name, tests: _tests, ...mistake } = found;
  return mistake;
}

function newThread(): WorldThread {
  const thread = startThread();
  threads.add(thread);
  return thread;
}

async function simulate(wanted: Wanted): Promise<number> {
  const server = await startRunServer(() => {
    for (const thread of threads) thread[Symbol.dispose]();
  });
  try {
    await prepareTemplate(server.adminUrl);
    const { adminUrl } = server;
    const broken = wanted.mutant === null ? {} : { sabotage: await mistakeIn(wanted.mutant) };
    return await liveDays(wanted, { adminUrl, ...broken });
  } finally {
    await server.stop();
  }
}

async function liveDays(wanted: Wanted, options: WorldOptions): Promise<number> {
  const began = performance.now();
  const worlds = worldsOf(wanted, began);
  const reports: WorldReport[] = [];
  let failed: { world: World; report: WorldReport } | null = null;
  await Promise.all(Array.from({ length: wanted.replay === null ? wanted.threads : 1 }, async () => {
    using thread = newThread();
    for (const world of worlds) {
      const { report, lines } = await thread.live(world, options, wanted.trace);
      reports.push(report);
      for (const line of lines) console.log(line);
      print(world, report);
      if (report.violations.length > 0) failed ??= { world, report };
      // What is broken stays broken: later days would only find it again.
      if (failed !== null) return;
    }
  }));
  summary(reports, performance.now() - began);
  if (failed === null) return 0;
  await explain(failed, wanted, options);
  return 1;
}

function* worldsOf({ seed, days, minutes, orders, hours, replay }: Wanted, began: number): Generator<World> {
  if (replay !== null) return void (yield replay);
  for (let day = 0;; day++) {
    const over = minutes === null ? day >= days : performance.now() - began > minutes * 60_000;
    if (over) return;
    yield { seed: seed + day, steps: planDay(seed + day, { orders, hours }) };
  }
}

function print(
  { seed, steps }: World,
  { violations, orders, events, deaths, hash, hours }: WorldReport,
): void {
  console.log(
    `seed ${seed}  ${violations.length === 0 ? "ok" : "FAILED"}  ${steps.length} steps, ${orders} orders, ` +
      `${events} events, ${deaths} deaths, at rest after ${hours.toFixed(1)} hours, trace ${
        hash.slice(0, 16)
      }`,
  );
}

function summary(reports: WorldReport[], ms: number): void {
  const sum = (pick: (report: WorldReport) => number) => reports.reduce((total, one) => total + pick(one), 0);
  console.log(
    `\n${reports.length} ${reports.length === 1 ? "day" : "days"}, ${sum(({ orders }) => orders)} orders, ${
      sum(({ deaths }) => deaths)
    } deaths in ` +
      `${(ms / 1000).toFixed(0)} seconds`,
  );
}

/** Finds the few steps that fail in the same way, and writes them down. */
async function explain(
  { world, report }: { world: World; report: WorldReport },
  { mutant, replay }: Wanted,
  options: WorldOptions,
): Promise<void> {
  for (const { rule, detail } of report.violations.slice(0, 10)) {
    console.log(`  ${rule}: ${JSON.stringify(detail).slice(0, 600)}`);
  }
  if (replay !== null) return;
  const rule = report.violations[0]?.rule ?? "";
  console.log(`\nLooking for the fewest steps that break the rule "${rule}"`);
  using thread = newThread();
  const steps = await shrink(
    world.steps,
    (fewer) => breaks(thread, { ...world, steps: fewer }, rule, options),
  );
  const path = await keep({
    seed: world.seed,
    rule,
    why: "Not understood yet.",
    ...(mutant === null ? {} : { mutant }),
    steps,
  });
  for (const step of steps) console.log(`  ${JSON.stringify(step)}`);
  console.log(
    `${steps.length} steps, kept in ${path}\nrepeat with: deno task simulate --replay ${path} --trace`,
  );
}

async function breaks(
  thread: WorldThread,
  world: World,
  rule: string,
  options: WorldOptions,
): Promise<boolean> {
  const { report } = await thread.live(world, options);
  const broken = report.violations.some((violation) => violation.rule === rule);
  console.log(`  ${world.steps.length} steps: ${broken ? "still" : "no longer"}`);
  return broken;
}
