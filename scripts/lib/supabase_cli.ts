/** The official Supabase CLI, from npm. */
import { type CommandOutput, runCommand } from "./command.ts";
import { npmBinary } from "./npm_program.ts";

/** The version that the project is checked with. */
export const SUPABASE_CLI = "supabase@3.1.0";

/** Where the package has the program of each platform. */
const BINARIES: Record<string, string> = {
  "darwin-aarch64": "@supabase/cli-darwin-arm64/bin/supabase",
  "darwin-x86_64": "@supabase/cli-darwin-x64/bin/supabase",
  "linux-aarch64": "@supabase/cli-linux-arm64/bin/supabase",
  "linux-x86_64": "@supabase/cli-linux-x64/bin/supabase",
  "windows-x86_64": "@supabase/cli-windows-x64/bin/supabase.exe",
};

/** Runs the CLI that npx fetches. */
export async function runSupabase(
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<CommandOutput> {
  try {
    const program = await npmBinary(SUPABASE_CLI, "supabase", BINARIES);
    return await runCommand(program, args, { cwd, env: { SUPABASE_TELEMETRY_DISABLED: "1", ...env } });
  } catch (error) {
    return { success: false, stdout: "", stderr: error instanceof Error ? error.message : String(error) };
  }
}
