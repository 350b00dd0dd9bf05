/** Reads a query string into what it asks of each relation; knows nothing of the database. */
import { RestError } from "./errors.ts";
import {
  columns,
  comparison,
  type Condition,
  condition,
  type Filter,
  logicPath,
  order,
  type OrderTerm,
  select,
  type SelectItem,
  treePath,
} from "./grammar.ts";
import { parse, ParseError, type Parser } from "./parser.ts";
import { rangeOf, type RowRange } from "./range.ts";

/** A part of the query and the embedded relation that it speaks of: the names on the way there. */
export interface At<T> {
  path: string[];
  value: T;
}

/** A whole query string. */
export interface Query {
  select: SelectItem[];
  filters: At<Filter>[];
  /** Names of the parameters that are filters, as they were written. */
  filterNames: string[];
  logic: At<Condition>[];
  order: At<OrderTerm[]>[];
  /** `limit` and `offset` of each relation that has one, by the names on the way there. */
  ranges: At<RowRange>[];
  columns: string[] | null;
  onConflict: string[] | null;
  /** Arguments of a function that is called with GET. */
  arguments: [string, string][];
  /** The query string as `Content-Location` has it. */
  canonical: string;
}

const RESERVED = ["select", "columns", "on_conflict"];
const OF_ROWS = ["order", "limit", "offset", "and", "or"];

/** Reads `search`, a query string without its question mark; in a call by GET what is no filter is an argument. */
export function parseQuery(search: string, callByGet: boolean): Query {
  const pairs = pairsOf(search);
  const given = pairs.filter((pair): pair is [string, string] => pair[1] !== null);
  const ending = (word: string) => given.filter(([key]) => key.split(".").at(-1) === word);
  const first = (name: string) => pairs.find(([key]) => key === name)?.[1] ?? null;
  const filterPairs = given.filter(([key]) =>
    !RESERVED.includes(key) && !OF_ROWS.includes(key.split(".").at(-1) ?? "")
  );
  const readOrder = ending("order").map(([key, value]) => ({
    path: read(treePath, `failed to parse tree path (${key})`, key).path,
    value: read(order, `failed to parse order (${value})`, value),
  }));
  const logicPairs = given.filter(([key]) => ["and", "or"].includes(key.split(".").at(-1) ?? ""));
  const logic = logicPairs.map(([key, value]) => {
    const { path, prefix } = read(logicPath, `failed to parse logic path (${key})`, key);
    return { path, value: read(condition, `failed to parse logic tree (${value})`, prefix + value) };
  });
  const named = (name: string) => {
    const value = first(name);
    return value === null ? null : read(columns, `failed to parse ${name} parameter (${value})`, value);
  };
  const chosen = named("columns");
  const selected = first("select") ?? "*";
  const items = read(select, `failed to parse select parameter (${selected})`, selected);
  const filters: At<Filter>[] = [], args: [string, string][] = [];
  for (const [key, value] of filterPairs) {
    const { path, field } = read(treePath, `failed to parse tree path (${key})`, key);
    const compared = callByGet && !isComparison(value)
      ? null
      : read(comparison(), `failed to parse filter (${value})`, value);
    if (compared === null) args.push([field.name, value]);
    else filters.push({ path, value: { kind: "filter", field, ...compared } });
  }
  return {
    select: items,
    filters,
    filterNames: [...new Set(filterPairs.map(([key]) => key))],
    logic,
    order: readOrder,
    ranges: rangesOf(ending("limit"), ending("offset")),
    columns: chosen === null ? null : [...new Set(chosen)].sort(),
    onConflict: named("on_conflict"),
    arguments: args,
    canonical: canonicalOf(pairs),
  };
}

/** Whether a comparison begins here; one that then breaks is refused, not taken for an argument. */
function isComparison(value: string): boolean {
  const result = comparison()([...value], { at: 0, line: 1, column: 1 });
  return result.ok || result.consumed;
}

function read<T>(parser: Parser<T>, name: string, text: string): T {
  try {
    return parse(parser, name, text);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new RestError(400, "PGRST100", error.message, error.details);
  }
}

function pairsOf(search: string): [string, string | null][] {
  const decode = (text: string) => decodeBytes(text.replaceAll("+", " "));
  return search === "" ? [] : search.split(/[&;]/).map((part) => {
    const equals = part.indexOf("=");
    return equals === -1
      ? [decode(part), null]
      : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
  });
}

/** Percent signs that begin no byte stand for themselves. */
function decodeBytes(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const plain: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const hex = String.fromCharCode(bytes[at + 1] ?? 0, bytes[at + 2] ?? 0);
    if (bytes[at] === 0x25 && /^[0-9a-f]{2}$/i.test(hex)) {
      plain.push(parseInt(hex, 16));
      at += 2;
    } else plain.push(bytes[at] ?? 0);
  }
  return new TextDecoder().decode(Uint8Array.from(plain));
}

function rangesOf(limits: [string, string][], offsets: [string, string][]): At<RowRange>[] {
  const owner = (key: string) => key.split(".").slice(0, -1).join(".");
  const asked = new Map<string, { limit: number | null; offset: number | null }>();
  const note = (key: string, part: { limit?: number; offset?: number }) =>
    asked.set(owner(key), { ...(asked.get(owner(key)) ?? { limit: null, offset: null }), ...part });
  for (const [key, value] of limits) note(key, { limit: integer(value) });
  for (const [key, value] of offsets) note(key, { offset: integer(value) });
  return [...asked].map(([key, { limit, offset }]) => ({
    path: key === "" ? [] : read(treePath, `failed to parse tree path (${key}.limit)`, `${key}.limit`).path,
    value: rangeOf(limit, offset),
  }));
}

function integer(text: string): number {
  return /^\s*-?\d+\s*$/.test(text) ? Number(text) : NaN;
}

/** Sorted by name, with the values of one name joined by commas. */
function canonicalOf(pairs: [string, string | null][]): string {
  const values = new Map<string, string[]>();
  const sorted = [...pairs].sort(([one], [other]) => one < other ? -1 : one > other ? 1 : 0);
  for (const [key, value] of sorted) values.set(key, [...(values.get(key) ?? []), value ?? ""]);
  return [...values].map(([key, list]) => `${encode(key)}=${list.map(encode).join(",")}`).join("&");
}

/** Each byte is encoded as if it were a character, as PostgREST's library does. */
function encode(text: string): string {
  return percentEncode(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** Encodes all but letters, digits and `-_.~`. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!*'()]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
