/** How a step of `deno task ok` ended; a problem is one line that names the place and the fix. */
export type StepResult =
  | { kind: "passed"; note?: string }
  | { kind: "failed"; problems: string[] }
  | { kind: "skipped"; reason: string };

/** What the steps share. */
export interface StepContext {
  /** Project folder. */
  root: string;
  /** Write generated files instead of comparing them. */
  write: boolean;
  /** Connection string of a test server with the templates `migrated` and `seeded`. */
  adminUrl: string;
}

/** One step of the quality gate. */
export interface Step {
  name: string;
  run(context: StepContext): Promise<StepResult>;
}

/** Passed without problems, failed with them. */
export function judged(problems: string[], note?: string): StepResult {
  if (problems.length > 0) return { kind: "failed", problems };
  return note === undefined ? { kind: "passed" } : { kind: "passed", note };
}

/** Compares a generated text with its file, or writes it; `command` is how a developer regenerates it. */
export async function comparedWithFile(
  context: StepContext,
  path: string,
  generated: string,
  command: string,
): Promise<StepResult> {
  const full = `${context.root}/${path}`;
  const current = await Deno.readTextFile(full).catch(() => "");
  if (current === generated) return { kind: "passed" };
  if (context.write) {
    await Deno.writeTextFile(full, generated);
    return { kind: "passed", note: `wrote ${path}` };
  }
  const before = current.split("\n"), after = generated.split("\n");
  const line = after.findIndex((text, at) => text !== before[at]);
  const at = line === -1 ? after.length : line;
  return {
    kind: "failed",
    problems: [
      `${path}:${at + 1} differs from the database: run '${command}'`,
      `  file:     ${before[at] ?? "(end)"}`,
      `  database: ${after[at] ?? "(end)"}`,
    ],
  };
}
