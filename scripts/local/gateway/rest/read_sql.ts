/** Writes SQL for a tree of relations. Values are untyped literals: the column decides their type. */
import type { Condition, Field, Filter, OrderTerm, SelectedField } from "./grammar.ts";
import { answeredAs, type ReadNode, type Source } from "./plan.ts";
import { quoteList, quoteName, quoteText } from "./quote.ts";
import { limitSql } from "./range.ts";
import { isToOne } from "./relationships.ts";
import type { Relation, Snapshot } from "./snapshot.ts";

const COMPARISONS: Record<string, string> = {
  neq: "<>",
  cs: "@>",
  cd: "<@",
  ov: "&&",
  sl: "<<",
  sr: ">>",
  nxr: "&<",
  nxl: "&>",
  adj: "-|-",
  eq: "=",
  gte: ">=",
  gt: ">",
  lte: "<=",
  lt: "<",
  like: "like",
  ilike: "ilike",
  match: "~",
  imatch: "~*",
};

const TEXT_SEARCH: Record<string, string> = {
  fts: "to_tsquery",
  plfts: "plainto_tsquery",
  phfts: "phraseto_tsquery",
  wfts: "websearch_to_tsquery",
};

/** A relation as `from` names it. */
export function qualified({ schema, name }: { schema: string; name: string }): string {
  return schema === "" ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`;
}

const known = (source: Source): string => source.alias === null ? qualified(source) : quoteName(source.alias);

/** Writes the select that answers a node, with all that is embedded in it. */
export function selectSql(node: ReadNode, snapshot: Snapshot): string {
  const table = snapshot.relations.get(node.table);
  const source = known(node.source);
  const own = node.fields.map((field) => selectedSql(field, source, table));
  const columns = own.length === 0 && node.children.length === 0 ? [`${source}.*`] : own;
  const embedded = node.children.flatMap(embeddedColumn);
  const joins = node.children.map((child) => joinSql(child, snapshot));
  return `select ${[...columns, ...embedded].join(", ")} from ${fromSql(node)}${joins.join("")}` +
    whereSql(conditionsOf(node, table)) + orderSql(node.order, source, table, node) +
    limitSql(node.range);
}

/** Writes the select with a row for each row that would be answered without a limit. */
export function countSql(node: ReadNode, snapshot: Snapshot): string {
  const exists = (child: ReadNode) => `exists (${countSql(child, snapshot)})`;
  const conditions = conditionsOf(node, snapshot.relations.get(node.table), exists);
  const required = node.children.filter(({ join }) => join === "inner").map(exists);
  return `select 1 from ${fromSql(node)}${whereSql([...conditions, ...required])}`;
}

function fromSql(node: ReadNode): string {
  const { source, way } = node;
  const alias = source.alias === null ? "" : ` as ${quoteName(source.alias)}`;
  const junction = way?.relationship.junction;
  if (way !== null && way.relationship.computed !== null) return computedSql(node, way, alias);
  const second = junction ? `, ${qualified({ schema: source.schema, name: junction.table })}` : "";
  return qualified(source) + alias + second;
}

/** The rows that a function gives for the row that they are embedded in. */
function computedSql(
  { source }: ReadNode,
  { relationship, parent }: NonNullable<ReadNode["way"]>,
  alias: string,
): string {
  const { schema } = source;
  const row = `${quoteName(parent.alias ?? parent.name)}::${qualified({ schema, name: relationship.table })}`;
  return `${qualified({ schema, name: relationship.computed ?? "" })}(${row})${alias}`;
}

function conditionsOf(
  node: ReadNode,
  table: Relation | undefined,
  exists?: (child: ReadNode) => string,
): string[] {
  const source = known(node.source);
  const own = node.conditions.map((condition) =>
    conditionSql(condition, source, table, node.children, exists)
  );
  return [...own, ...joinConditions(node)];
}

function joinConditions({ way, source }: ReadNode): string[] {
  if (way === null) return [];
  const { relationship, parent } = way;
  const column = (relation: string, name: string) => `${relation}.${quoteName(name)}`;
  if (relationship.junction === null) {
    return relationship.columns.map(([own, foreign]) =>
      `${column(known(source), foreign)} = ${column(known(parent), own)}`
    );
  }
  const between = qualified({ schema: source.schema, name: relationship.junction.table });
  return [
    ...relationship.junction.target.map(([own, foreign]) =>
      `${column(between, foreign)} = ${column(qualified(source), own)}`
    ),
    ...relationship.junction.source.map(([own, foreign]) =>
      `${column(between, foreign)} = ${column(known(parent), own)}`
    ),
  ];
}

function isEmptyEmbed({ fields, children }: ReadNode): boolean {
  return fields.length === 0 && children.length === 0;
}

function embeddedColumn(node: ReadNode): string[] {
  const joined = quoteName(node.joinedAs), name = quoteName(node.alias ?? node.name);
  if (node.spread) return spreadNames(node).map((column) => `${joined}.${column}`);
  if (isEmptyEmbed(node)) return [];
  return [
    node.way !== null && isToOne(node.way.relationship)
      ? `row_to_json(${joined}.*)::jsonb as ${name}`
      : `coalesce(${joined}.${joined}, '[]') as ${name}`,
  ];
}

function spreadNames(node: ReadNode): string[] {
  const own = node.fields.map((selected) =>
    selected.field.name === "*" ? "*" : quoteName(answeredAs(selected) ?? selected.field.name)
  );
  const nested = node.children.flatMap((child) =>
    child.spread ? spreadNames(child) : [quoteName(child.alias ?? child.name)]
  );
  return [...own, ...nested];
}

function joinSql(node: ReadNode, snapshot: Snapshot): string {
  const rows = selectSql(node, snapshot), joined = quoteName(node.joinedAs);
  const join = node.join === "inner" ? "inner" : "left";
  if (node.spread || (node.way !== null && isToOne(node.way.relationship))) {
    return ` ${join} join lateral (${rows}) as ${joined} on true`;
  }
  const list = `select json_agg(${joined})::jsonb as ${joined} from (${rows}) as ${joined}`;
  return ` ${join} join lateral (${list}) as ${joined} on ${
    join === "inner" ? `${joined} is not null` : "true"
  }`;
}

/** Writes `where …`, or nothing without conditions. */
export function whereSql(conditions: string[]): string {
  return conditions.length === 0 ? "" : ` where ${conditions.join(" and ")}`;
}

/** Writes `order by …`, or nothing. */
export function orderSql(
  order: OrderTerm[],
  source: string,
  table: Relation | undefined,
  node: ReadNode | null,
): string {
  if (order.length === 0) return "";
  const terms = order.map(({ relation, field, direction, nulls }) => {
    const child = node?.children.find((one) => relation === (one.alias ?? one.name));
    const column = relation === null || child === undefined
      ? fieldSql(field, source, table)
      : fieldSql(field, quoteName(child.joinedAs), undefined);
    return `${column}${direction === null ? "" : ` ${direction}`}${nulls === null ? "" : ` nulls ${nulls}`}`;
  });
  return ` order by ${terms.join(", ")}`;
}

function selectedSql(selected: SelectedField, source: string, table: Relation | undefined): string {
  const value = fieldSql(selected.field, source, table);
  const cast = selected.cast === null ? value : `cast(${value} as ${selected.cast})`;
  const name = answeredAs(selected);
  return name === null ? cast : `${cast} as ${quoteName(name)}`;
}

/** Writes a column of `source`, with its JSON path. */
function fieldSql({ name, path }: Field, source: string, table: Relation | undefined): string {
  const base = name === "*" ? `${source}.*` : `${source}.${quoteName(name)}`;
  if (path.length === 0) return base;
  const type = table?.columns.find((column) => column.name === name)?.type;
  const steps = path.map(({ arrow, key, index }) => `${arrow}${quoteText(key)}${index ? "::int" : ""}`);
  return (type === "json" || type === "jsonb" ? base : `to_jsonb(${base})`) + steps.join("");
}

/** Writes a condition on rows of `source`; a null check of one of `children` asks whether it has rows, by `exists`. */
export function conditionSql(
  condition: Condition,
  source: string,
  table: Relation | undefined,
  children: ReadNode[] = [],
  exists?: (child: ReadNode) => string,
): string {
  const not = condition.negated ? "not " : "";
  if (condition.kind === "group") {
    const parts = condition.conditions.map((part) => conditionSql(part, source, table, children, exists));
    return `${not}(${parts.join(` ${condition.word} `)})`;
  }
  const { field, operation } = condition;
  const child = field.path.length === 0
    ? children.find((one) => field.name === (one.alias ?? one.name))
    : undefined;
  if (child !== undefined && operation.kind === "is" && operation.value === "null") {
    if (exists !== undefined) return `${condition.negated ? "" : "not "}${exists(child)}`;
    return `${quoteName(child.joinedAs)} is ${condition.negated ? "" : "not "}distinct from null`;
  }
  return `${not}${fieldSql(field, source, table)} ${operationSql(operation)}`;
}

function operationSql(operation: Filter["operation"]): string {
  if (operation.kind === "is") return `is ${operation.value}`;
  if (operation.kind === "distinct") return `is distinct from ${quoteText(operation.value)}`;
  if (operation.kind === "in") {
    const none = operation.values.length === 1 && operation.values[0] === "";
    return `= any (${quoteList(none ? [] : operation.values)})`;
  }
  if (operation.kind === "fts") {
    const language = operation.language === null ? "" : `${quoteText(operation.language)}, `;
    return `@@ ${TEXT_SEARCH[operation.operator]}(${language}${quoteText(operation.value)})`;
  }
  const { operator, quantifier, value } = operation;
  const literal = quoteText(operator === "like" || operator === "ilike" ? value.replaceAll("*", "%") : value);
  return `${COMPARISONS[operator]} ${quantifier === null ? literal : `${quantifier}(${literal})`}`;
}
