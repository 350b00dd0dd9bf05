import type postgres from "postgres";

/** A column of a table or view, or an input of a function. */
export interface Field {
  name: string;
  /** As `format_type` writes it. */
  type: string;
}

/** A table or view. */
export interface Relation {
  schema: string;
  name: string;
  columns: Field[];
  primaryKey: string[];
}

/** A foreign key between two tables of one schema. */
export interface ForeignKey {
  schema: string;
  name: string;
  table: string;
  columns: string[];
  foreignTable: string;
  foreignColumns: string[];
  /** True when a row of `foreignTable` has at most one row of `table`. */
  oneToOne: boolean;
}

/** A function. */
export interface Routine {
  schema: string;
  name: string;
  inputs: (Field & { optional: boolean })[];
  result: "void" | "scalar" | "composite";
  returnsSet: boolean;
  /** The table or view whose rows it returns, if any. */
  relation: string | null;
  volatile: boolean;
}

interface Snapshot {
  relations: Map<string, Relation>;
  foreignKeys: ForeignKey[];
  routines: Map<string, Routine[]>;
  /** `set_config` pairs that a role asks for, such as its statement timeout. */
  roleSettings: Map<string, [string, string][]>;
}

/** What the layer knows of each schema: read on first use, and again after the database says that it changed. */
export class SchemaCache {
  readonly #snapshots = new Map<string, Promise<Snapshot>>();
  #listening: Promise<unknown> | null = null;

  constructor(readonly sql: postgres.Sql) {}

  /** Returns the current knowledge of an exposed schema. */
  async current(schema: string): Promise<Snapshot> {
    this.#listening ??= this.sql.listen("pgrst", () => this.forget(), () => this.forget());
    await this.#listening.catch((error) => {
      this.#listening = null;
      throw error;
    });
    const known = this.#snapshots.get(schema);
    if (known !== undefined) return await known;
    const snapshot = load(this.sql, schema);
    this.#snapshots.set(schema, snapshot);
    snapshot.catch(() => this.forget());
    return await snapshot;
  }

  /** Forgets everything, so that the next request reads the schema again. */
  forget(): void {
    this.#snapshots.clear();
  }
}

async function load(sql: postgres.Sql, schema: string): Promise<Snapshot> {
  const [row] = await sql.unsafe(QUERY, [schema]);
  const found = JSON.parse(row?.snapshot);
  const routines = new Map<string, Routine[]>();
  for (const routine of found.routines as Routine[]) {
    routines.set(routine.name, [...(routines.get(routine.name) ?? []), routine]);
  }
  return {
    relations: new Map((found.relations as Relation[]).map((relation) => [relation.name, relation])),
    foreignKeys: found.foreignKeys,
    routines,
    roleSettings: new Map((found.roles as { name: string; settings: string[] }[]).map((role) => [
      role.name,
      role.settings.filter((setting) => setting.startsWith("statement_timeout=")).map((setting) => {
        const equals = setting.indexOf("=");
        return [setting.slice(0, equals), setting.slice(equals + 1)];
      }),
    ])),
  };
}

const QUERY = `
select json_build_object(
  'relations', (
    select coalesce(json_agg(json_build_object(
      'schema', $1::text,
      'name', c.relname,
      'columns', (
        select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod))
          order by a.attnum), '[]')
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      ),
      'primaryKey', (
        select coalesce(json_agg(a.attname order by k.position), '[]')
        from pg_index i
        cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
        where i.indrelid = c.oid and i.indisprimary
      )
    )), '[]')
    from pg_class c where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
  ),
  'foreignKeys', (
    select coalesce(json_agg(json_build_object(
      'schema', $1::text,
      'name', k.conname,
      'table', s.relname,
      'columns', (select json_agg(a.attname order by p.position) from unnest(k.conkey) with ordinality as p (attnum, position)
        join pg_attribute a on a.attrelid = s.oid and a.attnum = p.attnum),
      'foreignTable', t.relname,
      'foreignColumns', (select json_agg(a.attname order by p.position) from unnest(k.confkey) with ordinality as p (attnum, position)
        join pg_attribute a on a.attrelid = t.oid and a.attnum = p.attnum),
      'oneToOne', exists (select from pg_index i where i.indrelid = s.oid and i.indisunique and i.indpred is null
        and string_to_array(i.indkey::text, ' ')::int2[] <@ k.conkey)
    )), '[]')
    from pg_constraint k
    join pg_class s on s.oid = k.conrelid and s.relnamespace = $1::text::regnamespace
    join pg_class t on t.oid = k.confrelid and t.relnamespace = $1::text::regnamespace
    where k.contype = 'f'
  ),
  'routines', (
    select coalesce(json_agg(json_build_object(
      'schema', $1::text,
      'name', p.proname,
      'inputs', (
        select coalesce(json_agg(json_build_object('name', coalesce(u.name, ''), 'type', format_type(u.type, null),
          'optional', u.nth > p.pronargs - p.pronargdefaults) order by u.nth), '[]')
        from (
          select a.type, p.proargnames[a.position] as name, row_number() over (order by a.position) as nth
          from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as a (type, position)
          where coalesce(p.proargmodes[a.position], 'i') in ('i', 'b', 'v')
        ) u
      ),
      'result', case
        when p.prorettype = 'void'::regtype then 'void'
        when t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false) then 'composite'
        else 'scalar' end,
      'returnsSet', p.proretset,
      'relation', (select c.relname from pg_class c where c.oid = t.typrelid and c.relkind <> 'c'
        and c.relnamespace = $1::text::regnamespace),
      'volatile', p.provolatile = 'v'
    )), '[]')
    from pg_proc p
    join pg_type t on t.oid = p.prorettype
    where p.pronamespace = $1::text::regnamespace and p.prokind = 'f'
      and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  ),
  'roles', (
    select coalesce(json_agg(json_build_object('name', rolname, 'settings', rolconfig)), '[]')
    from pg_roles where rolconfig is not null
  )
)::text as snapshot`;
