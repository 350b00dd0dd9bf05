/** What every endpoint shares: request id, CORS, method check, bounded bodies, and failures as one JSON shape. */
import { AppError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { parseTraceparent } from "../telemetry/trace_context.ts";
import type { Span } from "../telemetry/tracer.ts";

/** How an endpoint presents itself. */
export interface Endpoint {
  methods: readonly ("GET" | "POST")[];
  /** Origins of browsers; null for endpoints that no browser calls. */
  allowedOrigins: readonly string[] | null;
  log: Logger;
}

export interface RequestContext {
  requestId: string;
  /** What is written once an order is known names it. */
  log: Logger;
  /** The request's span; undefined where nobody collects them. */
  span: Span | undefined;
  /** From now on lines and span are of this order's trace, a failure's too; `begins`: the request has made the order. */
  concerns(orderId: string, begins?: boolean): Logger;
}

/**
 * What browsers may send: our own two, and all that supabase-js sends by its own list (a test compares): a header
 * that is missing here fails every call of a storefront that uses the library.
 */
export const corsHeaders: readonly string[] = [
  ..."authorization apikey content-type idempotency-key x-request-id".split(" "),
  ..."x-client-info x-supabase-api-version x-region traceparent tracestate baggage x-retry-count".split(" "),
  ..."prefer accept-profile content-profile range".split(" "),
];
const exposedHeaders = "x-request-id, retry-after";

/** Bodies that trickle in hold a worker; nobody honest needs longer for a few kilobytes. */
const bodyTimeoutMs = 10_000;

/**
 * Runs one endpoint: answers preflights, checks method and origin, adds `x-request-id` and CORS headers, and
 * turns whatever `run` throws into the error body of docs/contract.md. Unknown errors become 500 `internal_error`.
 */
export async function respond(
  request: Request,
  endpoint: Endpoint,
  run: (context: RequestContext) => Promise<Response>,
): Promise<Response> {
  const requestId = requestIdOf(request);
  const context = startContext(request, endpoint, requestId);
  const answer = await answerOrFailure(request, endpoint, context, run);
  context.span?.set({ "http.response.status_code": answer.status });
  context.span?.end(answer.status >= 500 ? String(answer.status) : null);
  answer.headers.set("x-request-id", requestId);
  if (!answer.headers.has("cache-control")) answer.headers.set("cache-control", "no-store");
  answer.headers.set("x-content-type-options", "nosniff");
  addCorsHeaders(answer.headers, request, endpoint);
  return request.method === "HEAD" ? await withoutBody(answer) : answer;
}

function startContext(request: Request, { log }: Endpoint, requestId: string): RequestContext {
  const traceparent = request.headers.get("traceparent");
  const { tracer } = log;
  const span = tracer?.start({ name: `${request.method} ${tracer.service}`, kind: "server", traceparent });
  span?.set({ "http.request.method": request.method, "request.id": requestId });
  const context: RequestContext = {
    requestId,
    log: log.with({ request_id: requestId, caller_trace_id: parseTraceparent(traceparent)?.traceId }),
    span,
    concerns(orderId, begins) {
      span?.concerns(orderId, begins);
      return context.log = context.log.with({ order_id: orderId });
    },
  };
  return context;
}

async function withoutBody(answer: Response): Promise<Response> {
  await answer.body?.cancel();
  return new Response(null, { status: answer.status, headers: answer.headers });
}

async function answerOrFailure(
  request: Request,
  endpoint: Endpoint,
  context: RequestContext,
  run: (context: RequestContext) => Promise<Response>,
): Promise<Response> {
  try {
    const preflight = request.method === "OPTIONS" && endpoint.allowedOrigins !== null;
    if (preflight) {
      checkOrigin(request, endpoint);
      return new Response(null, { status: 204 });
    }
    checkMethod(request, endpoint);
    checkOrigin(request, endpoint);
    return await run(context);
  } catch (error) {
    return failureResponse(error, request, endpoint, context);
  }
}

/** A JSON answer. */
export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json; charset=utf-8" },
  });
}

/**
 * Reads a body once, counting while it streams: Content-Length is a claim, not a limit.
 * @throws AppError `body_too_large`, `request_timeout`, `invalid_request` when the stream breaks.
 */
export async function readBody(
  request: Request,
  limitBytes: number,
  timeoutMs = bodyTimeoutMs,
): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), timeoutMs);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    while (true) {
      const step = await Promise.race([reader.read(), late.promise]);
      if (step === "late") throw new AppError("request_timeout");
      if (step.done) return concat(chunks, size);
      size += step.value.byteLength;
      if (size > limitBytes) throw new AppError("body_too_large", { details: { limit_bytes: limitBytes } });
      chunks.push(step.value);
    }
  } catch (error) {
    // Not awaited: a caller that stopped sending would keep us waiting here.
    reader.cancel().catch(() => {});
    if (error instanceof AppError) throw error;
    throw new AppError("invalid_request", { message: "The request body could not be read.", cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads and parses a JSON body. With `orIfEmpty`, no body at all stands for that value.
 * @throws AppError `unsupported_media_type`, `body_too_large`, `invalid_request`.
 */
export async function readJson(request: Request, limitBytes: number, orIfEmpty?: unknown): Promise<unknown> {
  const bytes = await readBody(request, limitBytes);
  if (bytes.byteLength === 0 && orIfEmpty !== undefined) return orIfEmpty;
  checkMediaType(request.headers);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new AppError("invalid_request", { message: "The request body is not valid JSON.", cause: error });
  }
}

function checkMediaType(headers: Headers): void {
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";").map((
    part,
  ) => part.trim());
  const foreignCharset = parameters.some((parameter) =>
    parameter.startsWith("charset=") && !/^charset="?utf-?8"?$/.test(parameter)
  );
  // A compressed body is refused: nothing here inflates, so nothing can be a bomb.
  const encoded = !["", "identity"].includes((headers.get("content-encoding") ?? "").toLowerCase());
  if (type !== "application/json" || foreignCharset || encoded) throw new AppError("unsupported_media_type");
}

function checkMethod(request: Request, endpoint: Endpoint): void {
  if (!methodsOf(endpoint).includes(request.method)) throw new AppError("method_not_allowed");
}

/** `HEAD` asks for what `GET` would answer, without the body (RFC 9110, 9.3.2). */
function methodsOf({ methods }: Endpoint): string[] {
  return methods.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]);
}

/** A browser names its page's origin; servers and command lines send none and are judged by their key. */
function checkOrigin(request: Request, endpoint: Endpoint): void {
  const origin = request.headers.get("origin");
  if (origin === null || endpoint.allowedOrigins === null) return;
  if (!endpoint.allowedOrigins.includes(origin)) throw new AppError("origin_not_allowed");
}

function addCorsHeaders(headers: Headers, request: Request, endpoint: Endpoint): void {
  if (endpoint.allowedOrigins === null) return;
  headers.append("vary", "origin");
  const origin = request.headers.get("origin");
  if (origin === null || !endpoint.allowedOrigins.includes(origin)) return;
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", exposedHeaders);
  if (request.method !== "OPTIONS") return;
  headers.set("access-control-allow-methods", [...methodsOf(endpoint), "OPTIONS"].join(", "));
  headers.set("access-control-allow-headers", corsHeaders.join(", "));
  headers.set("access-control-max-age", "600");
}

/** A browser tells its page only that something with CORS is wrong: whoever sets up a storefront needs to know more. */
function logRefusedOrigin({ details }: AppError, request: Request, log: Logger): void {
  const origin = request.headers.get("origin")?.slice(0, 200);
  log.warn("origin_refused", { origin, details, fix: "list the storefront's origin in ALLOWED_ORIGINS" });
}

function failureResponse(
  error: unknown,
  request: Request,
  endpoint: Endpoint,
  { requestId, log, span }: RequestContext,
): Response {
  const failure = error instanceof AppError ? error : new AppError("internal_error", { cause: error });
  const fields = {
    code: failure.code,
    status: failure.status,
    details: failure.details,
    error: failure.cause,
  };
  span?.set({ "error.type": failure.code });
  if (failure.status >= 500) log.error("request_failed", fields);
  else if (failure.code === "origin_not_allowed") logRefusedOrigin(failure, request, log);
  else log.info("request_refused", fields);
  const answer = json({
    error: {
      code: failure.code,
      message: failure.message,
      ...(failure.details === undefined ? {} : { details: failure.details }),
      request_id: requestId,
    },
  }, failure.status);
  if (failure.retryAfterSeconds !== undefined) {
    answer.headers.set("retry-after", String(secondsToWait(failure.status, failure.retryAfterSeconds)));
  }
  if (failure.status === 405) answer.headers.set("allow", methodsOf(endpoint).join(", "));
  return answer;
}

/** An outage or a rush refuses many at the same moment; if all came back at the same moment, it would do so again. */
function secondsToWait(status: number, least: number): number {
  const seconds = Math.max(1, Math.ceil(least));
  return status === 503 ? seconds + Math.floor(Math.random() * seconds) : seconds;
}

/** The caller's id when it is harmless, so that one id follows a request through all logs. */
function requestIdOf(request: Request): string {
  const given = request.headers.get("x-request-id") ?? "";
  return /^[\w-]{8,64}$/.test(given) ? given : crypto.randomUUID();
}

function concat(chunks: Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
