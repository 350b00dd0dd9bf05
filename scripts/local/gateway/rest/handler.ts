/** A small PostgREST: `/rest/v1/*` over one pool of connections, each request in one transaction under its role. */
import type postgres from "postgres";
import type { Caller } from "../caller.ts";
import { errorResponse, RestError, unsupported } from "./errors.ts";
import { type Preferences, readPreferences } from "./prefer.ts";
import { parseRowQuery } from "./query_string.ts";
import type { ProjectConfig } from "../project_config.ts";
import { findRoutine } from "./routine.ts";
import { type Relation, SchemaCache } from "./schema_cache.ts";
import {
  callStatement,
  deleteStatement,
  insertStatement,
  readStatement,
  type Statement,
  updateStatement,
} from "./statement.ts";

/** Answers one request; `path` is what follows `/rest/v1/`. */
export type RestHandler = (request: Request, path: string, caller: Caller) => Promise<Response>;

interface Layer {
  sql: postgres.Sql;
  cache: SchemaCache;
  maxRows: number;
  schemas: readonly string[];
}

interface Answer {
  body: string;
  rows: number;
  total?: number;
}

/**
 * Creates the layer over a pool that logs in as `authenticator`; no read answers more than `maxRows` rows, and nothing
 * outside `schemas` is shown.
 */
export function createRest(
  sql: postgres.Sql,
  { maxRows, schemas }: Pick<ProjectConfig, "maxRows" | "schemas">,
): RestHandler {
  const layer: Layer = { sql, cache: new SchemaCache(sql), maxRows, schemas };
  return async (request, path, caller) => {
    try {
      return await answer(request, path, caller, layer);
    } catch (error) {
      return errorResponse(error, caller.role !== "anon");
    }
  };
}

async function answer(request: Request, path: string, caller: Caller, layer: Layer) {
  const prefer = readPreferences(request, layer.schemas);
  const name = decodeURIComponent(path.replace(/\/$/, ""));
  if (name === "") throw unsupported("the OpenAPI description at /rest/v1/");
  return name.startsWith("rpc/")
    ? await call(request, name.slice("rpc/".length), caller, layer, prefer)
    : await table(request, name, caller, layer, prefer);
}

async function call(
  request: Request,
  name: string,
  caller: Caller,
  { sql, cache, maxRows }: Layer,
  prefer: Preferences,
): Promise<Response> {
  const reading = request.method === "GET" || request.method === "HEAD";
  if (!reading && request.method !== "POST") throw wrongMethod(request.method);
  const params = new URL(request.url).searchParams;
  const body = reading ? null : await request.text();
  const routine = await findRoutine(cache, prefer.schema, name, params, body);
  const query = parseRowQuery(routine.remaining);
  applyRange(request, query);
  const { foreignKeys, roleSettings } = await cache.current(prefer.schema);
  const statement = callStatement(routine, query, prefer, foreignKeys, maxRows);
  const settings = roleSettings.get(caller.role) ?? [];
  const readOnly = reading || !routine.routine.volatile;
  const result = await run(sql, statement, caller, request, settings, prefer.schema, readOnly, (found) => {
    if (prefer.single && routine.routine.result === "composite") requireSingle(found);
  });
  if (routine.routine.result === "void") return new Response(null, { status: 204 });
  const composite = routine.routine.result === "composite";
  const one = composite && (prefer.single || !routine.routine.returnsSet);
  return rowsResponse(request, result, one, prefer, query.offset, 200);
}

async function table(
  request: Request,
  name: string,
  caller: Caller,
  { sql, cache, maxRows }: Layer,
  prefer: Preferences,
): Promise<Response> {
  const { relations, foreignKeys, roleSettings } = await cache.current(prefer.schema);
  const relation = relations.get(name);
  if (relation === undefined) {
    throw new RestError(
      404,
      "PGRST205",
      `Could not find the table '${prefer.schema}.${name}' in the schema cache`,
    );
  }
  const params = new URL(request.url).searchParams;
  const query = parseRowQuery(params);
  applyRange(request, query);
  const reading = request.method === "GET" || request.method === "HEAD";
  const statement = reading
    ? readStatement(relation, query, prefer, foreignKeys, maxRows)
    : await write(request, relation, params, prefer, foreignKeys);
  const settings = roleSettings.get(caller.role) ?? [];
  const shown = reading || prefer.returned === "representation";
  const result = await run(sql, statement, caller, request, settings, prefer.schema, reading, (found) => {
    if (prefer.single && shown) requireSingle(found);
  });
  if (reading) return rowsResponse(request, result, prefer.single, prefer, query.offset, 200);
  const status = request.method === "POST" ? 201 : shown ? 200 : 204;
  if (!shown) {
    return new Response(null, { status, headers: { "content-range": contentRange(result, prefer, 0) } });
  }
  return rowsResponse(request, result, prefer.single, prefer, 0, status);
}

async function write(
  request: Request,
  relation: Relation,
  params: URLSearchParams,
  prefer: Preferences,
  foreignKeys: Parameters<typeof insertStatement>[5],
): Promise<Statement> {
  const query = parseRowQuery(params);
  if (prefer.returned !== "representation") query.items = [];
  if (request.method === "POST") {
    return insertStatement(relation, await request.text(), params, query, prefer, foreignKeys);
  }
  if (request.method === "PATCH") return updateStatement(relation, await request.text(), query, foreignKeys);
  if (request.method === "DELETE") return deleteStatement(relation, query, foreignKeys);
  if (request.method === "PUT") throw unsupported("PUT (use POST with Prefer: resolution=merge-duplicates)");
  throw wrongMethod(request.method);
}

/** One transaction: the role and what it may know of the request first, the statement right behind it. */
async function run(
  sql: postgres.Sql,
  statement: Statement,
  caller: Caller,
  request: Request,
  settings: [string, string][],
  schema: string,
  readOnly: boolean,
  check: (answer: Answer) => void,
): Promise<Answer> {
  const pairs = [
    ["search_path", `"${schema}", public, extensions`],
    ["role", caller.role],
    ["request.jwt.claims", JSON.stringify(caller.claims)],
    ["request.method", request.method],
    ["request.path", new URL(request.url).pathname],
    ["request.headers", JSON.stringify(Object.fromEntries(visibleHeaders(request.headers)))],
    ...settings,
  ];
  const configure = pairs.map((_, at) => `set_config($${at * 2 + 1}, $${at * 2 + 2}, true)`).join(", ");
  const found = await sql.begin(readOnly ? "read only" : "read write", async (tx) => {
    const configured = tx.unsafe(`select ${configure}`, pairs.flat(), { prepare: true });
    const answered = tx.unsafe<Answer[]>(statement.sql, statement.parameters, {
      prepare: statement.reusable,
    });
    const [, rows] = await Promise.all([configured, answered]);
    const [row] = rows;
    if (row === undefined) throw new Error("the statement answered without a row");
    check(row);
    return row;
  });
  return found;
}

/** Keys stay out of the database: a function or a log could repeat them. */
function* visibleHeaders(headers: Headers): Iterable<[string, string]> {
  for (const [name, value] of headers) if (name !== "apikey" && name !== "authorization") yield [name, value];
}

function requireSingle(found: Answer): void {
  if (found.rows === 1) return;
  throw new RestError(
    406,
    "PGRST116",
    "Cannot coerce the result to a single JSON object",
    `The result contains ${found.rows} rows`,
  );
}

function rowsResponse(
  request: Request,
  result: Answer,
  one: boolean,
  prefer: Preferences,
  offset: number,
  status: number,
): Response {
  if (prefer.count && result.total !== undefined && offset > result.total) {
    const details = `An offset of ${offset} was requested, but there are only ${result.total} rows.`;
    throw new RestError(416, "PGRST103", "Requested range not satisfiable", details);
  }
  const body = one ? firstElement(result) : result.body;
  const partial = status === 200 && result.total !== undefined && prefer.count && result.rows < result.total;
  return new Response(request.method === "HEAD" ? null : body, {
    status: partial ? 206 : status,
    headers: {
      "content-type": prefer.single
        ? "application/vnd.pgrst.object+json; charset=utf-8"
        : "application/json; charset=utf-8",
      "content-range": contentRange(result, prefer, offset),
    },
  });
}

function firstElement(result: Answer): string {
  const rows = JSON.parse(result.body);
  return result.rows === 0
    ? "null"
    : result.rows === 1
    ? result.body.trim().slice(1, -1)
    : JSON.stringify(rows[0]);
}

function contentRange(result: Answer, prefer: Preferences, offset: number): string {
  const range = result.rows === 0 ? "*" : `${offset}-${offset + result.rows - 1}`;
  return `${range}/${prefer.count ? result.total ?? result.rows : "*"}`;
}

/** `Range` counts for GET only, and together with `limit` and `offset`: what both allow is answered. */
function applyRange(request: Request, query: { limit: number | null; offset: number }): void {
  const match = /^(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
  if (match === null || request.method !== "GET") return;
  const first = Number(match[1]), last = match[2] === "" ? Infinity : Number(match[2]);
  const end = Math.min(last + 1, query.offset + (query.limit ?? Infinity));
  query.offset = Math.max(first, query.offset);
  if (end < query.offset || first > last) {
    const details =
      "The lower boundary must be lower than or equal to the upper boundary in the Range header.";
    throw new RestError(416, "PGRST103", "Requested range not satisfiable", details);
  }
  query.limit = end === Infinity ? null : end - query.offset;
}

function wrongMethod(method: string): RestError {
  return new RestError(405, "PGRST117", `Unsupported HTTP method: ${method}`);
}
