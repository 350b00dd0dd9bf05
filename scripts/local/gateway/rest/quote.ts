/** Text of Postgres has no NUL: it ends there. */
function untilNul(text: string): string {
  return text.split("\0")[0] ?? "";
}

/** Writes a name as an SQL identifier. */
export function quoteName(name: string): string {
  return `"${untilNul(name).replaceAll('"', '""')}"`;
}

/** Writes a value as an SQL string; with `standard_conforming_strings` on, a quote is all there is to escape. */
export function quoteText(value: string): string {
  return `'${untilNul(value).replaceAll("'", "''")}'`;
}

/** Writes a list as an SQL string that can become an array of any type. */
export function quoteList(values: string[]): string {
  const items = values.map((value) => `"${untilNul(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`);
  return quoteText(`{${items.join(",")}}`);
}
