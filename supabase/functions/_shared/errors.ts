/** One error class, one closed list of codes: what a caller can be told, and with which status. */

/** Code → status and the message callers see. Messages help the caller and leak nothing. */
const codes = {
  invalid_request: [400, "The request is not valid."],
  missing_signature: [400, "The Stripe-Signature header is missing."],
  invalid_signature: [400, "The signature does not match the payload."],
  timestamp_out_of_tolerance: [400, "The signature's timestamp is too far from now."],
  invalid_payload: [400, "The payload is not a Stripe event."],
  unauthorized: [401, "A valid API key is needed."],
  origin_not_allowed: [403, "This origin may not use the shop's API."],
  ip_not_allowed: [403, "This address does not belong to Stripe's webhooks."],
  not_found: [404, "There is nothing here."],
  unknown_sku: [404, "One or more articles do not exist."],
  order_not_found: [404, "There is no order for this session."],
  method_not_allowed: [405, "This method is not supported here."],
  request_timeout: [408, "The request body took too long."],
  currency_unavailable: [409, "One or more articles are not sold in this currency."],
  shipping_unavailable: [409, "The shop does not deliver there, or not in this currency."],
  insufficient_stock: [409, "One or more articles are not available in this quantity."],
  idempotency_conflict: [409, "This Idempotency-Key was used with another cart."],
  conflict: [409, "The state of the order does not allow this."],
  checkout_refused: [409, "The payment provider does not take this order as it is; the shop has been told."],
  link_expired: [410, "This link has expired."],
  body_too_large: [413, "The request body is too large."],
  unsupported_media_type: [415, "Send JSON with Content-Type: application/json."],
  rate_limited: [429, "Too many requests; try again later."],
  velocity_exceeded: [429, "Too many orders in a short time; try again later."],
  internal_error: [500, "Something went wrong on our side."],
  not_recorded: [500, "The event could not be stored; please deliver it again."],
  stripe_unavailable: [503, "The payment provider cannot be reached; try again shortly."],
  checkout_closed: [503, "The shop takes no orders just now; try again in a few minutes."],
  busy: [503, "Many others shop just now; try again shortly."],
  database_unavailable: [503, "The shop cannot be reached; try again shortly."],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof codes;

export interface AppErrorOptions {
  message?: string;
  /** Goes to the caller: field paths, articles, never internals. */
  details?: unknown;
  retryAfterSeconds?: number;
  /** Goes to the log only. */
  cause?: unknown;
}

/** A failure that a caller can be told about. */
export class AppError extends Error {
  override name = "AppError";
  readonly code: ErrorCode;
  readonly status: number;
  /** True when the same request may succeed later. */
  readonly retryable: boolean;
  readonly details: unknown;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const [status, message] = codes[code];
    super(options.message ?? message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = status;
    this.retryable = status === 429 || status === 503 || code === "not_recorded";
    this.details = options.details;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** SQLSTATEs of our own functions (class SH, which neither Postgres nor PostgREST uses), and what a caller is told. */
export const sqlStates: Readonly<Record<string, ErrorCode>> = {
  SHSKU: "unknown_sku",
  SHSTK: "insufficient_stock",
  SHNIC: "currency_unavailable",
  SHSHP: "shipping_unavailable",
  SHIDC: "idempotency_conflict",
  SHSTA: "conflict",
  SHREF: "conflict",
  SHCUR: "invalid_request",
  SHINV: "invalid_request",
  SHORD: "order_not_found",
  SHEVT: "not_found",
  // A database that was restored is catching up with Stripe.
  SHCLO: "checkout_closed",
  // Something tried to change what is append-only.
  SHAPP: "internal_error",
};

/** Rolled back as a whole and worth another try at once: serialization failure and deadlock. */
const repeatable = new Set(["40001", "40P01"]);

/** A failure of the database as PostgREST reports it; `status` 0 means that no answer came at all. */
export interface DatabaseFailure {
  code: string;
  message: string;
  details: string | null;
  status: number;
}

/** True when the whole transaction was rolled back because of others and can be repeated at once. */
export function isRepeatable(failure: DatabaseFailure): boolean {
  return repeatable.has(failure.code);
}

/** A rescue takes minutes. */
const closedSeconds = 60;

/** Maps a database failure once, for all callers. */
export function fromDatabaseFailure(failure: DatabaseFailure): AppError {
  const code = sqlStates[failure.code];
  const message = code === undefined ? valueless(failure.message) : failure.message;
  const cause = Object.assign(new Error(message), { name: "DatabaseError", code: failure.code });
  if (code !== undefined) {
    const details = parseDetails(failure.details);
    const ours = code === "invalid_request" || code === "conflict" ? { message: failure.message } : {};
    return new AppError(code, {
      ...ours,
      cause,
      ...(details === undefined ? {} : { details }),
      ...(code === "checkout_closed" ? { retryAfterSeconds: closedSeconds } : {}),
    });
  }
  return new AppError(isOutage(failure) ? "database_unavailable" : "internal_error", {
    cause,
    ...(isOutage(failure) ? { retryAfterSeconds: 5 } : {}),
  });
}

/**
 * No answer, a gateway's 5xx, connection (08), resources (53), operator intervention (57), contention (40, 55P03),
 * read-only (25006: a failover, or a disk that is nearly full).
 */
function isOutage({ code, status }: DatabaseFailure): boolean {
  return status === 0 || status === 429 || status >= 502 || /^(08|53|57|40|55P03|25006)/.test(code) ||
    /^PGRST00[0-3]$/.test(code);
}

/** Whether a call failed because the database is not there: not because it waited too long for somebody. */
export function isAway(error: unknown): boolean {
  if (!(error instanceof AppError) || error.code !== "database_unavailable") return false;
  const { code } = { code: "", ...error.cause as object };
  return !/^(40|55P03|57014)/.test(String(code));
}

/** An error of the database without the value that it was about: `invalid input syntax for type uuid: "…"`. */
export function valueless(message: string): string {
  return message.replace(/(: |\bvalue )".*"/s, '$1"***"');
}

function parseDetails(details: string | null): unknown {
  if (details === null || details === "") return undefined;
  try {
    return JSON.parse(details);
  } catch {
    return undefined;
  }
}
