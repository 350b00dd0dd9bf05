/** How tables belong together, and which of it a request means when it embeds one in another. */
import { RestError, unsupported } from "./errors.ts";
import { closest } from "./fuzzy.ts";
import type { Cardinality, ForeignKey, Pair, Relation, Relationship, Snapshot } from "./snapshot.ts";

/** Whether a row has at most one of the other side. */
export function isToOne({ cardinality }: Relationship): boolean {
  return cardinality === "many-to-one" || cardinality === "one-to-one";
}

const RANK: Cardinality[] = ["one-to-many", "many-to-one", "one-to-one", "many-to-many"];

/** All ways that foreign keys make, by the table that they start from. */
export function relationshipsOf(
  keys: ForeignKey[],
  relations: Map<string, Relation>,
): Map<string, Relationship[]> {
  const forward = keys.map((key): Relationship => ({
    table: key.table,
    foreignTable: key.foreignTable,
    toItself: key.table === key.foreignTable,
    cardinality: key.oneToOne ? "one-to-one" : "many-to-one",
    constraint: key.name,
    columns: key.columns.map((column, at) => [column, key.foreignColumns[at] ?? ""]),
    junction: null,
    computed: null,
  }));
  const backward = forward.map((way): Relationship => ({
    ...way,
    table: way.foreignTable,
    foreignTable: way.table,
    cardinality: way.cardinality === "one-to-one" ? "one-to-one" : "one-to-many",
    columns: swapped(way.columns),
  }));
  const all = [...forward, ...backward, ...throughJunctions(forward, relations)].sort((one, other) =>
    compare(one.foreignTable, other.foreignTable) ||
    RANK.indexOf(one.cardinality) - RANK.indexOf(other.cardinality) ||
    compare(sortKey(one), sortKey(other))
  );
  return Map.groupBy(all, ({ table }) => table);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function sortKey({ constraint, columns, junction }: Relationship): string {
  return junction === null
    ? `${constraint} ${columns.join()}`
    : `${junction.table} ${junction.constraints.join(" ")}`;
}

function swapped(pairs: Pair[]): Pair[] {
  return pairs.map(([own, foreign]) => [foreign, own]);
}

/** A table whose primary key has the columns of two foreign keys ties the tables that they point to. */
function throughJunctions(forward: Relationship[], relations: Map<string, Relation>): Relationship[] {
  const keys = forward.filter(({ cardinality }) => cardinality === "many-to-one");
  return keys.flatMap((one) =>
    keys.filter((other) => {
      const primaryKey = relations.get(one.table)?.primaryKey ?? [];
      return other.table === one.table && other.constraint !== one.constraint &&
        [...one.columns, ...other.columns].every(([column]) => primaryKey.includes(column));
    }).map((other): Relationship => ({
      table: one.foreignTable,
      foreignTable: other.foreignTable,
      toItself: one.foreignTable === other.foreignTable,
      cardinality: "many-to-many",
      constraint: "",
      columns: [],
      junction: {
        table: one.table,
        constraints: [one.constraint, other.constraint],
        source: swapped(one.columns),
        target: swapped(other.columns),
      },
      computed: null,
    }))
  );
}

/** The one way from `origin` that `target` and `hint` name. Throws when there is none, or more than one. */
export function findRelationship(
  { relations, relationships, computed }: Snapshot,
  schema: string,
  origin: string,
  target: string,
  hint: string | null,
): Relationship {
  const functions = computed.filter(({ name, rowOf }) => name === target && rowOf === origin);
  // A function stands in for the keys that lead to a table of its name.
  const found = [
    ...functions.map((one): Relationship => ({
      table: origin,
      foreignTable: one.returns,
      toItself: one.returns === origin,
      cardinality: one.single ? "many-to-one" : "one-to-many",
      constraint: "",
      columns: [],
      junction: null,
      computed: one.name,
    })),
    ...(relationships.get(origin) ?? []).filter((way) =>
      isMeant(way, target, hint) && !(functions.length > 0 && way.foreignTable === target)
    ),
  ];
  const [first, second] = found;
  if (first !== undefined && second === undefined && first.computed !== null) return first;
  for (const name of [origin, target]) {
    if (relations.get(name)?.isView) throw unsupported(`embedding in or of the view "${name}"`);
  }
  if (first === undefined) {
    const hinted = hint === null ? "" : `' using the hint '${hint}`;
    throw new RestError(
      400,
      "PGRST200",
      `Could not find a relationship between '${origin}' and '${target}' in the schema cache`,
      `Searched for a foreign key relationship between '${origin}' and '${target}${hinted}' in the schema '${schema}', but no matches were found.`,
      meant(relationships, origin, target),
    );
  }
  if (second !== undefined) throw ambiguous(origin, target, found);
  return first;
}

function meant(ways: Map<string, Relationship[]>, origin: string, target: string): string | null {
  const own = ways.get(origin);
  const guess = (name: string, known: string[]) => {
    const found = closest(name, known);
    return found === null || found === name ? null : `Perhaps you meant '${found}' instead of '${name}'.`;
  };
  return own === undefined
    ? guess(origin, [...ways.keys()])
    : guess(target, own.map(({ foreignTable }) => foreignTable));
}

function isMeant(way: Relationship, target: string, hint: string | null): boolean {
  const single = way.columns.length === 1 ? way.columns[0] : undefined;
  const byTable = target === way.foreignTable;
  if (way.toItself) {
    if (hint === null) {
      return (byTable && way.cardinality === "one-to-many") ||
        (single?.[0] === target && way.cardinality === "many-to-one");
    }
    return byTable && way.cardinality === "one-to-many" && single?.[1] === hint;
  }
  if (hint === null) {
    return byTable || (way.junction === null && (target === way.constraint || target === single?.[0]));
  }
  return byTable &&
    (way.junction === null
      ? [way.constraint, single?.[0], single?.[1]].includes(hint)
      : hint === way.junction.table);
}

function ambiguous(origin: string, target: string, found: Relationship[]): RestError {
  const names = found.map((way) => `'${way.foreignTable}!${way.junction?.table ?? way.constraint}'`).join(
    ", ",
  );
  return new RestError(
    300,
    "PGRST201",
    `Could not embed because more than one relationship was found for '${origin}' and '${target}'`,
    found.map((way) => ({
      cardinality: way.cardinality,
      embedding: `${way.table} with ${way.foreignTable}`,
      relationship: way.junction === null
        ? `${way.constraint} using ${way.table}${own(way.columns)} and ${way.foreignTable}${
          foreign(way.columns)
        }`
        : `${way.junction.table} using ${way.junction.constraints[0]}${foreign(way.junction.source)} and ${
          way.junction.constraints[1]
        }${foreign(way.junction.target)}`,
    })),
    `Try changing '${target}' to one of the following: ${names}. Find the desired relationship in the 'details' key.`,
  );
}

const own = (pairs: Pair[]) => `(${pairs.map(([column]) => column).join(", ")})`;
const foreign = (pairs: Pair[]) => `(${pairs.map(([, column]) => column).join(", ")})`;
