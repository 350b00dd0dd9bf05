/**
 * A small PostgREST: `/rest/v1/*` over one pool of connections, each request in one transaction under its role. What it
 * accepts, answers and refuses is what PostgREST 12.0.2 does (docs/testing.md has the differences).
 */
import type postgres from "postgres";
import type { Caller } from "../caller.ts";
import type { ProjectConfig } from "../project_config.ts";
import { errorResponse, RestError } from "./errors.ts";
import { chooseRepresentation, type Representation } from "./media_type.ts";
import { neededColumns, planRead } from "./plan.ts";
import { requireKnown } from "./prefer.ts";
import { countSql, selectSql } from "./read_sql.ts";
import { readRequest, type RestRequest } from "./request.ts";
import { answerCall, answerRead, answerWrite, type Found } from "./response.ts";
import { argumentsOf, callSql, findRoutine } from "./routine.ts";
import { SchemaCache } from "./schema_cache.ts";
import type { Routine, Snapshot } from "./snapshot.ts";
import { bodySql, locationSql } from "./body_sql.ts";
import { refuseViewMerge, writeSql } from "./write_sql.ts";

/** Answers one request; `path` is what follows `/rest/v1/`. */
export type RestHandler = (request: Request, path: string, caller: Caller) => Promise<Response>;

export interface RestOptions extends Pick<ProjectConfig, "maxRows" | "schemas"> {
  timeouts?: boolean;
  settings?: () => [string, string][];
}

interface Layer {
  sql: postgres.Sql;
  cache: SchemaCache;
  maxRows: number;
  schemas: readonly string[];
  timeouts: boolean;
  settings: () => [string, string][];
}

/** One SQL statement that answers a whole request. */
interface Statement {
  sql: string;
  /** `$1`, where the statement has it. */
  body: string | null;
  /** Worth keeping prepared: the text does not depend on values. */
  reusable: boolean;
  readOnly: boolean;
  /** Settings of the function that is called. */
  settings: [string, string][];
  /** The statement whose estimated rows are asked for as well. */
  planned: string | null;
}

/** The row of a statement; the driver gives numbers of eight bytes as text. */
type Answered = Omit<Found, "rows" | "total"> & { rows: string; total: string | null };

/**
 * Creates the layer over a pool that logs in as `authenticator`; no read answers more than `maxRows` rows, and nothing
 * outside `schemas` is shown. Without `timeouts` no statement is ended for its time, whatever roles and functions say.
 * Each transaction begins with `settings`.
 */
export function createRest(
  sql: postgres.Sql,
  { maxRows, schemas, timeouts = true, settings = () => [] }: RestOptions,
): RestHandler {
  const layer: Layer = { sql, cache: new SchemaCache(sql), maxRows, schemas, timeouts, settings };
  return async (request, path, caller) => {
    try {
      const asked = await readRequest(request, path, {
        schemas,
        timeZones: () => layer.cache.timeZones(),
      });
      return await answer(asked, caller, layer);
    } catch (error) {
      return errorResponse(error, caller.role !== "anon");
    }
  };
}

async function answer(request: RestRequest, caller: Caller, layer: Layer): Promise<Response> {
  const snapshot = await layer.cache.current(request.schema);
  const negotiated = layer.schemas.length > 1 || request.headers.has("accept-profile") ||
    request.headers.has("content-profile");
  const profile = negotiated ? request.schema : null;
  if (request.action === "call") return await call(request, caller, layer, profile);
  if (request.action === "read") return await read(request, caller, layer, snapshot, profile);
  return await write(request, caller, layer, snapshot, profile);
}

async function read(
  request: RestRequest,
  caller: Caller,
  layer: Layer,
  snapshot: Snapshot,
  profile: string | null,
): Promise<Response> {
  const node = planRead(request, snapshot, request.name, layer.maxRows);
  const shown = chooseRepresentation(request.accepted);
  requireKnown(request.prefer);
  const count = countSql(node, snapshot);
  const body = request.method === "HEAD" ? "''" : bodySql(shown, null);
  const statement =
    `with pgrst_source as (${selectSql(node, snapshot)})${countedAs(request, count, layer)} ` +
    `select ${totalSql(request)} as total, count(_postgrest_t) as rows, ${body} as body, ${SETTINGS} ` +
    `from (select * from pgrst_source) _postgrest_t`;
  const found = await run(request, caller, layer, snapshot, {
    sql: statement,
    body: null,
    reusable: false,
    readOnly: true,
    settings: [],
    planned: plannedCount(request, count),
  }, (rows) => requireSingle(rows, shown));
  return answerRead(request, found, shown, profile);
}

async function write(
  request: RestRequest,
  caller: Caller,
  layer: Layer,
  snapshot: Snapshot,
  profile: string | null,
): Promise<Response> {
  const { action, prefer, name, schema, payload } = request;
  const node = planRead(request, snapshot, name, layer.maxRows);
  const relation = snapshot.relations.get(name);
  const primaryKey = relation?.primaryKey ?? [];
  const silent = prefer.returned === null || prefer.returned === "minimal";
  const change = {
    request,
    target: { schema, name },
    relation,
    returning: silent ? [] : neededColumns(node, primaryKey),
  };
  refuseViewMerge(change);
  const source = writeSql(change);
  requireKnown(prefer);
  const shown = chooseRepresentation(request.accepted);
  const full = prefer.returned === "representation";
  const inserts = action === "insert" || action === "upsert";
  const merges = action === "upsert" || (inserts && prefer.resolution === "merge-duplicates");
  const location = action === "insert" && prefer.returned === "headers-only"
    ? locationSql(primaryKey)
    : "null";
  const sql = `with pgrst_source as (${source}) ` +
    `select null::bigint as total, count(_postgrest_t) as rows, ${
      full ? bodySql(shown, null) : "''"
    } as body, ` +
    `${SETTINGS}, ${location} as location, ` +
    `${merges ? "nullif(current_setting('pgrst.inserted', true), '')" : "null"} as inserted ` +
    `from (${full ? selectSql(node, snapshot) : "select * from pgrst_source"}) _postgrest_t`;
  const found = await run(request, caller, layer, snapshot, {
    sql,
    body: source.includes("$1") ? payload?.text ?? "" : null,
    reusable: false,
    readOnly: false,
    settings: [],
    planned: null,
  }, (rows) => requireWritten(request, rows, shown));
  return answerWrite(request, found, shown, profile, primaryKey.length > 0);
}

async function call(
  request: RestRequest,
  caller: Caller,
  layer: Layer,
  profile: string | null,
): Promise<Response> {
  const { routine, snapshot } = await knownRoutine(request, layer);
  const table = routine.result === "composite" ? routine.resultName : routine.name;
  const node = planRead(request, snapshot, table, layer.maxRows);
  const shown = chooseRepresentation(request.accepted);
  requireKnown(request.prefer);
  const count = countSql(node, snapshot);
  const source = callSql(request, routine, neededColumns(node, []));
  const body = request.method === "HEAD" ? "''" : bodySql(shown, routine);
  const rows = routine.returnsSet ? "count(_postgrest_t)" : "1";
  const sql = `with pgrst_source as (${source})${countedAs(request, count, null)} ` +
    `select ${totalSql(request)} as total, ${rows} as rows, ${body} as body, ${SETTINGS} ` +
    `from (${selectSql(node, snapshot)}) _postgrest_t`;
  const { query } = request;
  const found = await run(request, caller, layer, snapshot, {
    sql,
    body: source.includes("$1") ? argumentsOf(request, routine) : null,
    reusable: query.filters.length === 0 && query.logic.length === 0 && query.ranges.length === 0,
    readOnly: request.method !== "POST" || !routine.volatile,
    settings: routine.timeout === null ? [] : [["statement_timeout", routine.timeout]],
    planned: null,
  }, (rows) => requireSingle(rows, shown));
  return answerCall(request, found, shown, profile, routine.result === "void");
}

/** A function that is not known is looked for again: the news of a changed schema may still be on its way. */
async function knownRoutine(
  request: RestRequest,
  { cache }: Layer,
): Promise<{ routine: Routine; snapshot: Snapshot }> {
  const find = async () => {
    const snapshot = await cache.current(request.schema);
    return { routine: findRoutine(request, snapshot), snapshot };
  };
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof RestError) || error.code !== "PGRST202") throw error;
    cache.forget();
    return await find();
  }
}

/** What a function may say of the answer. */
const SETTINGS = "nullif(current_setting('response.headers', true), '') as headers, " +
  "nullif(current_setting('response.status', true), '') as status";

function isCounted({ prefer }: RestRequest): boolean {
  return prefer.count === "exact" || prefer.count === "estimated";
}

function countedAs(request: RestRequest, count: string, layer: Layer | null): string {
  if (!isCounted(request)) return "";
  const limit = request.prefer.count === "estimated" && layer !== null ? ` limit ${layer.maxRows + 1}` : "";
  return `, pgrst_source_count as (${count}${limit})`;
}

function totalSql(request: RestRequest): string {
  return isCounted(request) ? "(select count(*) from pgrst_source_count)" : "null::bigint";
}

function plannedCount({ prefer }: RestRequest, count: string): string | null {
  return prefer.count === "planned" || prefer.count === "estimated" ? `explain (format json) ${count}` : null;
}

function requireSingle(rows: number, { format }: Representation): void {
  if (format !== "single" || rows === 1) return;
  throw new RestError(
    406,
    "PGRST116",
    "JSON object requested, multiple (or no) rows returned",
    `The result contains ${rows} rows`,
    null,
    // PostgREST sends the header twice.
    { "content-type": "application/json; charset=utf-8, application/vnd.pgrst.object+json; charset=utf-8" },
  );
}

function requireWritten({ action, range }: RestRequest, rows: number, shown: Representation): void {
  if (action === "upsert") {
    if (rows === 1) return;
    throw new RestError(400, "PGRST115", "Payload values do not match URL in primary key column(s)");
  }
  requireSingle(rows, shown);
  const limit = 1 + range.last - range.first;
  if (action === "insert" || rows <= limit) return;
  const details = `Results contain ${rows} rows changed but the maximum number allowed is ${limit}`;
  throw new RestError(400, "PGRST110", "The maximum number of rows allowed to change was surpassed", details);
}

/** One transaction: the role and what it may know of the request first, the statement right behind it. */
async function run(
  request: RestRequest,
  caller: Caller,
  layer: Layer,
  snapshot: Snapshot,
  statement: Statement,
  check: (rows: number) => void,
): Promise<Found> {
  return await layer.sql.begin(statement.readOnly ? "read only" : "read write", async (tx) => {
    const configured = configure(tx, request, caller, layer, snapshot, statement);
    const answered = tx.unsafe<Answered[]>(statement.sql, statement.body === null ? [] : [statement.body], {
      prepare: statement.reusable,
    });
    const [, [row]] = await Promise.all([configured, answered]);
    if (row === undefined) throw new Error("the statement answered without a row");
    const rows = Number(row.rows);
    check(rows);
    const total = row.total === null ? null : Number(row.total);
    return { ...row, rows, total: await estimated(tx, request, layer.maxRows, statement, total) };
  });
}

function configure(
  tx: postgres.TransactionSql,
  request: RestRequest,
  caller: Caller,
  { timeouts, settings }: Layer,
  { roleSettings }: Snapshot,
  statement: Statement,
) {
  // A snapshot keeps no other settings of roles and functions.
  const limits = timeouts ? [...roleSettings.get(caller.role) ?? [], ...statement.settings] : [];
  const { timezone } = request.prefer;
  const pairs = [
    ["search_path", `"${request.schema}", public, extensions`],
    ["role", caller.role],
    ["request.jwt.claims", JSON.stringify(caller.claims)],
    ["request.method", request.method],
    ["request.path", request.path],
    ["request.headers", JSON.stringify(Object.fromEntries(visibleHeaders(request.headers)))],
    ...(timezone === null ? [] : [["timezone", timezone]]),
    ...limits,
    ...settings(),
  ];
  const text = pairs.map((_, at) => `set_config($${at * 2 + 1}, $${at * 2 + 2}, true)`).join(", ");
  return tx.unsafe(`select ${text}`, pairs.flat(), { prepare: true });
}

/** The total as it is, or as the planner sees it, where that is asked for. */
async function estimated(
  tx: postgres.TransactionSql,
  { prefer }: RestRequest,
  maxRows: number,
  { planned }: Statement,
  total: number | null,
): Promise<number | null> {
  if (planned === null || (prefer.count !== "planned" && (total ?? 0) <= maxRows)) return total;
  const [plan] = await tx.unsafe(planned);
  return Math.max(Number(plan?.["QUERY PLAN"][0].Plan["Plan Rows"]), total ?? 0);
}

/** Keys stay out of the database: a function or a log could repeat them. */
function* visibleHeaders(headers: Headers): Iterable<[string, string]> {
  for (const [name, value] of headers) {
    if (!["apikey", "authorization", "cookie"].includes(name)) yield [name, value];
  }
}
