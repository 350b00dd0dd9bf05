/** Writing variables where the shell, the Supabase CLI and Deno read them alike. */

/**
 * `NAME=value`, in quotes where needed. Neither Deno nor the CLI knows an escape, so the quotes are such as the value
 * does not contain.
 * @throws RangeError when it contains all three kinds.
 */
export function envLine(name: string, value: string): string {
  if (/^[\w./:@,+=-]*$/.test(value)) return `${name}=${value}`;
  const quote = ["'", "`", '"'].find((mark) => !value.includes(mark));
  if (quote === undefined) throw new RangeError(`${name} contains all three kinds of quotes: leave one out`);
  return `${name}=${quote}${value}${quote}`;
}

/** Replaces a variable's line, or adds one at the end; everything else in the file stays as it is. */
export async function setInEnvFile(path: string, name: string, value: string): Promise<void> {
  const lines = (await Deno.readTextFile(path)).split("\n");
  const at = lines.findLastIndex((line) => new RegExp(`^\\s*(export\\s+)?${name}\\s*=`).test(line));
  if (at >= 0) lines[at] = envLine(name, value);
  else lines.splice(lines.at(-1) === "" ? -1 : lines.length, 0, envLine(name, value));
  const partial = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(partial, lines.join("\n"), { mode: 0o600 });
  await Deno.rename(partial, path);
}

/** Writes variables to a file that only this user can read, and removes it after the work. */
export async function withPrivateFile<T>(
  text: string,
  suffix: string,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const path = await Deno.makeTempFile({ prefix: "kct-setup-", suffix });
  try {
    await Deno.chmod(path, 0o600).catch(() => {}); // Windows has no modes.
    await Deno.writeTextFile(path, text);
    return await work(path);
  } finally {
    await Deno.remove(path);
  }
}
