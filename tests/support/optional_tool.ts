/**
 * Tools that a developer's machine may lack. Tests that need one are skipped with a printed reason; with CI=true
 * they run all the same, and fail.
 */
export function skipWithout(tool: string, missing: string | null): boolean {
  if (missing === null || Deno.env.get("CI") === "true") return false;
  console.log(`skipped: ${tool} is missing (${missing}); CI=true makes this a failure`);
  return true;
}

/** Returns why a command does not run, or null when it does. */
export async function commandMissing(program: string, args: string[]): Promise<string | null> {
  try {
    const output = await new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "piped" })
      .output();
    if (output.success) return null;
    const lines = new TextDecoder().decode(output.stderr).trim().split("\n");
    return lines.at(-1) ?? `${program} failed`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
