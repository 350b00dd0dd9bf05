import { RestError, unsupported } from "./errors.ts";
import { whereSql } from "./conditions_sql.ts";
import type { Preferences } from "./prefer.ts";
import { type RowQuery, splitList, unquote } from "./query_string.ts";
import { parseJson } from "./json_body.ts";
import { quoteName } from "./quote.ts";
import type { RoutineCall } from "./routine.ts";
import type { ForeignKey, Relation } from "./schema_cache.ts";
import { restrictRows, selectSql } from "./select_sql.ts";

/** One SQL statement that answers a whole request with a row `{ body, rows, total }`. */
export interface Statement {
  sql: string;
  parameters: string[];
  /** Worth keeping prepared: the text does not depend on values. */
  reusable: boolean;
}

function qualifiedName({ schema, name }: { schema: string; name: string }): string {
  return `${quoteName(schema)}.${quoteName(name)}`;
}

const ROWS = `coalesce(json_agg(pgrst_rows), '[]')::text as body, count(*)::int as rows`;

/** Reads rows of a table or view. */
export function readStatement(
  relation: Relation,
  query: RowQuery,
  prefer: Preferences,
  keys: ForeignKey[],
  maxRows: number,
): Statement {
  const source = {
    sql: qualifiedName(relation),
    alias: relation.name,
    relation: relation.name,
  };
  const rows = selectSql(restrictRows(query, maxRows), source, keys);
  const all = selectSql({ ...query, order: [], limit: null, offset: 0 }, source, keys);
  const total = prefer.count ? `, (select count(*) from (${all}) pgrst_all)::int as total` : "";
  return { sql: `select ${ROWS}${total} from (${rows}) pgrst_rows`, parameters: [], reusable: false };
}

/** Inserts the rows of a JSON body; with `resolution`, merges into or skips the rows that exist. */
export function insertStatement(
  relation: Relation,
  body: string,
  params: URLSearchParams,
  query: RowQuery,
  prefer: Preferences,
  keys: ForeignKey[],
): Statement {
  const names = columnsOfBody(body, params.get("columns"));
  const target = qualifiedName(relation);
  const list = names.map(quoteName).join(", ");
  const values = names.length === 0
    ? "default values"
    : `(${list}) select ${list} from ${recordSource(relation, names, body)}`;
  const conflict = prefer.resolution === null ? "" : conflictSql(relation, names, params, prefer.resolution);
  return writeStatement(
    `insert into ${target} ${values}${conflict}`,
    relation,
    query,
    keys,
    names.length ? [body] : [],
  );
}

/** Changes the rows that the filters name. */
export function updateStatement(
  relation: Relation,
  body: string,
  query: RowQuery,
  keys: ForeignKey[],
): Statement {
  const names = columnsOfBody(body, null);
  const where = requiredWhere("UPDATE", query, relation);
  const table = qualifiedName(relation);
  if (names.length === 0) {
    const nothing = `select * from ${table} where false`;
    return { sql: `select ${ROWS} from (${nothing}) pgrst_rows`, parameters: [], reusable: false };
  }
  const sets = names.map((name) => `${quoteName(name)} = pgrst_body.${quoteName(name)}`).join(", ");
  const sql = `update ${table} set ${sets} from ${recordSource(relation, names, body)}${where}`;
  return writeStatement(sql, relation, query, keys, [body]);
}

/** Deletes the rows that the filters name. */
export function deleteStatement(relation: Relation, query: RowQuery, keys: ForeignKey[]): Statement {
  const where = requiredWhere("DELETE", query, relation);
  return writeStatement(`delete from ${qualifiedName(relation)}${where}`, relation, query, keys, []);
}

/** Calls a function with named arguments taken from a JSON object. */
export function callStatement(
  { routine, names, body }: RoutineCall,
  query: RowQuery,
  prefer: Preferences,
  keys: ForeignKey[],
  maxRows: number,
): Statement {
  const fields = routine.inputs.filter((input) => names.includes(input.name));
  const args = fields.map(({ name }) => `${quoteName(name)} := pgrst_body.${quoteName(name)}`).join(", ");
  const columns = fields.map(({ name, type }) => `${quoteName(name)} ${type}`).join(", ");
  const call = `${qualifiedName(routine)}(${args})`;
  const record = fields.length === 0 ? "" : `json_to_record($1::text::json) as pgrst_body(${columns})`;
  const parameters = fields.length === 0 ? [] : [body];
  if (routine.result !== "composite") {
    const from = record === "" ? "" : ` from ${record}`;
    const result = routine.returnsSet
      ? "coalesce(json_agg(value), '[]')::text"
      : "coalesce((json_agg(value) -> 0)::text, 'null')";
    const found = `select ${call} as value${from}`;
    if (!routine.returnsSet) {
      const sql = `select ${result} as body, count(*)::int as rows from (${found}) pgrst_rows`;
      return { sql, parameters, reusable: true };
    }
    const { limit, offset } = restrictRows(query, maxRows);
    const total = prefer.count ? ", (select count(*) from pgrst_call)::int as total" : "";
    const sql = `with pgrst_call as materialized (${found}) select ${result} as body, count(*)::int as rows` +
      `${total} from (select value from pgrst_call limit ${limit} offset ${offset}) pgrst_rows`;
    return { sql, parameters, reusable: isPlain(query) };
  }
  const from = record === "" ? call : `${record}, lateral ${call}`;
  const source = { sql: "pgrst_call", alias: "pgrst_call", relation: routine.relation };
  const rows = selectSql(routine.returnsSet ? restrictRows(query, maxRows) : query, source, keys);
  const all = selectSql({ ...query, order: [], limit: null, offset: 0 }, source, keys);
  const total = prefer.count ? `, (select count(*) from (${all}) pgrst_all)::int as total` : "";
  const head = `with pgrst_call as materialized (select pgrst_row.* from ${from} as pgrst_row)`;
  return {
    sql: `${head} select ${ROWS}${total} from (${rows}) pgrst_rows`,
    parameters,
    reusable: isPlain(query),
  };
}

function isPlain(query: RowQuery): boolean {
  return query.conditions.length === 0 && query.order.length === 0 && query.limit === null &&
    query.offset === 0;
}

function writeStatement(
  write: string,
  relation: Relation,
  query: RowQuery,
  keys: ForeignKey[],
  parameters: string[],
): Statement {
  const source = {
    sql: `pgrst_source ${quoteName(relation.name)}`,
    alias: relation.name,
    relation: relation.name,
  };
  const rows = selectSql({ ...query, conditions: [], limit: null, offset: 0 }, source, keys);
  const returning = ` returning ${quoteName(relation.name)}.*`;
  const sql =
    `with pgrst_source as (${write}${returning}) select ${ROWS}, count(*)::int as total from (${rows}) pgrst_rows`;
  return { sql, parameters, reusable: false };
}

/** The rows of the body, whether it is one object or a list of them. */
function recordSource(relation: Relation, names: string[], body: string): string {
  const columns = names.map((name) => {
    const column = relation.columns.find((candidate) => candidate.name === name);
    if (column === undefined) {
      const message = `Could not find the '${name}' column of '${relation.name}' in the schema cache`;
      throw new RestError(400, "PGRST204", message);
    }
    return `${quoteName(name)} ${column.type}`;
  });
  const expand = body.trimStart().startsWith("[") ? "json_to_recordset" : "json_to_record";
  return `${expand}($1::text::json) as pgrst_body(${columns.join(", ")})`;
}

function columnsOfBody(body: string, columns: string | null): string[] {
  const value = parseJson(body);
  if (columns !== null) return splitList(columns).map(unquote);
  const rows: unknown[] = Array.isArray(value) ? value : [value];
  const [first] = rows;
  if (rows.some((row) => typeof row !== "object" || row === null || Array.isArray(row))) {
    throw new RestError(400, "PGRST102", "The body must be a JSON object or a list of objects");
  }
  const names = Object.keys(first ?? {});
  const same = rows.every((row) => {
    const own = Object.keys(row ?? {});
    return own.length === names.length && own.every((name) => names.includes(name));
  });
  if (!same) throw new RestError(400, "PGRST102", "All object keys must match");
  return names;
}

function conflictSql(
  relation: Relation,
  names: string[],
  params: URLSearchParams,
  resolution: "merge-duplicates" | "ignore-duplicates",
): string {
  const asked = params.get("on_conflict");
  const target = asked === null ? relation.primaryKey : splitList(asked).map(unquote);
  if (target.length === 0) return "";
  const on = ` on conflict (${target.map(quoteName).join(", ")})`;
  if (resolution === "ignore-duplicates") return `${on} do nothing`;
  return `${on} do update set ${
    names.map((name) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(", ")
  }`;
}

/** Supabase loads pg-safeupdate for the API: a write without filters is refused. */
function requiredWhere(command: string, query: RowQuery, relation: Relation): string {
  if (query.limit !== null || query.offset !== 0) throw unsupported(`limit and offset with ${command}`);
  if (query.conditions.length === 0) throw new RestError(400, "21000", `${command} requires a WHERE clause`);
  return whereSql(query.conditions, relation.name);
}
