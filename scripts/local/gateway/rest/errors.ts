import postgres from "postgres";

/** A refusal in PostgREST's shape: HTTP status and `{ code, message, details, hint }`. */
export class RestError extends Error {
  override name = "RestError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: string | null = null,
    readonly hint: string | null = null,
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
    return Response.json(bodyOf(error.code, error.message, error.details, error.hint), {
      status: error.status,
    });
  }
  if (error instanceof postgres.PostgresError) return fromDatabase(error, signedIn);
  const code = connectionCode(error);
  if (code !== null) {
    return Response.json(
      bodyOf("PGRST001", "Database client error. Retrying the connection.", code, null),
      { status: 503, headers: { "retry-after": "1" } },
    );
  }
  throw error;
}

function bodyOf(code: string, message: string, details: string | null, hint: string | null) {
  return { code, details, hint, message };
}

function fromDatabase(error: postgres.PostgresError, signedIn: boolean): Response {
  if (error.code === "PGRST") return raisedByFunction(error);
  return Response.json(bodyOf(error.code, error.message, error.detail ?? null, error.hint ?? null), {
    status: statusOfSqlstate(error.code, signedIn),
  });
}

/** A function may raise SQLSTATE `PGRST` with the whole answer as JSON in message and detail. */
function raisedByFunction(error: postgres.PostgresError): Response {
  try {
    const body = JSON.parse(error.message);
    const reply = JSON.parse(error.detail ?? "");
    return Response.json(bodyOf(body.code, body.message, body.details ?? null, body.hint ?? null), {
      status: reply.status,
      headers: reply.headers ?? {},
    });
  } catch {
    const detail = "MESSAGE and DETAIL must be JSON objects with code, message and status, headers";
    return Response.json(
      bodyOf("PGRST121", "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error", detail, null),
      {
        status: 500,
      },
    );
  }
}

const STATUS_OF_CODE: Record<string, number> = {
  "23503": 409,
  "23505": 409,
  "25006": 405,
  "42883": 404,
  "42P01": 404,
  "42P17": 500,
  "53400": 500,
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
  "54": 500,
  "55": 500,
  "57": 500,
  "58": 500,
  "F0": 500,
  "HV": 500,
  "P0": 500,
  "XX": 500,
};

/** PostgREST's mapping (docs.postgrest.org, "Errors": "Status Codes"). */
function statusOfSqlstate(code: string, signedIn: boolean): number {
  if (code === "42501") return signedIn ? 403 : 401;
  const custom = /^PT(\d{3})$/.exec(code);
  if (custom !== null) return Number(custom[1]);
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
