/** Where the time of a test run goes, from the JUnit reports that `deno test` writes. */

/** One test of a report, without the steps within it: its own time has theirs. */
export interface TimedTest {
  file: string;
  name: string;
  seconds: number;
}

const FILES_SHOWN = 25;
const TESTS_SHOWN = 15;

/** Reads a JUnit report of `deno test`. */
export function timedTests(report: string): TimedTest[] {
  const tests: TimedTest[] = [];
  for (const [, suite = ""] of report.matchAll(/<testsuite (.*?)<\/testsuite>/gs)) {
    const file = unescaped(/name="([^"]*)"/.exec(suite)?.[1] ?? "").replace(/^\.\//, "");
    let last = "";
    for (const [, name = "", time] of suite.matchAll(/<testcase name="([^"]*)"[^>]*? time="([\d.]+)"/g)) {
      const test = unescaped(name);
      // A step follows its test, as `test > step`.
      if (last !== "" && test.startsWith(`${last} > `)) continue;
      last = test;
      tests.push({ file, name: test, seconds: Number(time) });
    }
  }
  return tests;
}

/** The slowest files and tests as lines to print. Files run side by side: their seconds add up to more than the run. */
export function profileLines(tests: TimedTest[]): string[] {
  const files = new Map<string, number>();
  for (const { file, seconds } of tests) files.set(file, (files.get(file) ?? 0) + seconds);
  const slowestFiles = [...files].sort(([, a], [, b]) => b - a).slice(0, FILES_SHOWN);
  const slowestTests = [...tests].sort((a, b) => b.seconds - a.seconds).slice(0, TESTS_SHOWN);
  return [
    "Slowest files (seconds, tests added up)",
    ...slowestFiles.map(([file, seconds]) => `${column(seconds)}  ${file}`),
    "",
    "Slowest tests (seconds)",
    ...slowestTests.map(({ file, name, seconds }) => `${column(seconds)}  ${file}  ${name}`),
  ];
}

/**
 * Processor seconds of all processes that this one has started and waited for, and theirs: what a run costs on a
 * machine that others use too. Null where the system does not say (Linux does).
 */
export function childProcessorSeconds(): { user: number; system: number } | null {
  try {
    // The name in brackets may hold spaces; the fields are counted from behind it (proc(5), /proc/pid/stat).
    const fields = Deno.readTextFileSync("/proc/self/stat").split(") ").at(-1)?.split(" ") ?? [];
    return { user: Number(fields[13]) / TICKS, system: Number(fields[14]) / TICKS };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Linux counts processor time in hundredths of a second, whatever the kernel's own tick (sysconf(_SC_CLK_TCK)). */
const TICKS = 100;

function column(seconds: number): string {
  return seconds.toFixed(1).padStart(8);
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replace(
    /&(amp|lt|gt|quot|apos|#\d+);/g,
    (_, name: string) => ENTITIES[name] ?? String.fromCodePoint(Number(name.slice(1))),
  );
}
