/** How a step of `deno task ok` ended; a problem is one line that names the place and the mend. */
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

/** Output of a command. */
export interface CommandOutput {
  success: boolean;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end; a missing program counts as a failure with its name in `stderr`. */
export async function runCommand(
  program: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<CommandOutput> {
  try {
    const output = await new Deno.Command(program, {
      args,
      ...options,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    })
      .output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { success: output.success, stdout: decode(output.stdout), stderr: decode(output.stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, stdout: "", stderr: `${program} is not installed` };
  }
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
