/** Reads PostgREST's query string language into a tree; knows nothing of the database. */
import { RestError, unsupported } from "./errors.ts";

/** A column, possibly with a path into its JSON: `data->address->>city`. */
export interface ColumnPath {
  name: string;
  /** Arrow and key, in order. */
  path: { arrow: "->" | "->>"; key: string }[];
}

/** One entry of `select`. */
export type SelectItem =
  | { kind: "all" }
  | { kind: "column"; column: ColumnPath; alias: string | null; cast: string | null }
  | {
    kind: "embed";
    relation: string;
    alias: string;
    hint: string | null;
    inner: boolean;
    items: SelectItem[];
  };

/** A condition on rows. */
export type Condition =
  | { kind: "compare"; column: ColumnPath; negated: boolean; operator: string; value: string }
  | { kind: "group"; negated: boolean; word: "and" | "or"; conditions: Condition[] };

/** One entry of `order`. */
export interface OrderTerm {
  column: ColumnPath;
  direction: "asc" | "desc";
  nulls: "first" | "last" | null;
}

/** What a request asks of one relation; `embedded` holds the same for embedded ones, by path. */
export interface RowQuery {
  items: SelectItem[];
  conditions: Condition[];
  order: OrderTerm[];
  limit: number | null;
  offset: number;
  embedded: Map<string, RowQuery>;
}

/** What is no filter; the gateway takes the key from the address as well as from its header. */
const RESERVED = new Set(["select", "columns", "on_conflict", "apikey"]);

/** Parses the whole query string, `select` included. */
export function parseRowQuery(params: URLSearchParams): RowQuery {
  const query = emptyQuery(parseSelect(params.get("select") ?? "*"));
  for (const [key, value] of params) {
    if (RESERVED.has(key)) continue;
    const { target, name } = targetOf(query, key);
    if (name === "order") target.order = splitList(value).map(parseOrderTerm);
    else if (name === "limit") target.limit = parseCount(value);
    else if (name === "offset") target.offset = parseCount(value);
    else target.conditions.push(parseParameter(name, value));
  }
  return query;
}

function emptyQuery(items: SelectItem[]): RowQuery {
  return { items, conditions: [], order: [], limit: null, offset: 0, embedded: new Map() };
}

/** `variants.order` or `variants.or` or `variants.sku` speak of the embedded relation `variants`. */
function targetOf(query: RowQuery, key: string): { target: RowQuery; name: string } {
  const parts = key.split(".");
  let name = parts.pop() ?? "";
  if (parts.at(-1) === "not" && (name === "or" || name === "and")) name = `${parts.pop()}.${name}`;
  let target = query;
  for (const part of parts) {
    let next = target.embedded.get(part);
    if (next === undefined) target.embedded.set(part, next = emptyQuery([]));
    target = next;
  }
  return { target, name };
}

function parseCount(value: string): number {
  if (!/^\d+$/.test(value)) throw malformed(`"${value}" is not a count of rows`);
  return Number(value);
}

/** Splits at commas that are not inside parentheses, braces or double quotes. */
export function splitList(text: string): string[] {
  const parts: string[] = [];
  let depth = 0, quoted = false, start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quoted && char === "\\") at++;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && (char === "(" || char === "{")) depth++;
    else if (!quoted && (char === ")" || char === "}")) depth--;
    else if (!quoted && depth === 0 && char === ",") {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

function parseSelect(text: string): SelectItem[] {
  return splitList(text).map((part) => {
    if (part === "*") return { kind: "all" };
    if (part.startsWith("...")) throw unsupported("spread embedding (...) in select");
    const open = part.indexOf("(");
    return open === -1 ? parseSelectColumn(part) : parseEmbed(part, open);
  });
}

function parseSelectColumn(part: string): SelectItem {
  const match = /^(?:("[^"]+"|[^:"]+):(?!:))?(.+?)(?:::([\w ]+))?$/.exec(part);
  if (match === null) throw malformed(`cannot read "${part}" in select`);
  const [, alias, column, cast] = match;
  return {
    kind: "column",
    column: parseColumn(column ?? ""),
    alias: alias === undefined ? null : unquote(alias),
    cast: cast ?? null,
  };
}

function parseEmbed(part: string, open: number): SelectItem {
  if (!part.endsWith(")")) throw malformed(`a parenthesis is missing in "${part}"`);
  const head = part.slice(0, open), body = part.slice(open + 1, -1);
  if (/(^|\.)(count|sum|avg|min|max)$/.test(head) && body === "") {
    throw unsupported(`the aggregate ${head}()`);
  }
  const colon = head.indexOf(":");
  const [relation = "", ...modifiers] = head.slice(colon + 1).split("!");
  const hints = modifiers.filter((word) => word !== "inner" && word !== "left");
  return {
    kind: "embed",
    relation,
    alias: colon === -1 ? relation : head.slice(0, colon),
    hint: hints[0] ?? null,
    inner: modifiers.includes("inner"),
    items: parseSelect(body === "" ? "*" : body),
  };
}

/** Reads `name`, `name->key`, `name->>key`, with double quotes around unusual names. */
function parseColumn(text: string): ColumnPath {
  const [name = "", ...rest] = text.split(/(->>?)/);
  const path: ColumnPath["path"] = [];
  for (let at = 0; at < rest.length; at += 2) {
    path.push({ arrow: rest[at] === "->>" ? "->>" : "->", key: unquote(rest[at + 1] ?? "") });
  }
  if (name === "") throw malformed(`a column name is missing in "${text}"`);
  return { name: unquote(name), path };
}

function parseOrderTerm(text: string): OrderTerm {
  if (text.includes("(")) throw unsupported("ordering by a column of an embedded relation");
  const [column = "", ...words] = text.split(".");
  const unknown = words.find((word) => !["asc", "desc", "nullsfirst", "nullslast"].includes(word));
  if (unknown !== undefined) throw malformed(`"${unknown}" is not an order`);
  return {
    column: parseColumn(column),
    direction: words.includes("desc") ? "desc" : "asc",
    nulls: words.includes("nullsfirst") ? "first" : words.includes("nullslast") ? "last" : null,
  };
}

function parseParameter(name: string, value: string): Condition {
  const group = /^(not\.)?(and|or)$/.exec(name);
  return group === null
    ? parseComparison(parseColumn(name), value)
    : parseGroup(group[1] !== undefined, group[2] === "or" ? "or" : "and", value);
}

function parseGroup(negated: boolean, word: "and" | "or", text: string): Condition {
  if (!text.startsWith("(") || !text.endsWith(")")) {
    throw malformed(`"${word}" needs its conditions in parentheses`);
  }
  return { kind: "group", negated, word, conditions: splitList(text.slice(1, -1)).map(parseNested) };
}

function parseNested(text: string): Condition {
  const group = /^(not\.)?(and|or)(\(.*\))$/s.exec(text);
  if (group !== null) {
    return parseGroup(group[1] !== undefined, group[2] === "or" ? "or" : "and", group[3] ?? "");
  }
  const dot = text.startsWith('"') ? text.indexOf(".", text.indexOf('"', 1)) : text.indexOf(".");
  if (dot === -1) throw malformed(`"${text}" is not a condition`);
  return parseComparison(parseColumn(text.slice(0, dot)), text.slice(dot + 1), true);
}

function parseComparison(column: ColumnPath, text: string, nested = false): Condition {
  const match = /^(not\.)?(\w+)(\([^)]*\))?\.(.*)$/s.exec(text);
  if (match === null) throw malformed(`"${text}" is not an operator with a value`);
  const [, not, operator = "", modifier, value = ""] = match;
  if (modifier !== undefined) throw unsupported(`the operator ${operator}${modifier}`);
  const plain = nested && operator !== "in" ? unquote(value) : value;
  return { kind: "compare", column, negated: not !== undefined, operator, value: plain };
}

/** Takes double quotes off, with backslash escapes inside. */
export function unquote(text: string): string {
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"')
    ? text.slice(1, -1).replace(/\\(.)/gs, "$1")
    : text;
}

function malformed(details: string): RestError {
  return new RestError(400, "PGRST100", "The query string could not be parsed", details);
}
