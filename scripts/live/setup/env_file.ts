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

/** One assignment: what stands before the name, the name, and its value, which in quotes may have several lines. */
const ASSIGNMENT =
  /^([ \t\ufeff]*(?:export[ \t]+)?)([\w.-]+)[ \t]*=(?:[ \t]*(?:"[^"]*"|'[^']*'|`[^`]*`)|[^\r\n]*?(?=[ \t]+#|[ \t]*$))/gm;

/**
 * Replaces a variable's value (of several the last, which is the one that counts), or adds a line at the end; everything
 * else in the file stays as it is. Where the path is a link, the file that it leads to is written.
 */
export async function setInEnvFile(path: string, name: string, value: string): Promise<void> {
  const text = await Deno.readTextFile(path);
  const found = [...text.matchAll(ASSIGNMENT)].findLast((match) => match[2] === name);
  await replaceFile(
    path,
    found === undefined ? added(text, envLine(name, value)) : text.slice(0, found.index) +
      (found[1] ?? "") + envLine(name, value) + text.slice(found.index + found[0].length),
  );
}

/** Takes a variable out of the file, with its line. */
export async function removeFromEnvFile(path: string, name: string): Promise<void> {
  const text = await Deno.readTextFile(path);
  const kept = [...text.matchAll(ASSIGNMENT)].filter((match) => match[2] === name).reverse().reduce(
    (rest, { index, 0: line }) =>
      rest.slice(0, index) + rest.slice(index + line.length).replace(/^\r?\n/, ""),
    text,
  );
  if (kept !== text) await replaceFile(path, kept);
}

/** Whoever reads meanwhile, or after a crash, finds the old text or the new one. */
async function replaceFile(path: string, text: string): Promise<void> {
  const target = await Deno.realPath(path);
  const partial = `${target}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(partial, text, { mode: 0o600 });
  await Deno.rename(partial, target);
}

function added(text: string, line: string): string {
  const end = text.includes("\r\n") ? "\r\n" : "\n";
  return text === "" || text.endsWith("\n") ? `${text}${line}${end}` : `${text}${end}${line}`;
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
