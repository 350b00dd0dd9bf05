/** Writes SQL for inserts, updates and deletes: the statement `pgrst_source` that changes rows and returns them. */
import type { Payload } from "./body.ts";
import { RestError, unsupported } from "./errors.ts";
import type { Condition } from "./grammar.ts";
import { conditionSql, orderSql, qualified, whereSql } from "./read_sql.ts";
import { quoteName, quoteText } from "./quote.ts";
import { limitSql } from "./range.ts";
import type { RestRequest } from "./request.ts";
import type { Column, Relation } from "./snapshot.ts";

/** What a write changes, and the columns that it gives back. */
export interface Change {
  request: RestRequest;
  /** Its schema and name; `relation` is missing when nothing is known of it. */
  target: { schema: string; name: string };
  relation: Relation | undefined;
  returning: string[];
}

/** Counts the rows that a merging insert really inserts: one more for each, one less for each that it updates. */
function counted(change: "+" | "-"): string {
  const found = "coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0)";
  return `set_config('pgrst.inserted', (${found} ${change} 1)::text, true) <> '${change === "+" ? 0 : -1}'`;
}

/** Writes the statement of a write. Refuses what PostgREST refuses before it asks the database. */
export function writeSql(change: Change): string {
  const { action } = change.request;
  if (action === "upsert") return insertSql(change, primaryKeyConditions(change));
  if (action === "insert") return insertSql(change, []);
  const columns = action === "update" ? typedColumns(change) : [];
  return action === "update" ? updateSql(change, columns) : deleteSql(change);
}

function insertSql(change: Change, conditions: Condition[]): string {
  const { request: { prefer, query, payload, action }, target, relation } = change;
  const columns = typedColumns(change);
  const names = columns.map(({ name }) => quoteName(name));
  const isPut = action === "upsert";
  const defaults = !isPut && prefer.missing === "default";
  const rows = ` select ${names.map((name) => `pgrst_body.${name}`).join(", ")} from ${
    bodyRows(payload, columns, defaults)
  }`;
  const merges = isPut || prefer.resolution === "merge-duplicates";
  const where = whereSql([
    ...(merges ? [counted("+")] : []),
    ...conditions.map((condition) => conditionSql(condition, "pgrst_body", relation)),
  ]);
  const keys = isPut ? relation?.primaryKey : query.onConflict ?? relation?.primaryKey;
  const conflict = isPut || prefer.resolution !== null ? conflictSql(keys ?? [], names, merges) : "";
  const list = names.length === 0 ? "" : ` (${names.join(", ")})`;
  return `insert into ${qualified(target)}${list}${rows}${where}${conflict}${returningSql(change)}`;
}

function conflictSql(keys: string[], names: string[], merges: boolean): string {
  if (keys.length === 0) return "";
  const on = ` on conflict (${keys.map(quoteName).join(", ")})`;
  if (!merges || names.length === 0) return `${on} do nothing`;
  return `${on} do update set ${names.map((name) => `${name} = excluded.${name}`).join(", ")} where ${
    counted("-")
  }`;
}

function updateSql(change: Change, columns: Column[]): string {
  const { request: { prefer, query, payload, range }, target, relation, returning } = change;
  const table = qualified(target);
  if (columns.length === 0) {
    const shown = returning.map((name) => columnSql(quoteName(target.name), name)).join(", ");
    return `select ${shown || "null"} from ${table} where false`;
  }
  const rows = bodyRows(payload, columns, prefer.missing === "default");
  const names = columns.map(({ name }) => quoteName(name));
  const conditions = conditionsOf(change);
  if (range.first === 0 && range.last === Infinity) {
    requireWhere("UPDATE", conditions);
    const sets = names.map((name) => `${name} = pgrst_body.${name}`).join(", ");
    return `update ${table} set ${sets} from ${rows}${whereSql(conditions)}${returningSql(change)}`;
  }
  const sets = names.map((name) => `${name} = (select ${name} from pgrst_update_body)`).join(", ");
  const order = query.order.find(({ path }) => path.length === 0)?.value ?? [];
  const body = `pgrst_update_body as (select ${names.join(", ")} from ${rows} limit 1)`;
  return `with ${body}, ${
    affectedSql(change, relation)
  } update ${table} set ${sets} from pgrst_affected_rows` +
    `${affectedWhere(table, order)}${returningSql(change)}`;
}

function deleteSql(change: Change): string {
  const { request: { query, range }, target, relation } = change;
  const table = qualified(target), conditions = conditionsOf(change);
  if (range.first === 0 && range.last === Infinity) {
    requireWhere("DELETE", conditions);
    return `delete from ${table}${whereSql(conditions)}${returningSql(change)}`;
  }
  const order = query.order.find(({ path }) => path.length === 0)?.value ?? [];
  return `with ${affectedSql(change, relation)} delete from ${table} using pgrst_affected_rows` +
    `${affectedWhere(table, order)}${returningSql(change)}`;
}

/** The rows within the limit, by the columns of the order, which should be unique. */
function affectedSql(change: Change, relation: Relation | undefined): string {
  const { request: { query, range }, target } = change;
  const table = qualified(target);
  const order = query.order.find(({ path }) => path.length === 0)?.value ?? [];
  const columns = order.map(({ field }) => columnSql(table, field.name)).join(", ");
  return `pgrst_affected_rows as (select ${columns} from ${table}${whereSql(conditionsOf(change))}` +
    `${orderSql(order, table, relation, null)}${limitSql(range)})`;
}

function affectedWhere(table: string, order: { field: { name: string } }[]): string {
  return whereSql(
    order.map(({ field }) =>
      `${columnSql(table, field.name)} = ${columnSql("pgrst_affected_rows", field.name)}`
    ),
  );
}

function conditionsOf({ request: { query }, target, relation }: Change): string[] {
  const own = query.filters.filter(({ path }) => path.length === 0);
  return [...own, ...query.logic].map(({ value }) => conditionSql(value, qualified(target), relation));
}

function columnSql(source: string, name: string): string {
  return name === "*" ? `${source}.*` : `${source}.${quoteName(name)}`;
}

function returningSql({ target, returning }: Change): string {
  const columns = returning.map((name) => columnSql(qualified(target), name));
  return ` returning ${columns.length === 0 ? "1" : columns.join(", ")}`;
}

/** `PUT` names one row by its whole primary key. */
function primaryKeyConditions({ request: { query }, relation }: Change): Condition[] {
  const keys = relation?.primaryKey ?? [];
  const own = query.filters.filter(({ path }) => path.length === 0).map(({ value }) => value);
  const exact = keys.length > 0 && query.logic.length === 0 && query.filterNames.length === keys.length &&
    keys.every((key) => query.filterNames.includes(key)) &&
    own.every(({ negated, operation }) =>
      !negated && operation.kind === "compare" && operation.operator === "eq" && operation.quantifier === null
    );
  if (exact) return own;
  const message = "Filters must include all and only primary key columns with 'eq' operators";
  throw new RestError(405, "PGRST105", message);
}

function typedColumns({ request: { payload }, relation }: Change): Column[] {
  return (payload?.keys ?? []).map((name) => {
    if (relation === undefined) throw new RestError(404, null, "no such relation");
    const column = relation.columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    const message = `Column '${name}' of relation '${relation.name}' does not exist`;
    throw new RestError(400, "PGRST204", message);
  });
}

/** The rows of the body `$1` as `pgrst_body`, whether it is one object or a list of them. */
export function bodyRows(
  payload: Payload | null,
  columns: Pick<Column, "name" | "type" | "default">[],
  defaults: boolean,
): string {
  const kind = defaults ? "jsonb" : "json";
  const body = `$1::text::${kind}`;
  const isList = payload?.text.trimStart().startsWith("[") ?? false;
  const rows = isList ? body : `${kind}_build_array(${body})`;
  const known = columns.flatMap((column) =>
    column.default === null ? [] : [`${quoteText(column.name)}, ${column.default}`]
  );
  const list = defaults
    ? `(select jsonb_agg(jsonb_build_object(${
      known.join(", ")
    }) || elem) from jsonb_array_elements(${rows}) elem)`
    : rows;
  if (columns.length === 0) return `${kind}_array_elements(${list}) pgrst_body`;
  const typed = columns.map(({ name, type }) => `${quoteName(name)} ${type}`).join(", ");
  return `${kind}_to_recordset(${list}) as pgrst_body(${typed})`;
}

/** Supabase loads pg-safeupdate for the API: a write without conditions is refused. */
function requireWhere(command: string, conditions: string[]): void {
  if (conditions.length === 0) throw new RestError(400, "21000", `${command} requires a WHERE clause`);
}

/** Views that need more than their own columns to be written to. */
export function refuseViewMerge({ request: { prefer, query }, relation }: Change): void {
  if (relation?.isView && prefer.resolution !== null && query.onConflict === null) {
    throw unsupported(`Prefer: resolution of the view "${relation.name}" without on_conflict`);
  }
}
