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
