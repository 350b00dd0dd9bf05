/** A refusal of Auth. */
export class AuthError extends Error {
  override name = "AuthError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly more: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

const VERSION = "2024-01-01";

/** The answer of a refusal, in the shape that the caller's version of the API has. */
export function errorResponse({ status, code, message, more }: AuthError, request: Request): Response {
  const asked = request.headers.get("x-supabase-api-version") ?? "";
  if (asked < VERSION) {
    return Response.json({ code: status, error_code: code, msg: message, ...more }, { status });
  }
  return Response.json({ code, message, ...more }, {
    status,
    headers: { "x-supabase-api-version": VERSION },
  });
}

/** Refuses what the offline Auth does not have, naming it. */
export function unsupported(what: string): AuthError {
  return new AuthError(501, "unsupported", `The offline Auth does not support ${what}`);
}
