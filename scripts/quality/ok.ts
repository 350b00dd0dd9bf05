/**
 * `deno task ok`: everything that must hold before a change is merged. A developer's machine may lack optional tools;
 * with CI=true nothing is skipped.
 */
import { ADMIN_URL_VARIABLE, startRunServer } from "../local/test_database.ts";
import { advisories } from "./ok/advisories.ts";
import { boundaries } from "./ok/boundaries.ts";
import { envExample } from "./ok/env_example.ts";
import { fileLength } from "./ok/file_length.ts";
import { licences } from "./ok/licences.ts";
import { mailLayout } from "./ok/mails.ts";
import { migrationFiles, schemasEqualMigrations } from "./ok/schemas.ts";
import { schemaSnapshot } from "./ok/schema_snapshot.ts";
import { secretScan, secretsInFiles } from "./ok/secret_scan.ts";
import { spelling } from "./ok/spelling.ts";
import { sqlLayout } from "./ok/sql_layout.ts";
import { judged, type Step, type StepContext, type StepResult } from "./ok/step.ts";
import { advisors, cliPush, typesDrift } from "./ok/supabase_cli.ts";
import { runTask } from "../lib/task.ts";
import { StackError } from "../lib/errors.ts";
import { runCommand } from "../lib/command.ts";
import { ROOT } from "../lib/paths.ts";

const usage = `deno task ok [--write] [--skip-tests | --fast]

  --write        rewrite the generated files instead of comparing them
  --skip-tests   leave the tests out
  --fast         only what needs no database and takes seconds: for a pre-commit hook`;

const flags = {
  write: { type: "boolean", default: false },
  "skip-tests": { type: "boolean", default: false },
  fast: { type: "boolean", default: false },
} as const;

const ci = Deno.env.get("CI") === "true";

/** Each takes a second or two once its cache is warm, and none looks at a database. */
const CODE: Step[] = [
  denoStep("format", ["fmt", "--check", "--quiet"]),
  denoStep("lint", ["lint", "--quiet"]),
  denoStep("type check", ["check", "--quiet", "supabase/functions", "scripts", "tests"]),
  boundaries,
  envExample,
  sqlLayout,
  fileLength,
  mailLayout,
];

const STEPS: Step[] = [
  ...CODE,
  licences,
  advisories,
  spelling,
  secretScan,
  schemasEqualMigrations,
  schemaSnapshot,
  typesDrift,
  cliPush,
  advisors,
];

if (import.meta.main) {
  Deno.exit(
    await runTask({
      usage,
      flags,
      offline: true,
      run: ({ values }) =>
        values.fast ? fast(ROOT, values.write, console.log) : main(values.write, !values["skip-tests"]),
    }, Deno.args),
  );
}

/** What can be known of a project without a database, all at once. Returns the exit code. */
export async function fast(root: string, write: boolean, say: (line: string) => void): Promise<number> {
  const context: StepContext = { root, write, adminUrl: "" };
  const steps = [migrationFiles, ...CODE, secretsInFiles].map((step) => runStep(step, context, say));
  return (await Promise.all(steps)).every((passed) => passed) ? 0 : 1;
}

async function main(write: boolean, withTests: boolean): Promise<number> {
  const failed: string[] = [];
  const run = async (step: Step, adminUrl: string) => {
    const passed = await runStep(step, { root: ROOT, write, adminUrl }, console.log);
    if (!passed) failed.push(step.name);
    return passed;
  };
  // What follows looks at the database that the migrations make.
  if (!await run(migrationFiles, "")) return 1;
  let server: Awaited<ReturnType<typeof startRunServer>>;
  try {
    server = await startRunServer();
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    console.error(`The migrations do not apply:\n${error.message}\n\n0 passed, 1 failed`);
    return 1;
  }
  try {
    for (const step of STEPS) await run(step, server.adminUrl);
    if (!withTests) return failed.length === 0 ? 0 : 1;
    // The tests come last, so that their tally is the last line; what failed before is said once more above it.
    if (failed.length > 0) console.log(`\nFailed before the tests: ${failed.join(", ")}`);
    return await testsPass(server.adminUrl) && failed.length === 0 ? 0 : 1;
  } finally {
    await server.stop();
  }
}

/** Runs a step and says how it ended. Returns whether it passed, or may be left out here. */
async function runStep(step: Step, context: StepContext, say: (line: string) => void): Promise<boolean> {
  const start = performance.now();
  const result = await step.run(context).catch((error): StepResult => judged([String(error)]));
  const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  const word = result.kind === "skipped" && ci
    ? "FAILED"
    : { passed: "ok", failed: "FAILED", skipped: "skipped" }[result.kind];
  const note = result.kind === "passed" ? result.note ?? "" : result.kind === "skipped" ? result.reason : "";
  say(`${step.name.padEnd(22)} ${word.padEnd(8)} ${seconds.padStart(7)}  ${note}`.trimEnd());
  if (result.kind === "failed") { for (const problem of result.problems) say(`    ${problem}`); }
  return word !== "FAILED";
}

function denoStep(name: string, args: string[]): Step {
  return {
    name,
    async run({ root }) {
      const output = await runCommand(Deno.execPath(), args, { cwd: root, env: { NO_COLOR: "1" } });
      const lines = `${output.stdout}${output.stderr}`.trim().split("\n");
      return judged(output.success ? [] : lines.slice(0, 60));
    },
  };
}

async function testsPass(adminUrl: string): Promise<boolean> {
  const tests = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "scripts/quality/test.ts", "--all"],
    cwd: ROOT,
    env: { [ADMIN_URL_VARIABLE]: adminUrl },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  return (await tests.status).success;
}
