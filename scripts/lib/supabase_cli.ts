/** The official Supabase CLI, from npm. */
import { type CommandOutput, runCommand } from "./command.ts";
import { npmProgram } from "./npm_program.ts";

/** The version that the project is checked with. */
export const SUPABASE_CLI = "supabase@3.1.0";

/** Runs the CLI that npx fetches. */
export async function runSupabase(
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<CommandOutput> {
  try {
    const program = await npmProgram(SUPABASE_CLI, "supabase");
    return await runCommand(program, args, { cwd, env: { SUPABASE_TELEMETRY_DISABLED: "1", ...env } });
  } catch (error) {
    return { success: false, stdout: "", stderr: error instanceof Error ? error.message : String(error) };
  }
}
