/** Plans what is read: a tree of relations, each with the columns, conditions and order that the request asks of it. */
import { RestError } from "./errors.ts";
import type { Condition, Field, OrderTerm, SelectedField, SelectItem } from "./grammar.ts";
import type { At } from "./query_string.ts";
import { ALL_ROWS, asksForNone, limited, NO_ROWS, type RowRange } from "./range.ts";
import { findRelationship, isToOne } from "./relationships.ts";
import type { RestRequest } from "./request.ts";
import type { Relationship, Snapshot } from "./snapshot.ts";

/** A relation to read from. */
export interface Source {
  /** Empty for the rows of a write or a call, which are there already. */
  schema: string;
  name: string;
  /** The name by which the statement knows it, if another. */
  alias: string | null;
}

/** One relation of the tree. */
export interface ReadNode {
  /** The name in the request, and the one that it gives. */
  name: string;
  alias: string | null;
  hint: string | null;
  join: "left" | "inner" | null;
  spread: boolean;
  depth: number;
  /** The table that decides the types of columns. */
  table: string;
  source: Source;
  /** The name of what the embedded rows become. */
  joinedAs: string;
  /** The relation that it is embedded in, and how it belongs to it. */
  way: { relationship: Relationship; parent: Source } | null;
  fields: SelectedField[];
  conditions: Condition[];
  order: OrderTerm[];
  range: RowRange;
  children: ReadNode[];
}

/** Plans a read, or what is answered of a write or call: then the rows are those of `pgrst_source`. */
export function planRead(
  request: RestRequest,
  snapshot: Snapshot,
  table: string,
  maxRows: number,
): ReadNode {
  const { action, schema, query } = request;
  const writes = action !== "read" && action !== "call";
  const root = initialNode(query.select, schema, table);
  each(writes ? query.filters.filter(({ path }) => path.length > 0) : query.filters, root, (node, filter) => {
    node.conditions.unshift(filter);
  });
  if (!writes) {
    each(query.order, root, (node, order) => {
      node.order = order;
    });
    const ranges = query.ranges.filter(({ path }) => path.length > 0);
    each([{ path: [], value: request.range }, ...ranges], root, (node, range) => {
      node.range = range;
    });
  }
  each(query.logic, root, (node, condition) => {
    node.conditions.unshift(condition);
  });
  if (action !== "read") root.source = { schema: "", name: "pgrst_source", alias: table };
  relate(root, snapshot, schema);
  checkOrder(root);
  checkSpread(root);
  refuseAggregates(root);
  if (!writes) restrict(root, maxRows);
  return root;
}

function initialNode(items: SelectItem[], schema: string, table: string): ReadNode {
  const node = emptyNode(schema, table, 0);
  fill(node, items, schema);
  return node;
}

function emptyNode(schema: string, table: string, depth: number): ReadNode {
  return {
    name: table,
    alias: null,
    hint: null,
    join: null,
    spread: false,
    depth,
    table,
    source: { schema, name: table, alias: null },
    joinedAs: "",
    way: null,
    fields: [],
    conditions: [],
    order: [],
    range: ALL_ROWS,
    children: [],
  };
}

function fill(node: ReadNode, items: SelectItem[], schema: string): void {
  for (const item of items) {
    if (item.kind === "field") {
      node.fields.push(item);
      continue;
    }
    const { relation, alias, hint, join, spread } = item;
    const child = { ...emptyNode(schema, relation, node.depth + 1), alias, hint, join, spread };
    fill(child, item.items, schema);
    node.children.push(child);
  }
}

/** The last part first, as PostgREST adds them: of two orders of a relation the first counts. */
function each<T>(parts: At<T>[], root: ReadNode, add: (node: ReadNode, value: T) => void): void {
  for (const { path, value } of parts.toReversed()) add(nodeAt(root, path), value);
}

/** What is spoken of comes first among its siblings, also in the answer. */
function nodeAt(root: ReadNode, path: string[]): ReadNode {
  let node = root;
  for (const name of path) {
    const child = node.children.find((one) => one.name === name || one.alias === name);
    if (child === undefined) throw notEmbedded(name);
    node.children = [child, ...node.children.filter((one) => one !== child)];
    node = child;
  }
  return node;
}

function notEmbedded(name: string): RestError {
  return new RestError(
    400,
    "PGRST108",
    `'${name}' is not an embedded resource in this request`,
    null,
    `Verify that '${name}' is included in the 'select' query parameter.`,
  );
}

function relate(parent: ReadNode, snapshot: Snapshot, schema: string): void {
  for (const node of parent.children) {
    const origin = parent.way === null ? parent.source.alias ?? parent.source.name : parent.source.name;
    const relationship = findRelationship(snapshot, schema, origin, node.name, node.hint);
    const target = relationship.foreignTable;
    node.joinedAs = `${relationship.table}_${node.alias ?? node.name}_${node.depth}`;
    node.way = { relationship, parent: parent.source };
    const alias = relationship.junction === null ? `${target}_${node.depth}` : null;
    node.source = { schema, name: target, alias };
    relate(node, snapshot, schema);
  }
}

function checkOrder(node: ReadNode): void {
  for (const { relation } of node.order) {
    if (relation === null) continue;
    const child = node.children.find((one) => relation === (one.alias ?? one.name));
    if (child === undefined || child.way === null) throw notEmbedded(relation);
    if (isToOne(child.way.relationship)) continue;
    const name = child.alias ?? child.name;
    throw new RestError(
      400,
      "PGRST118",
      `A related order on '${name}' is not possible`,
      `'${node.source.name}' and '${name}' do not form a many-to-one or one-to-one relationship`,
    );
  }
  node.children.forEach(checkOrder);
}

function checkSpread(node: ReadNode): void {
  if (node.spread && node.way !== null && !isToOne(node.way.relationship)) {
    throw new RestError(
      400,
      "PGRST119",
      `A spread operation on '${node.name}' is not possible`,
      `'${node.way.relationship.table}' and '${node.name}' do not form a many-to-one or one-to-one relationship`,
    );
  }
  node.children.forEach(checkSpread);
}

function refuseAggregates(node: ReadNode): void {
  if (node.fields.some(({ aggregated }) => aggregated)) {
    throw new RestError(400, "PGRST123", "Use of aggregate functions is not allowed");
  }
  node.children.forEach(refuseAggregates);
}

/** No answer holds more rows than `maxRows`, nor any list that is embedded in it. Nobody is told of the cut. */
function restrict(node: ReadNode, maxRows: number): void {
  node.range = asksForNone(node.range) ? NO_ROWS : limited(node.range, maxRows);
  for (const child of node.children) restrict(child, maxRows);
}

/** The columns that a write or a call must give so that what is asked of its rows can be read. */
export function neededColumns(node: ReadNode, primaryKey: string[]): string[] {
  const names = node.fields.map(({ field }) => field.name);
  const computes = node.children.some(({ way }) => way !== null && way.relationship.computed !== null);
  if (names.includes("*") || computes) return ["*"];
  const ofChildren = node.children.flatMap(({ way }) =>
    (way?.relationship.junction?.source ?? way?.relationship.columns ?? []).map(([own]) => own)
  );
  return [...new Set([...names, ...ofChildren, ...primaryKey])].sort();
}

/** The name under which a column is answered, where it is not its own. */
export function answeredAs({ alias, field }: SelectedField): string | null {
  return alias ?? (field.path.length === 0 ? null : lastKey(field));
}

function lastKey({ name, path }: Field): string {
  return path.findLast(({ index }) => !index)?.key ?? name;
}
