/** Makes the answer of what the database found. */
import { RestError } from "./errors.ts";
import type { Representation } from "./media_type.ts";
import { preferenceApplied } from "./prefer.ts";
import { percentEncode } from "./query_string.ts";
import { contentRange } from "./range.ts";
import type { RestRequest } from "./request.ts";

/** What the one statement of a request answered. */
export interface Found {
  rows: number;
  /** All rows that there are, if somebody asked. */
  total: number | null;
  body: string;
  /** What a function said of the answer. */
  headers: string | null;
  status: string | null;
  /** Of an insert: the new row's key, and how many were not there before. */
  location?: string | null;
  inserted?: string | null;
}

/** Answers a read. */
export function answerRead(
  request: RestRequest,
  found: Found,
  shown: Representation,
  profile: string | null,
): Response {
  const { query: { canonical }, name, range } = request;
  const status = rangeStatus(range.first, found);
  const headers = {
    "content-range": rangeOf(range.first, found),
    "content-location": `/${name}${canonical === "" ? "" : `?${canonical}`}`,
    ...typeOf(shown, profile),
    ...applied(request, []),
  };
  const body = status === 416 ? outOfRange(range.first, found) : found.body;
  return respond(request, found, status, headers, body);
}

/** Answers a call; a function that returns nothing has no body. */
export function answerCall(
  request: RestRequest,
  found: Found,
  shown: Representation,
  profile: string | null,
  isVoid: boolean,
): Response {
  const { first } = request.range;
  const headers = { "content-range": rangeOf(first, found), ...applied(request, ["parameters"]) };
  if (isVoid) return respond(request, found, 204, headers, "");
  const status = rangeStatus(first, found);
  const body = status === 416 ? outOfRange(first, found) : found.body;
  return respond(request, found, status, { ...headers, ...typeOf(shown, profile) }, body);
}

/** Answers an insert, update or delete. */
export function answerWrite(
  request: RestRequest,
  found: Found,
  shown: Representation,
  profile: string | null,
  hasKey: boolean,
): Response {
  const { action, prefer, name, query } = request;
  const full = prefer.returned === "representation";
  const total = prefer.count === "exact" || prefer.count === "estimated" ? found.rows : null;
  const type = full ? typeOf(shown, profile) : {};
  const body = full ? found.body : "";
  if (action === "upsert") {
    const status = !full ? 204 : Number(found.inserted) > 0 ? 201 : 200;
    return respond(request, found, status, { ...type, ...applied(request, ["returned"]) }, body);
  }
  if (action === "insert") {
    const merged = prefer.resolution === "merge-duplicates" && Number(found.inserted ?? 0) <= 0;
    const heeded = hasKey || query.onConflict !== null ? ["resolution" as const] : [];
    const headers = {
      ...(found.location ? { location: `/${name}?${renderQuery(JSON.parse(found.location))}` } : {}),
      "content-range": contentRange(1, 0, total),
      ...applied(request, [...heeded, "missing", "returned"]),
      ...type,
    };
    return respond(request, found, merged ? 200 : 201, headers, body);
  }
  const range = action === "update" ? contentRange(0, found.rows - 1, total) : contentRange(1, 0, total);
  const heeded = action === "update" ? ["missing" as const, "returned" as const] : ["returned" as const];
  const headers = { "content-range": range, ...applied(request, heeded), ...type };
  return respond(request, found, full ? 200 : 204, headers, body);
}

function renderQuery(parts: string[]): string {
  return parts.map((part) => {
    const equals = part.indexOf("=");
    return `${percentEncode(part.slice(0, equals))}=${percentEncode(part.slice(equals + 1))}`;
  }).join("&");
}

function typeOf({ contentType }: Representation, profile: string | null): Record<string, string> {
  return { "content-type": contentType, ...(profile === null ? {} : { "content-profile": profile }) };
}

function applied(
  { prefer }: RestRequest,
  heeded: Parameters<typeof preferenceApplied>[1],
): Record<string, string> {
  const value = preferenceApplied(prefer, heeded);
  return value === null ? {} : { "preference-applied": value };
}

function rangeOf(first: number, { rows, total }: Found): string {
  return contentRange(first, first + rows - 1, total);
}

function rangeStatus(first: number, { rows, total }: Found): number {
  if (total === null) return 200;
  return first > total ? 416 : rows < total ? 206 : 200;
}

function outOfRange(first: number, { total }: Found): string {
  const details = `An offset of ${first} was requested, but there are only ${total} rows.`;
  return JSON.stringify({
    code: "PGRST103",
    details,
    hint: null,
    message: "Requested range not satisfiable",
  });
}

function respond(
  request: RestRequest,
  found: Found,
  usual: number,
  headers: Record<string, string>,
  body: string,
): Response {
  const status = found.status === null ? usual : statusOf(found.status);
  const all = new Headers(headers);
  for (const [name, value] of headersOf(found.headers)) {
    if (all.has(name)) all.delete(name);
    all.append(name, value);
  }
  const without = request.method === "HEAD" || body === "" || [204, 205, 304].includes(status);
  return new Response(without ? null : body, { status, headers: all });
}

function statusOf(text: string): number {
  const digits = /^\d+/.exec(text)?.[0];
  if (digits !== undefined) return Number(digits);
  throw new RestError(500, "PGRST112", "response.status guc must be a valid status code");
}

function headersOf(text: string | null): [string, string][] {
  if (text === null) return [];
  try {
    return (JSON.parse(text) as Record<string, string>[]).flatMap((entry) => {
      const [first, second] = Object.entries(entry);
      if (first === undefined || second !== undefined || typeof first[1] !== "string") {
        throw new SyntaxError();
      }
      return [first];
    });
  } catch {
    const message =
      "response.headers guc must be a JSON array composed of objects with a single key and a string value";
    throw new RestError(500, "PGRST111", message);
  }
}
