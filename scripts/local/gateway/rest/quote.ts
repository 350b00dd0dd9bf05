import { RestError } from "./errors.ts";

/** Writes a name as an SQL identifier. */
export function quoteName(name: string): string {
  return `"${refuseNul(name).replaceAll('"', '""')}"`;
}

/** Writes a value as an SQL string; with `standard_conforming_strings` on, a quote is all there is to escape. */
export function quoteText(value: string): string {
  return `'${refuseNul(value).replaceAll("'", "''")}'`;
}

function refuseNul(text: string): string {
  if (text.includes("\0")) {
    throw new RestError(400, "22P05", "unsupported Unicode escape sequence", "\\u0000 cannot be text");
  }
  return text;
}
