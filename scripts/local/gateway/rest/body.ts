/** Bodies of requests: what they hold as JSON, and the names of its fields. */
import { RestError } from "./errors.ts";
import { mediaType } from "./media_type.ts";

/** A body for the database. */
export interface Payload {
  /** JSON, unless `kind` says otherwise. */
  text: string;
  /** Names of the fields, sorted. */
  keys: string[];
  /** `form`: fields of a form, for a function; `raw`: the one argument of a function. */
  kind: "json" | "form" | "raw";
  fields: [string, string][];
}

const RAW = ["text/plain", "text/xml", "application/octet-stream"];

/** The media type of a request's body. */
export function contentType(headers: Headers): string {
  const given = headers.get("content-type");
  return given === null ? "application/json" : mediaType(given);
}

/** Reads a body; `columns` are the fields that count, where the query string names them. */
export function readPayload(
  body: string,
  type: string,
  columns: string[] | null,
  forFunction: boolean,
): Payload {
  const plain = (text: string, keys: string[]): Payload => ({ text, keys, kind: "json", fields: [] });
  if (type === "application/json") {
    if (columns !== null) return plain(body, columns);
    if (forFunction && body === "") return plain(body, []);
    return withUniformKeys(body, parseJson(body));
  }
  if (type === "text/csv") {
    const rows = csvRows(body);
    return withUniformKeys(JSON.stringify(rows), rows);
  }
  if (type === "application/x-www-form-urlencoded") {
    const fields = [...new URLSearchParams(body)];
    const text = JSON.stringify(Object.fromEntries(fields));
    const keys = [...new Set(fields.map(([name]) => name))].sort();
    return forFunction ? { text, keys, kind: "form", fields } : plain(text, keys);
  }
  if (forFunction && RAW.includes(type)) return { text: body, keys: [], kind: "raw", fields: [] };
  throw invalid(`Content-Type not acceptable: ${type}`);
}

function withUniformKeys(text: string, value: unknown): Payload {
  const none: Payload = { text: "[]", keys: [], kind: "json", fields: [] };
  const rows: unknown[] = Array.isArray(value) ? value : [value];
  if (typeof value !== "object" || value === null || rows.length === 0) return none;
  const [first] = rows.map(keysOf);
  const keys = first ?? [];
  const uniform = rows.every((row) => {
    const own = keysOf(row);
    return own !== null && own.length === keys.length && own.every((key, at) => key === keys[at]);
  });
  if (!uniform) throw invalid("All object keys must match");
  return { text, keys, kind: "json", fields: [] };
}

function keysOf(row: unknown): string[] | null {
  return typeof row === "object" && row !== null && !Array.isArray(row) ? Object.keys(row).sort() : null;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw invalid("Empty or invalid json");
  }
}

/** Rows of a CSV text with a header line; `NULL` is null. */
function csvRows(text: string): Record<string, string | null>[] {
  const lines = csvLines(text);
  const [names, ...rows] = lines;
  if (names === undefined) throw invalid('parse error (not enough input) at ""');
  return rows.map((row) => {
    if (row.length < names.length) throw invalid("All lines must have same number of fields");
    return Object.fromEntries(names.map((name, at) => [name, row[at] === "NULL" ? null : row[at] ?? null]));
  });
}

function csvLines(text: string): string[][] {
  const lines: string[][] = [];
  const field = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|\n|\r|$)/y;
  let line: string[] = [];
  while (field.lastIndex < text.length || line.length > 0) {
    const start = field.lastIndex;
    const found = field.exec(text);
    if (found === null) throw invalid(`parse error at ${JSON.stringify(text.slice(start))}`);
    const [, value = "", end] = found;
    line.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === ",") continue;
    if (line.length > 1 || line[0] !== "") lines.push(line);
    line = [];
    if (end === "") break;
  }
  return lines;
}

function invalid(message: string): RestError {
  return new RestError(400, "PGRST102", message);
}
