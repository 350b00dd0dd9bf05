import { API_URL, PUBLISHABLE_KEY } from "./config.js";

/** Longer than the API's own limit, so that its answer, not our impatience, decides. */
const TIMEOUT_MS = 20_000;

/** What the API answered instead of a result; `code` is one of the API's error codes, or `network` or `timeout`. */
export class ApiError extends Error {
  constructor({ code, message, status = 0, details = null, retryAfter = null, requestId = null }) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.details = details;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }
}

/** Seconds of a Retry-After header, or null. */
function seconds(header) {
  const value = Number(header);
  return header !== null && Number.isFinite(value) ? Math.max(1, Math.ceil(value)) : null;
}

async function bodyOf(response) {
  const text = await response.text();
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function errorFrom(response, body) {
  // Functions answer { error: { code, message, … } }; REST puts code and message at the top, Auth error_code and msg.
  const error = typeof body?.error === "object" && body.error !== null ? body.error : body ?? {};
  return new ApiError({
    code: String(error.error_code ?? error.code ?? "unexpected"),
    message: String(error.message ?? error.msg ?? response.statusText),
    status: response.status,
    details: error.details ?? null,
    retryAfter: seconds(response.headers.get("retry-after")),
    requestId: error.request_id ?? response.headers.get("x-request-id"),
  });
}

/**
 * Reads all rows of a REST path, which selects the unique column `by` and has no order of its own. One answer holds at
 * most `max_rows` of supabase/config.toml, and nothing in it says that rows are missing.
 */
export async function readAll(path, { token = null, by = "id" } = {}) {
  const rows = [];
  for (;;) {
    const after = rows.length === 0 ? "" : `&${by}=gt.${encodeURIComponent(rows.at(-1)[by])}`;
    const headers = { prefer: "count=exact" };
    const { response, parsed } = await send(`${path}&order=${by}${after}`, { headers, token });
    rows.push(...parsed);
    const left = Number(response.headers.get("content-range")?.split("/")[1]);
    if (parsed.length === 0 || parsed.length >= left) return rows;
  }
}

/**
 * Calls the API and returns the parsed body; throws an {@link ApiError} for everything that is not a success.
 * `token` is the access token of a signed-in shopper.
 */
export async function request(path, options) {
  return (await send(path, options)).parsed;
}

async function send(path, { method = "GET", body, headers = {}, token = null } = {}) {
  const all = { apikey: PUBLISHABLE_KEY, ...headers };
  if (token !== null) all.authorization = `Bearer ${token}`;
  const form = body instanceof URLSearchParams;
  if (body !== undefined && !form) all["content-type"] = "application/json";
  let response;
  let parsed;
  try {
    response = await fetch(`${API_URL}${path}`, {
      method,
      headers: all,
      body: body === undefined || form ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    parsed = await bodyOf(response);
  } catch (error) {
    const code = error.name === "TimeoutError" ? "timeout" : "network";
    throw new ApiError({ code, message: error.message });
  }
  if (!response.ok) throw errorFrom(response, parsed);
  return { response, parsed };
}
