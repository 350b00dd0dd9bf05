/** Reads a request into what it asks for, or refuses it, in the order in which PostgREST looks. */
import { contentType, type Payload, readPayload } from "./body.ts";
import { RestError, unsupported } from "./errors.ts";
import { acceptedTypes } from "./media_type.ts";
import { type Preferences, readPreferences } from "./prefer.ts";
import { parseQuery, type Query } from "./query_string.ts";
import {
  ALL_ROWS,
  asksForNone,
  intersection,
  isEmpty,
  NO_ROWS,
  rangeOfHeader,
  type RowRange,
} from "./range.ts";

export type Action = "read" | "insert" | "update" | "upsert" | "delete" | "call";

/** A request of the REST layer. */
export interface RestRequest {
  action: Action;
  /** The table, view or function. */
  name: string;
  method: string;
  /** What follows `/rest/v1`. */
  path: string;
  headers: Headers;
  schema: string;
  query: Query;
  /** Rows of the relation itself. */
  range: RowRange;
  prefer: Preferences;
  /** Media types that the answer may have, the most wanted first. */
  accepted: string[];
  contentType: string;
  payload: Payload | null;
}

/** What reading needs to know of the project. */
export interface Exposed {
  schemas: readonly string[];
  timeZones: () => Promise<ReadonlySet<string>>;
}

/** Reads `request`; `path` is what follows `/rest/v1/`. */
export async function readRequest(request: Request, path: string, exposed: Exposed): Promise<RestRequest> {
  const { method, headers } = request;
  const parts = path.split("/").map(decodeURIComponent);
  const isCall = parts.length === 2 && parts[0] === "rpc";
  if (path === "") throw unsupported("the OpenAPI description at /rest/v1/");
  if (parts.length > 1 && !isCall) throw new RestError(404, null, "");
  const action = actionOf(method, isCall);
  const search = new URL(request.url).search.slice(1);
  const query = parseQuery(search, isCall && method !== "POST");
  const schema = schemaOf(headers, method, exposed.schemas);
  const range = requestedRange(method, query, headers);
  const type = contentType(headers);
  const hasBody = ["insert", "update", "upsert"].includes(action) || (action === "call" && method === "POST");
  const columns = action === "upsert" ? null : query.columns;
  const payload = hasBody ? readPayload(await request.text(), type, columns, isCall) : null;
  const named = (headers.get("prefer") ?? "").includes("timezone=");
  return {
    action,
    name: parts.at(-1) ?? "",
    method,
    path: `/${path}`,
    headers,
    schema,
    query,
    range,
    prefer: readPreferences(headers, named ? await exposed.timeZones() : new Set()),
    accepted: acceptedTypes(headers.get("accept")),
    contentType: type,
    payload,
  };
}

function actionOf(method: string, isCall: boolean): Action {
  if (isCall) {
    if (["GET", "HEAD", "POST"].includes(method)) return "call";
    throw new RestError(405, "PGRST101", `Cannot use the ${method} method on RPC`);
  }
  const actions: Record<string, Action> = {
    GET: "read",
    HEAD: "read",
    POST: "insert",
    PATCH: "update",
    PUT: "upsert",
    DELETE: "delete",
  };
  const action = actions[method];
  if (action === undefined) throw new RestError(405, "PGRST117", `Unsupported HTTP method: ${method}`);
  return action;
}

/** Reads have their schema in another header than the rest. */
function schemaOf(headers: Headers, method: string, schemas: readonly string[]): string {
  const writes = ["POST", "PATCH", "PUT", "DELETE"].includes(method);
  const asked = headers.get(writes ? "content-profile" : "accept-profile");
  if (asked === null) return schemas[0] ?? "";
  if (schemas.includes(asked)) return asked;
  throw new RestError(406, "PGRST106", `The schema must be one of the following: ${schemas.join(", ")}`);
}

/** `Range` counts for GET only, and together with `limit` and `offset`: what both allow is answered. */
function requestedRange(method: string, { ranges, order }: Query, headers: Headers): RowRange {
  const asked = ranges.find(({ path }) => path.length === 0)?.value ?? ALL_ROWS;
  const header = method === "GET" ? rangeOfHeader(headers.get("range")) : ALL_ROWS;
  const both = asksForNone(asked) ? NO_ROWS : intersection(header, asked);
  if (isEmpty(both) && !asksForNone(asked)) {
    const details = isEmpty(header)
      ? "The lower boundary must be lower than or equal to the upper boundary in the Range header."
      : "Limit should be greater than or equal to zero.";
    throw new RestError(416, "PGRST103", "Requested range not satisfiable", details);
  }
  if (["PATCH", "DELETE"].includes(method) && ranges.length > 0 && order.length === 0) {
    const hint = "Apply an 'order' using unique column(s)";
    throw new RestError(400, "PGRST109", "A 'limit' was applied without an explicit 'order'", null, hint);
  }
  if (method === "PUT" && (both.first !== 0 || both.last !== Infinity)) {
    const message = "limit/offset querystring parameters are not allowed for PUT";
    throw new RestError(400, "PGRST114", message);
  }
  return both;
}
