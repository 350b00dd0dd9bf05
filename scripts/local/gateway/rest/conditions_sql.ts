import { RestError, unsupported } from "./errors.ts";
import { type ColumnPath, type Condition, type OrderTerm, splitList, unquote } from "./query_string.ts";
import { quoteName, quoteText } from "./quote.ts";

const COMPARISONS: Record<string, string> = {
  eq: "=",
  neq: "<>",
  gt: ">",
  gte: ">=",
  lt: "<",
  lte: "<=",
  like: "like",
  ilike: "ilike",
  match: "~",
  imatch: "~*",
  isdistinct: "is distinct from",
  cs: "@>",
  cd: "<@",
  ov: "&&",
};

const IS_VALUES = new Set(["null", "not_null", "true", "false", "unknown"]);

/** Writes `where …`, or nothing without conditions. Values are untyped literals: the column decides their type. */
export function whereSql(conditions: Condition[], source: string, extra: string[] = []): string {
  const all = [...extra, ...conditions.map((condition) => conditionSql(condition, source))];
  return all.length === 0 ? "" : ` where ${all.join(" and ")}`;
}

/** Writes `order by …`, or nothing. */
export function orderSql(order: OrderTerm[], source: string): string {
  if (order.length === 0) return "";
  const terms = order.map((term) =>
    `${columnSql(term.column, source)} ${term.direction}${term.nulls === null ? "" : ` nulls ${term.nulls}`}`
  );
  return ` order by ${terms.join(", ")}`;
}

/** Writes a column of `source`, with its JSON path. */
export function columnSql(column: ColumnPath, source: string): string {
  const base = `${quoteName(source)}.${quoteName(column.name)}`;
  if (column.path.length === 0) return base;
  const steps = column.path.map(({ arrow, key }) => arrow + (/^-?\d+$/.test(key) ? key : quoteText(key)));
  return `(to_jsonb(${base})${steps.join("")})`;
}

function conditionSql(condition: Condition, source: string): string {
  if (condition.kind === "group") {
    const inner = condition.conditions.map((part) => conditionSql(part, source)).join(` ${condition.word} `);
    return `${condition.negated ? "not " : ""}(${inner})`;
  }
  const comparison = comparisonSql(columnSql(condition.column, source), condition.operator, condition.value);
  return condition.negated ? `not (${comparison})` : comparison;
}

function comparisonSql(column: string, operator: string, value: string): string {
  if (operator === "is") {
    const word = value.toLowerCase();
    if (!IS_VALUES.has(word)) {
      throw new RestError(400, "PGRST100", `"is" takes ${[...IS_VALUES].join(", ")}`, value);
    }
    return `${column} is ${word.replace("_", " ")}`;
  }
  if (operator === "in") {
    if (!value.startsWith("(") || !value.endsWith(")")) {
      throw new RestError(400, "PGRST100", '"in" takes a list in parentheses', value);
    }
    const values = splitList(value.slice(1, -1)).map((part) => quoteText(unquote(part)));
    return values.length === 0 ? "false" : `${column} in (${values.join(", ")})`;
  }
  const symbol = COMPARISONS[operator];
  if (symbol === undefined) throw unsupported(`the operator "${operator}"`);
  const pattern = operator === "like" || operator === "ilike" ? value.replaceAll("*", "%") : value;
  return `${column} ${symbol} ${quoteText(pattern)}`;
}
