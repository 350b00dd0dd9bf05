/** What the layer knows of a schema: tables, how they belong together, functions, roles. */

/** How many rows of one side belong to how many of the other. */
export type Cardinality = "one-to-many" | "many-to-one" | "one-to-one" | "many-to-many";

/** A column of the table that embeds, and the column of the other side that equals it. */
export type Pair = [own: string, foreign: string];

/** The table between two others, with the columns of both that its own equal. */
export interface Junction {
  table: string;
  constraints: [string, string];
  source: Pair[];
  target: Pair[];
}

/** A way from one table to another. */
export interface Relationship {
  table: string;
  foreignTable: string;
  toItself: boolean;
  cardinality: Cardinality;
  /** The foreign key; empty with a junction. */
  constraint: string;
  columns: Pair[];
  junction: Junction | null;
  /** The function that gives the rows of the other side, in the place of a key. */
  computed: string | null;
}

/** A column of a table or view. */
export interface Column {
  name: string;
  /** As `format_type` writes it. */
  type: string;
  /** The expression of its default, if it has one. */
  default: string | null;
}

/** A table or view. */
export interface Relation {
  schema: string;
  name: string;
  isView: boolean;
  columns: Column[];
  primaryKey: string[];
}

/** A foreign key between two tables of one schema. */
export interface ForeignKey {
  name: string;
  table: string;
  columns: string[];
  foreignTable: string;
  foreignColumns: string[];
  /** True when a row of `foreignTable` has at most one row of `table`. */
  oneToOne: boolean;
}

/** An input of a function. */
export interface Input {
  name: string;
  type: string;
  optional: boolean;
  variadic: boolean;
}

/** A function. */
export interface Routine {
  schema: string;
  name: string;
  inputs: Input[];
  result: "void" | "scalar" | "composite";
  returnsSet: boolean;
  /** The table or view whose rows it returns, or the name of the type. */
  resultName: string;
  volatile: boolean;
  /** Its own `statement_timeout`. */
  timeout: string | null;
}

/** A function from a row to others. */
export interface ComputedRelationship {
  name: string;
  rowOf: string;
  returns: string;
  single: boolean;
}

/** What is known of one schema. */
export interface Snapshot {
  relations: Map<string, Relation>;
  /** By the table that they start from. */
  relationships: Map<string, Relationship[]>;
  routines: Map<string, Routine[]>;
  /** Functions that take a row and return others: computed relationships. */
  computed: ComputedRelationship[];
  /** `set_config` pairs that a role asks for, such as its statement timeout. */
  roleSettings: Map<string, [string, string][]>;
}
