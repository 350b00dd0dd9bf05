import postgres from "postgres";

/** A refusal in PostgREST's shape: HTTP status and `{ code, message, details, hint }`, nothing where `code` is null. */
export class RestError extends Error {
  override name = "RestError";

  constructor(
    readonly status: number,
    readonly code: string | null,
    message: string,
    readonly details: string | object | null = null,
    readonly hint: string | null = null,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** Refuses a PostgREST feature that the offline layer does not have, naming it. */
export function unsupported(feature: string): RestError {
  return new RestError(
    501,
    "LOCAL501",
    `The offline REST layer does not support ${feature}`,
    null,
    "A hosted project or 'supabase start' supports it",
  );
}

/** Turns whatever a request failed with into PostgREST's answer; `signedIn` tells 403 from 401. */
export function errorResponse(error: unknown, signedIn: boolean): Response {
  if (error instanceof RestError) {
    const { status, code, message, details, hint } = error;
    return reply(code === null ? {} : { code, details, hint, message }, status, error.headers);
  }
  if (error instanceof postgres.PostgresError) return fromDatabase(error, signedIn);
  const code = connectionCode(error);
  if (code === null) throw error;
  const body = {
    code: "PGRST001",
    details: code,
    hint: null,
    message: "Database client error. Retrying the connection.",
  };
  return reply(body, 503, { "retry-after": "1" });
}

/** A JSON answer; a status that has no body goes without, and one that HTTP here cannot say is 500. */
function reply(body: object, status: number, headers: Record<string, string> = {}): Response {
  const possible = status >= 200 && status <= 599 ? status : 500;
  return new Response([204, 205, 304].includes(possible) ? null : JSON.stringify(body), {
    status: possible,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
  });
}

function fromDatabase(error: postgres.PostgresError, signedIn: boolean): Response {
  if (error.code === "PGRST") return raisedByFunction(error);
  const { code, message, detail, hint } = error;
  const status = statusOfSqlstate(code, message, signedIn);
  const headers: Record<string, string> = status === 401 ? { "www-authenticate": "Bearer" } : {};
  return reply({ code, details: detail ?? null, hint: hint ?? null, message }, status, headers);
}

/** A function may raise SQLSTATE `PGRST` with the whole answer as JSON in message and detail. */
function raisedByFunction(error: postgres.PostgresError): Response {
  const body = jsonObject(error.message), answer = jsonObject(error.detail ?? "");
  const headers = answer.headers;
  if (
    typeof body.code !== "string" || typeof body.message !== "string" || typeof answer.status !== "number" ||
    typeof headers !== "object" || headers === null
  ) {
    const message = "The message and detail field of RAISE 'PGRST' error expects JSON";
    return reply({ code: "PGRST121", details: null, hint: null, message }, 500);
  }
  const { code, message, details = null, hint = null } = body;
  return reply({ code, details, hint, message }, answer.status, headers as Record<string, string>);
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(text) };
  } catch {
    return {};
  }
}

const STATUS_OF_CODE: Record<string, number> = {
  "23503": 409,
  "23505": 409,
  "25006": 405,
  "42883": 404,
  "42P01": 404,
  "57P01": 503,
  "P0001": 400,
};

const STATUS_OF_CLASS: Record<string, number> = {
  "08": 503,
  "09": 500,
  "0L": 403,
  "0P": 403,
  "25": 500,
  "28": 403,
  "2D": 500,
  "38": 500,
  "39": 500,
  "3B": 500,
  "40": 500,
  "53": 503,
  "54": 413,
  "55": 500,
  "57": 500,
  "58": 500,
  "F0": 500,
  "HV": 500,
  "P0": 500,
  "XX": 500,
};

/** PostgREST's mapping (docs.postgrest.org, "Errors": "Status Codes"). */
function statusOfSqlstate(code: string, message: string, signedIn: boolean): number {
  if (code === "42501") return signedIn ? 403 : 401;
  if (code.startsWith("PT")) return /^PT\d+$/.test(code) ? Number(code.slice(2)) : 500;
  if (code === "42883" && message.startsWith("function xmlagg(")) return 406;
  return STATUS_OF_CODE[code] ?? STATUS_OF_CLASS[code.slice(0, 2)] ?? 400;
}

const CONNECTION_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
]);

function connectionCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const { code } = error;
  return typeof code === "string" && CONNECTION_CODES.has(code) ? code : null;
}
