import { DatabaseSync, type StatementSync, type SupportedValueType } from "node:sqlite";
import { INDEXED_PATHS, type Internals, type Kind, type Records } from "./records.ts";

const SCHEMA = `
create table if not exists objects (
  seq integer primary key autoincrement, id text not null, kind text not null,
  created integer not null, body text not null, unique (id, kind)
) strict;
create index if not exists objects_kind on objects (kind, seq);
create table if not exists internals (
  kind text not null, id text not null, body text not null, primary key (kind, id)
) strict, without rowid;
create table if not exists events (
  seq integer primary key autoincrement, id text not null unique, type text not null,
  created integer not null, body text not null
) strict;
create table if not exists deliveries (
  id integer primary key autoincrement, event_id text not null, endpoint_id text not null,
  attempts integer not null default 0, next_at integer not null, state text not null default 'pending'
) strict;
create index if not exists deliveries_due on deliveries (state, next_at, id);
create index if not exists deliveries_event on deliveries (event_id);
create table if not exists attempts (
  id integer primary key autoincrement, event_id text not null, type text not null, endpoint_id text not null,
  url text not null, attempt integer not null, status integer not null, error text, response text,
  at integer not null, duration_ms integer not null
) strict;
create table if not exists idempotency (
  key text primary key, fingerprint text not null, status integer, body text, request_id text not null,
  at integer not null
) strict, without rowid;
create table if not exists tasks (
  id integer primary key autoincrement, due_at integer not null, kind text not null, subject text not null
) strict;
create index if not exists tasks_due on tasks (due_at);
`;

/** The kind of what was deleted begins so. */
const GONE = "deleted ";

/** Counts up whenever what is kept changes its shape. */
const STATE_VERSION = 2;

/** The state on disk cannot be used: another version wrote it, or another stand-in has it. */
export class StateError extends Error {
  override name = "StateError";
}

/** How a list is filtered: a dotted path into the object, and the value it must have, or one of several. */
export type Filter = readonly [path: string, value: string | number | boolean | readonly string[]];
export interface CreatedRange {
  gt?: number;
  gte?: number;
  lt?: number;
  lte?: number;
}
export interface ListQuery {
  limit: number;
  filters?: readonly Filter[];
  created?: CreatedRange;
  startingAfter?: string;
  endingBefore?: string;
}

/** A path in SQLite's syntax. Paths are constants of this program, never input. */
function jsonPath(path: string): string {
  return `json_extract(body, '$.${path}')`;
}

/** Conditions and arguments of a page of any table with `seq`, `id` and `created`. */
export function pageConditions(
  query: ListQuery,
  table: string,
  kind: Kind | null = null,
): { where: string[]; args: SupportedValueType[] } {
  const cursor = `(select seq from ${table} where id = ?${kind === null ? "" : ` and kind = '${kind}'`})`;
  const where: string[] = [];
  const args: SupportedValueType[] = [];
  const add = (condition: string, value: SupportedValueType) => {
    where.push(condition);
    args.push(value);
  };
  for (const [path, value] of query.filters ?? []) {
    if (typeof value === "object") {
      where.push(`${jsonPath(path)} in (${value.map(() => "?").join(", ")})`);
      args.push(...value);
    } else add(`${jsonPath(path)} = ?`, typeof value === "boolean" ? Number(value) : value);
  }
  const { created = {} } = query;
  if (created.gt !== undefined) add("created > ?", created.gt);
  if (created.gte !== undefined) add("created >= ?", created.gte);
  if (created.lt !== undefined) add("created < ?", created.lt);
  if (created.lte !== undefined) add("created <= ?", created.lte);
  if (query.startingAfter !== undefined) {
    add(`seq < ${cursor}`, query.startingAfter);
  }
  if (query.endingBefore !== undefined) {
    add(`seq > ${cursor}`, query.endingBefore);
  }
  return { where, args };
}

/**
 * Everything the stand-in knows, in one SQLite file: what is committed survives kill -9, memory stays flat
 * however many events there are, and one request is one transaction.
 */
export class Store {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** `file` null keeps everything in memory. */
  constructor(file: string | null) {
    this.#db = new DatabaseSync(file ?? ":memory:");
    this.#lock(file);
    // The operating system keeps written pages when only the process dies, so synchronous=off is enough here.
    this.#db.exec("pragma page_size = 4096; pragma journal_mode = wal; pragma synchronous = off;");
    this.#db.exec(
      "pragma cache_size = -16000; pragma wal_autocheckpoint = 1000; pragma temp_store = memory;",
    );
    this.#checkVersion(file);
    this.#db.exec(SCHEMA);
    for (const [kind, path] of INDEXED_PATHS) {
      const name = `ix_${kind}_${path}`.replaceAll(".", "_");
      this.#db.exec(
        `create index if not exists ${name} on objects (${jsonPath(path)}, seq) where kind = '${kind}'`,
      );
    }
  }

  /** Two that share a file would both make its deliveries. The lock ends with the process, however it ends. */
  #lock(file: string | null): void {
    try {
      this.#db.exec("pragma locking_mode = exclusive; begin exclusive; commit;");
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes("database is locked")) throw error;
      throw new StateError(`${file} is in use: stop the other stand-in, or choose another data folder`);
    }
  }

  /** Refuses a file that another version of the stand-in wrote, rather than misreading it. */
  #checkVersion(file: string | null): void {
    const written = Number(this.#db.prepare("pragma user_version").get()?.user_version ?? 0);
    const [{ tables = 0 } = {}] = this.#db.prepare("select count(*) as tables from sqlite_master").all();
    if (written === STATE_VERSION || tables === 0) {
      this.#db.exec(`pragma user_version = ${STATE_VERSION}`);
      return;
    }
    this.#db.close();
    throw new StateError(
      `${file} was written by another version of the Stripe stand-in: start with \`deno task dev --fresh\`, or remove the file`,
    );
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs a statement; returns the number of rows changed. */
  run(sql: string, ...args: SupportedValueType[]): number {
    return Number(this.#prepare(sql).run(...args).changes);
  }

  /** All rows of a query whose columns the caller knows. */
  rows<T>(sql: string, ...args: SupportedValueType[]): T[] {
    return this.#prepare(sql).all(...args) as T[];
  }

  /** The first row, if any. */
  row<T>(sql: string, ...args: SupportedValueType[]): T | undefined {
    return this.#prepare(sql).get(...args) as T | undefined;
  }

  /** All or nothing. */
  transaction<T>(work: () => T): T {
    this.#prepare("begin immediate").run();
    try {
      const result = work();
      this.#prepare("commit").run();
      return result;
    } catch (error) {
      this.#prepare("rollback").run();
      throw error;
    }
  }

  /** The object with this id, unless it was deleted. */
  get<K extends Kind>(kind: K, id: string): Records[K] | undefined {
    const row = this.row<{ body: string }>("select body from objects where id = ? and kind = ?", id, kind);
    return row === undefined ? undefined : JSON.parse(row.body) as Records[K];
  }

  /** The object with this id, whatever its kind; where ids of one's own are alike, the one of `kind` goes first. */
  find(id: string, kind = ""): Records[Kind] | undefined {
    const row = this.row<{ body: string }>(
      "select body from objects where id = ? order by kind = ? desc, seq limit 1",
      id,
      kind,
    );
    return row === undefined ? undefined : JSON.parse(row.body) as Records[Kind];
  }

  put<K extends Kind>(kind: K, object: Records[K] & { created?: number }): void {
    this.run(
      `insert into objects (id, kind, created, body) values (?, ?, ?, ?)
       on conflict (id, kind) do update set body = excluded.body`,
      object.id,
      kind,
      object.created ?? 0,
      JSON.stringify(object),
    );
  }

  /** Deletes an object: it is neither served nor listed. What names it still knows it as it was. */
  remove(kind: Kind, id: string): void {
    this.run("delete from objects where id = ? and kind = ?", id, GONE + kind);
    this.run("update objects set kind = ? where id = ? and kind = ?", GONE + kind, id, kind);
  }

  /** The object with this id, also one that was deleted since. */
  known<K extends Kind>(kind: K, id: string): Records[K] | undefined {
    return this.get(kind, id) ?? this.get(`${GONE}${kind}` as K, id);
  }

  /** A page, newest first, and whether there is more in the direction walked. */
  list<K extends Kind>(kind: K, query: ListQuery): { data: Records[K][]; hasMore: boolean } {
    const { where, args } = pageConditions(query, "objects", kind);
    const backwards = query.endingBefore !== undefined;
    // The kind is a literal so that the partial index of a filtered property applies.
    const rows = this.rows<{ body: string }>(
      `select body from objects where ${[`kind = '${kind}'`, ...where].join(" and ")}
       order by seq ${backwards ? "asc" : "desc"} limit ?`,
      ...args,
      query.limit + 1,
    );
    const page = rows.slice(0, query.limit).map((row) => JSON.parse(row.body) as Records[K]);
    return { data: backwards ? page.reverse() : page, hasMore: rows.length > query.limit };
  }

  /** Every object of a kind that passes the filters. */
  all<K extends Kind>(kind: K, ...filters: Filter[]): Records[K][] {
    return this.list(kind, { limit: 100_000, filters }).data;
  }

  internals<K extends keyof Internals>(kind: K, id: string): Internals[K] | undefined {
    const row = this.row<{ body: string }>("select body from internals where kind = ? and id = ?", kind, id);
    return row === undefined ? undefined : JSON.parse(row.body) as Internals[K];
  }

  setInternals<K extends keyof Internals>(kind: K, id: string, value: Internals[K]): void {
    this.run(
      `insert into internals (kind, id, body) values (?, ?, ?)
       on conflict (kind, id) do update set body = excluded.body`,
      kind,
      id,
      JSON.stringify(value),
    );
  }
}
