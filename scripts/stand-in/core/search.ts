/** Stripe's search query language (https://docs.stripe.com/search#search-query-language). */
import { invalidRequest } from "./errors.ts";

/** How a field is compared: a string also by its parts, a number also by size, a token as a whole. */
export type FieldType = "numeric" | "string" | "token";

/** What can be asked of a resource; the name of a field is the way to it in the object. */
export interface Searchable {
  /** As it is called in the address, and in Stripe's refusals. */
  resource: string;
  fields: Readonly<Record<string, FieldType>>;
}

type Operator = "<" | "<=" | ">" | ">=" | ":" | "~";

interface Clause {
  /** The way to the value in the object. */
  path: readonly string[];
  type: FieldType;
  negated: boolean;
  operator: Operator;
  /** Null asks whether there is no value. */
  value: string | null;
}

/** A query that was understood. */
export interface Query {
  clauses: readonly Clause[];
  /** Whether one clause is enough. */
  any: boolean;
}

const MAX_CLAUSES = 10;

const CLAUSE =
  /\s*(-?)\s*([a-z_][a-z_.0-9]*)(?:\[\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\])?\s*(:|~|<=|>=|<|>)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[A-Za-z0-9._-]+)/y;
const CONNECTIVE = /\s+(AND|OR)\s+|\s+(?=\S)/iy;

function unquoted(text: string): string {
  return /^['"]/.test(text) ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text;
}

function malformed(): never {
  throw invalidRequest(
    'We were unable to parse your search query. Try using the format `metadata["key"]:"value"` to query for metadata or key:"value" to query for other fields. For more information see https://stripe.com/docs/search#search-query-language.',
    "query",
  );
}

/** Reads a query about a resource, or throws Stripe's refusal. */
export function parseQuery(text: string, searchable: Searchable): Query {
  const clauses: Clause[] = [];
  const words = new Set<string>();
  let at = 0;
  for (;;) {
    CLAUSE.lastIndex = at;
    const found = CLAUSE.exec(text);
    if (found === null) return malformed();
    clauses.push(readClause(found, searchable));
    at = CLAUSE.lastIndex;
    if (text.slice(at).trim() === "") break;
    CONNECTIVE.lastIndex = at;
    const word = CONNECTIVE.exec(text);
    if (word === null) return malformed();
    // Clauses beside each other are joined by AND.
    words.add(word[1]?.toUpperCase() ?? "AND");
    at = CONNECTIVE.lastIndex;
  }
  if (words.size > 1) {
    throw invalidRequest("You can't combine `AND` and `OR` in the same search query.", "query");
  }
  if (clauses.length > MAX_CLAUSES) {
    throw invalidRequest(`A search query can have at most ${MAX_CLAUSES} clauses.`, "query");
  }
  return { clauses, any: words.has("OR") };
}

function readClause(found: RegExpExecArray, { resource, fields }: Searchable): Clause {
  const [, minus = "", name = "", key, sign = ":", given = ""] = found;
  const operator = sign as Operator;
  const isMetadata = name === "metadata" && Object.hasOwn(fields, "metadata");
  if (isMetadata && key === undefined) return malformed();
  const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (type === undefined || (key !== undefined && !isMetadata)) {
    throw invalidRequest(
      `Field \`${name}\` is an unsupported search field for resource \`${resource}\`. See http://stripe.com/docs/search#query-fields-for-${
        resource.replaceAll("_", "-")
      } for a list of supported fields.`,
      "query",
    );
  }
  const isQuoted = /^['"]/.test(given);
  const isNull = !isQuoted && given === "null";
  if (isNull && operator !== ":") return malformed();
  if (operator === "~" && type !== "string") {
    throw invalidRequest(`Field \`${name}\` does not support the substring operator \`~\`.`, "query");
  }
  if (/[<>]/.test(operator) && type !== "numeric") {
    throw invalidRequest(
      `Field \`${name}\` does not support the operator \`${operator}\`: only numeric fields can be compared.`,
      "query",
    );
  }
  const value = unquoted(given);
  if (type === "numeric" && !isNull && !/^-?\d+(\.\d+)?$/.test(value)) {
    throw invalidRequest(`Field \`${name}\` is numeric: \`${value}\` is no number.`, "query");
  }
  // Only numbers go without quotes.
  if (!isQuoted && !isNull && !/^-?\d+(\.\d+)?$/.test(value)) return malformed();
  if (operator === "~" && value.length < 3) {
    throw invalidRequest("The substring operator `~` needs at least three characters.", "query");
  }
  return {
    path: key === undefined ? name.split(".") : ["metadata", unquoted(key)],
    type,
    negated: minus === "-",
    operator,
    value: isNull ? null : value,
  };
}

function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function holds({ path, type, operator, value }: Clause, object: unknown): boolean {
  const found = valueAt(object, path);
  const isThere = found !== undefined && found !== null && found !== "";
  if (value === null) return !isThere;
  if (!isThere) return false;
  if (type === "numeric") {
    const [is, wanted] = [Number(found), Number(value)];
    switch (operator) {
      case "<":
        return is < wanted;
      case "<=":
        return is <= wanted;
      case ">":
        return is > wanted;
      case ">=":
        return is >= wanted;
      default:
        return is === wanted;
    }
  }
  // Search does not look at capital letters.
  const [is, wanted] = [String(found).toLowerCase(), value.toLowerCase()];
  return operator === "~" ? is.includes(wanted) : is === wanted;
}

/** True when an object is what the query asks for. */
export function matchesQuery({ clauses, any }: Query, object: unknown): boolean {
  const answer = (clause: Clause) => holds(clause, object) !== clause.negated;
  return any ? clauses.some(answer) : clauses.every(answer);
}
