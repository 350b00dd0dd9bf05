/** What every `deno task` has in common: its flags, `--help`, and what it does where it may not or cannot work. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { TaskError } from "./errors.ts";
import { refuseRealProject } from "./real_project.ts";

type Flags = NonNullable<ParseArgsConfig["options"]>;

/** What the command line said. */
export type Given<F extends Flags> = ReturnType<
  typeof parseArgs<{ options: F; strict: true; allowPositionals: true }>
>;

/** One task of `deno.json`. */
export interface Task<F extends Flags> {
  /** What `--help` prints. Its first line is the command with its flags, and all that a wrong flag prints. */
  usage: string;
  flags: F;
  /** Takes arguments that are no flags. Not unless true. */
  positionals?: boolean;
  /** Works on this machine alone, so it refuses an environment that names a real project. */
  offline?: boolean;
  /** Does the work and returns the exit code. */
  run(given: Given<F>): Promise<number>;
}

/** Flags or arguments that make no sense; the usage line is printed with the message. */
export class UsageError extends TaskError {
  override name = "UsageError";
}

/**
 * Runs a task and returns its exit code: 2 for wrong flags, 1 for a failure that has a message of its own. `--help`
 * anywhere prints the usage and does nothing else.
 */
export async function runTask<const F extends Flags>(task: Task<F>, args: string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(task.usage);
    return 0;
  }
  try {
    const given = readFlags(task, args);
    if (task.offline) refuseRealProject(Deno.env.toObject());
    return await task.run(given);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}; usage: ${task.usage.split("\n", 1)[0]}`);
      return 2;
    }
    if (isUnreachable(error)) {
      console.error(`${error.message}: is that the right address, and does anything answer there?`);
      return 1;
    }
    if (!(error instanceof TaskError || error instanceof AppError)) throw error;
    console.error(error.message);
    for (const reason of reasonsOf(error)) console.error(`  ${reason}`);
    return 1;
  }
}

/** What is behind an error, outermost first: what a shopper would be told says nothing to who runs a task. */
function reasonsOf(error: Error): string[] {
  const reasons = new Set<string>();
  for (let { cause } = error; cause instanceof Error; { cause } = cause) reasons.add(cause.message);
  return [...reasons].filter((reason) => reason !== "" && reason !== error.message);
}

/** Whether a database or a host did not answer: a wrong address as a rule, and no fault of the task. */
function isUnreachable(error: unknown): error is Error {
  const codes = ["CONNECT_TIMEOUT", "ECONNREFUSED", "EHOSTUNREACH", "ENOTFOUND", "ETIMEDOUT"];
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

function readFlags<const F extends Flags>({ flags, positionals = false }: Task<F>, args: string[]): Given<F> {
  try {
    return parseArgs({ args, options: flags, strict: true, allowPositionals: positionals }) as Given<F>;
  } catch (error) {
    // Its further sentences explain how to pass an argument that begins with a dash; one line says enough.
    if (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_")) {
      throw new UsageError(error.message.split(/\. |\.?\n/, 1)[0]);
    }
    throw error;
  }
}

/** The whole number that a flag gives, `least` or above. */
export function wholeNumber(flag: string, text: string, least: number): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(number) && number >= least) return number;
  throw new UsageError(`${flag} ${text} is not a whole number of at least ${least}`);
}
