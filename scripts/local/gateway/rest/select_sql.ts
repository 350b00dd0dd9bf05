import { columnSql, orderSql, whereSql } from "./conditions_sql.ts";
import { RestError } from "./errors.ts";
import type { RowQuery, SelectItem } from "./query_string.ts";
import { quoteName } from "./quote.ts";
import type { ForeignKey } from "./schema_cache.ts";

type Embed = Extract<SelectItem, { kind: "embed" }>;

/** Where rows come from: an SQL source, the alias it is known by, and the table that embedding may start from. */
export interface RowSource {
  sql: string;
  alias: string;
  relation: string | null;
}

/** Writes the select that answers `query` from `source`, embedded relations included. */
export function selectSql(
  query: RowQuery,
  source: RowSource,
  foreignKeys: ForeignKey[],
  extra: string[] = [],
): string {
  const columns: string[] = [], joins: string[] = [];
  const conditions = [...extra];
  for (const item of query.items) {
    if (item.kind === "all") columns.push(`${quoteName(source.alias)}.*`);
    else if (item.kind === "column") columns.push(plainColumn(item, source.alias));
    else embed(item, query, source, foreignKeys, columns, joins, conditions);
  }
  if (columns.length === 0) columns.push("null as pgrst_nothing");
  const limit = query.limit === null ? "" : ` limit ${query.limit}`;
  const offset = query.offset === 0 ? "" : ` offset ${query.offset}`;
  return `select ${columns.join(", ")} from ${source.sql}${joins.join("")}` +
    whereSql(query.conditions, source.alias, conditions) + orderSql(query.order, source.alias) + limit +
    offset;
}

/** Lets no answer hold more rows than `maxRows`, nor any list that is embedded in it. Nobody is told of the cut. */
export function restrictRows(query: RowQuery, maxRows: number): RowQuery {
  const embedded = new Map<string, RowQuery>();
  for (const item of query.items) {
    if (item.kind !== "embed") continue;
    embedded.set(item.alias, restrictRows({ ...embeddedQuery(query, item), items: item.items }, maxRows));
  }
  return { ...query, limit: Math.min(query.limit ?? maxRows, maxRows), embedded };
}

/** What the request asks of an embedded relation: it may be named by alias or by table. */
function embeddedQuery(query: RowQuery, item: Embed): Omit<RowQuery, "items"> {
  return query.embedded.get(item.alias) ?? query.embedded.get(item.relation) ??
    { conditions: [], order: [], limit: null, offset: 0, embedded: new Map() };
}

function plainColumn(item: Extract<SelectItem, { kind: "column" }>, alias: string): string {
  const { column, cast } = item;
  const value = columnSql(column, alias) + (cast === null ? "" : `::${castType(cast)}`);
  return `${value} as ${quoteName(item.alias ?? column.path.at(-1)?.key ?? column.name)}`;
}

function castType(cast: string): string {
  if (!/^[\w ]+$/.test(cast)) throw new RestError(400, "PGRST100", `"${cast}" is not a type`);
  return cast;
}

function embed(
  item: Embed,
  query: RowQuery,
  source: RowSource,
  foreignKeys: ForeignKey[],
  columns: string[],
  joins: string[],
  conditions: string[],
): void {
  const { key, toOne, target } = findRelationship(item, source.relation, foreignKeys);
  const inner = `${source.alias}_${item.alias}`;
  const pairs = key.columns.map((column, at) => [column, key.foreignColumns[at] ?? ""] as const);
  const towards = key.foreignTable === target && key.table === source.relation;
  const join = pairs.map(([own, foreign]) =>
    `${quoteName(source.alias)}.${quoteName(towards ? own : foreign)} = ` +
    `${quoteName(inner)}.${quoteName(towards ? foreign : own)}`
  );
  const nested: RowQuery = { ...embeddedQuery(query, item), items: item.items };
  const rows = selectSql(
    nested,
    {
      sql: `${quoteName(key.schema)}.${quoteName(target)} ${quoteName(inner)}`,
      alias: inner,
      relation: target,
    },
    foreignKeys,
    join,
  );
  const lateral = quoteName(`${inner}_json`);
  const json = toOne ? "row_to_json(r)" : item.inner ? "json_agg(r)" : "coalesce(json_agg(r), '[]')";
  joins.push(` left join lateral (select ${json} as found from (${rows}) r) ${lateral} on true`);
  columns.push(`${lateral}.found as ${quoteName(item.alias)}`);
  if (item.inner) conditions.push(`${lateral}.found is not null`);
}

function findRelationship(item: Embed, from: string | null, foreignKeys: ForeignKey[]) {
  const candidates = foreignKeys.flatMap((key) => {
    const found = [];
    if (key.table === from && names(key, item, key.foreignTable, "columns")) {
      found.push({ key, toOne: true, target: key.foreignTable });
    }
    if (key.foreignTable === from && key.table !== from && names(key, item, key.table, "columns")) {
      found.push({ key, toOne: key.oneToOne, target: key.table });
    }
    return found;
  });
  const [first, second] = candidates;
  if (first === undefined) {
    throw new RestError(
      400,
      "PGRST200",
      `Could not find a relationship between '${from}' and '${item.relation}' in the schema cache`,
      "The offline layer follows foreign keys between tables; views and junction tables are not followed",
    );
  }
  if (second !== undefined) {
    throw new RestError(
      300,
      "PGRST201",
      `Could not embed because more than one relationship was found for '${from}' and '${item.relation}'`,
      candidates.map(({ key }) => key.name).join(", "),
      `Try '${item.relation}!${first.key.name}'`,
    );
  }
  return first;
}

function names(key: ForeignKey, item: Embed, target: string, side: "columns"): boolean {
  const named = item.relation === target || item.relation === key.name;
  const single = key[side].length === 1 && key[side][0] === (item.hint ?? item.relation);
  if (item.hint === null) return named || (single && key.foreignTable === target);
  return named && (item.hint === key.name || single);
}
