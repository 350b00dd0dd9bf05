/**
 * `deno task test`: the tests, three groups at a time. The last line says `N passed, N failed`.
 */
import { relative, resolve } from "node:path";
import { ADMIN_URL_VARIABLE, startRunServer } from "../local/test_database.ts";
import { TextLineStream } from "../lib/lines.ts";
import { runTask } from "../lib/task.ts";
import { StackError } from "../lib/errors.ts";
import { ROOT } from "../lib/paths.ts";
import { LONG_FILES } from "./test/long.ts";
import { childProcessorSeconds, profileLines, type TimedTest, timedTests } from "./test/profile.ts";

const usage = `deno task test [PATH]… [--filter NAME] [--fail-fast] [--trace-leaks] [--profile]
       deno task test --all

  PATH            files and folders (tests/db, tests/unit/http.test.ts); without any: all but the long ones
  --all           the long ones too (scripts/quality/test/long.ts), as with CI=true
  --filter        only tests whose name contains this, or matches it where it is a /pattern/
  --fail-fast     stop a group at its first failure
  --trace-leaks   say where what a test left behind came from
  --profile       the slowest files and tests, and the processor time, at the end`;

const flags = {
  all: { type: "boolean", default: false },
  filter: { type: "string" },
  "fail-fast": { type: "boolean", default: false },
  "trace-leaks": { type: "boolean", default: false },
  profile: { type: "boolean", default: false },
} as const;

interface Group {
  /** Folder under tests/. */
  name: string;
  /** Files run side by side. */
  parallel: boolean;
  /** Tests run in a random order, so that none leans on another. */
  shuffled: boolean;
  database: boolean;
}

/**
 * Three groups at a time: most of them wait (for a browser, a CLI, a deadline) more than they compute. The longest come
 * first, so that the lanes end together.
 */
const LANES = 3;

const GROUPS: Group[] = [
  { name: "db", parallel: true, shuffled: true, database: true },
  { name: "e2e", parallel: false, shuffled: false, database: true },
  { name: "local", parallel: true, shuffled: false, database: true },
  { name: "integration", parallel: true, shuffled: false, database: true },
  { name: "postgrest", parallel: true, shuffled: false, database: true },
  { name: "stripe_cli", parallel: false, shuffled: false, database: true },
  { name: "quality", parallel: true, shuffled: false, database: true },
  { name: "live", parallel: true, shuffled: false, database: true },
  { name: "stand-in", parallel: true, shuffled: false, database: false },
  { name: "unit", parallel: true, shuffled: true, database: false },
];

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      positionals: true,
      offline: true,
      run: ({ values, positionals }) =>
        main(positionals.map((path) => relative(ROOT, resolve(path))), values.all || isCi(), [
          ...(values.filter === undefined ? [] : [`--filter=${values.filter}`]),
          ...(values["fail-fast"] ? ["--fail-fast"] : []),
          ...(values["trace-leaks"] ? ["--trace-leaks"] : []),
        ], values.profile ? [] : null),
    }, Deno.args),
  );
}

function isCi(): boolean {
  return Deno.env.get("CI") === "true";
}

async function main(
  paths: string[],
  all: boolean,
  options: string[],
  profile: TimedTest[] | null,
): Promise<number> {
  const everyday = paths.length === 0 && !all;
  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  const started = performance.now();
  const given = Deno.env.get(ADMIN_URL_VARIABLE);
  let server: Awaited<ReturnType<typeof startRunServer>> | null = null;
  try {
    const runs: { group: Group; files: string[] }[] = [];
    for (const group of await groupsToRun()) {
      const files = await filesOf(group, paths, everyday);
      if (files.length > 0) runs.push({ group, files });
    }
    if (given === undefined && runs.some(({ group }) => group.database)) server = await startRunServer();
    const adminUrl = given ?? server?.adminUrl ?? null;
    const queue = runs.values();
    await Promise.all(Array.from({ length: LANES }, async () => {
      for (const { group, files } of queue) {
        const tally = await runGroup(group, options, files, adminUrl, runs.length === 1, profile);
        total.passed += tally.passed;
        total.failed += tally.failed;
        total.skipped += tally.skipped;
      }
    }));
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    console.error(`\nThe tests' database could not be made ready:\n${error.message}`);
    total.failed++;
  } finally {
    await server?.stop();
  }

  if (total.passed + total.failed + total.skipped === 0) {
    console.error(`\nNo tests found${paths.length === 0 ? "" : ` at ${paths.join(", ")}`}`);
    total.failed++;
  }
  if (profile !== null) printProfile(profile);
  console.log(`\nTests took ${((performance.now() - started) / 1000).toFixed(1)} s`);
  if (everyday) {
    console.log(`Without ${LONG_FILES.length} long files: 'deno task test --all' has them, and CI runs them`);
  }
  const skipped = total.skipped === 0 ? "" : `, ${total.skipped} skipped`;
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return total.failed === 0 ? 0 : 1;
}

function printProfile(tests: TimedTest[]): void {
  console.log(["", ...profileLines(tests)].join("\n"));
  const spent = childProcessorSeconds();
  if (spent === null) return;
  console.log(
    `\nProcessor time: ${spent.user.toFixed(0)} s in programs, ${spent.system.toFixed(0)} s in the system`,
  );
}

/** The known groups, and any other folder with tests, so that none is forgotten. */
async function groupsToRun(): Promise<Group[]> {
  const known = new Set(GROUPS.map((group) => group.name));
  const others: Group[] = [];
  for await (const entry of Deno.readDir(`${ROOT}/tests`)) {
    if (!entry.isDirectory || known.has(entry.name) || ["support", "fixtures"].includes(entry.name)) continue;
    others.push({ name: entry.name, parallel: false, shuffled: false, database: true });
  }
  return [...GROUPS, ...others.sort((a, b) => a.name < b.name ? -1 : 1)];
}

async function filesOf(group: Group, paths: string[], everyday: boolean): Promise<string[]> {
  const folder = `tests/${group.name}`;
  const all = await testFiles(folder);
  if (everyday) return all.filter((file) => !LONG_FILES.includes(file));
  if (paths.length === 0) return all;
  return all.filter((file) =>
    paths.some((path) => file === path || file.startsWith(`${path}/`) || path === "tests")
  );
}

async function testFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const entry of Deno.readDir(`${ROOT}/${folder}`)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) files.push(...await testFiles(path));
      else if (entry.name.endsWith(".test.ts")) files.push(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}

/** Runs the files of a group. Beside others its output is held back until it ends, so that it stays in one piece. */
async function runGroup(
  group: Group,
  options: string[],
  files: string[],
  adminUrl: string | null,
  alone: boolean,
  profile: TimedTest[] | null,
): Promise<Tally> {
  const groupStarted = performance.now();
  const title = `── ${group.name} ${"─".repeat(Math.max(0, 60 - group.name.length))}`;
  const held: string[] = [title];
  const print = alone ? console.log : (line: string) => held.push(line);
  if (alone) console.log(title);
  else console.log(`${group.name}: running ${files.length} file${files.length === 1 ? "" : "s"} …`);
  const args = ["test", "-A", "--no-check", "--quiet"];
  if (group.parallel) args.push("--parallel");
  if (group.shuffled) args.push("--shuffle");
  const report = profile === null ? null : await Deno.makeTempFile({ suffix: ".xml" });
  if (report !== null) args.push(`--junit-path=${report}`);
  const color = Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" };
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, ...options, ...files],
    cwd: ROOT,
    env: { ...color, ...(adminUrl === null ? {} : { [ADMIN_URL_VARIABLE]: adminUrl }) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let tally: Tally | null = null;
  const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      tally = readSummary(line) ?? tally;
      print(line);
    }
  };
  await Promise.all([follow(child.stdout), follow(child.stderr)]);
  const { success } = await child.status;
  if (report !== null) {
    profile?.push(...timedTests(await Deno.readTextFile(report)));
    await Deno.remove(report);
  }
  if (!alone) {
    const seconds = ((performance.now() - groupStarted) / 1000).toFixed(0);
    console.log(`\n${held.join("\n")}\n${group.name} took ${seconds} s\n`);
  }
  const found: Tally = tally ?? { passed: 0, failed: 0, skipped: 0 };
  // A run that fails without a failed test (a crash, an import that does not resolve) is a failure all the same.
  if (!success && found.failed === 0) found.failed = 1;
  return found;
}

/** Reads `ok | 12 passed (3 steps) | 0 failed | 1 ignored (4s)`. */
function readSummary(line: string): Tally | null {
  // deno-lint-ignore no-control-regex -- colours are escape sequences
  const plain = line.replace(/\x1b\[[0-9;]*m/g, "");
  const match =
    /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/.exec(
      plain,
    );
  if (match === null) return null;
  return { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3] ?? 0) };
}
