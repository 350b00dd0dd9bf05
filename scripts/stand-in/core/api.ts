import { API_VERSION, CLI_FIXTURE_VERSION, OBEYED, standingOf } from "./api_version.ts";
import type { Context } from "./context.ts";
import { ApiError, invalidRequest, UNSUPPORTED, unsupported, withAddresses } from "./errors.ts";
import { expand, expandPaths, type Includable } from "./expand.ts";
import { decodeForm, type FormMap } from "./form.ts";
import { Idempotency } from "./idempotency.ts";
import { newId } from "./ids.ts";
import { asOf } from "./older_shapes.ts";
import { type Permissions, requirePermission, requireReading } from "./permissions.ts";
import type { RequestLog } from "./request_log.ts";
import type { Method, Router } from "./router.ts";
import type { Store } from "./store.ts";
import { FileAnswer, isUpload, MAX_UPLOAD_LENGTH, uploadForm, withoutContents } from "./uploads.ts";
import type { ApiFault, Faults } from "../delivery/faults.ts";

/** What the API needs from the server around it. */
export interface ApiHost {
  store: Store;
  router: Router;
  faults: Faults;
  log: RequestLog;
  secretKey: string | null;
  /** Restricted keys with what they may do. */
  restrictedKeys: ReadonlyMap<string, Permissions>;
  /** Runs work as one transaction with a context. */
  inContext<T>(work: (context: Context) => T, request: Context["request"], version: string): T;
  includable(context: Context): Includable;
}

const MAX_BODY_LENGTH = 1_000_000;

interface Answer {
  status: number;
  /** Bytes: a file. */
  body: string | Uint8Array<ArrayBuffer>;
  headers: Record<string, string>;
}

/** A request being carried out. */
interface Work {
  readonly method: string;
  readonly url: URL;
  readonly form: FormMap;
  readonly requestId: string;
  readonly version: string;
  /** Null: the key may do everything. */
  readonly permissions: Permissions | null;
  key: string | null;
  /** Its parameters were well formed, so Stripe began to act on it. */
  began: boolean;
}

/** Serves `/v1/…` the way Stripe does: key, version, rate limit, idempotency, parameters, errors. */
export class Api {
  readonly #host: ApiHost;
  readonly #idempotency: Idempotency;
  #window = { second: 0, count: 0 };

  constructor(host: ApiHost) {
    this.#host = host;
    this.#idempotency = new Idempotency(host.store);
  }

  async handle(request: Request, url: URL): Promise<Response> {
    const requestId = newId("request");
    const fault = this.#host.faults.take(request.method, url.pathname);
    const uploads = isUpload(request, url);
    const body = request.method !== "POST" ? "" : await (uploads ? uploadForm(request) : request.text());
    const answer = await this.#answer(request, url, body, requestId, fault);
    this.#host.log.add({
      method: request.method,
      path: url.pathname + url.search,
      body: uploads ? withoutContents(body) : body,
      status: answer.status,
      idempotency_key: request.headers.get("idempotency-key"),
      stripe_version: request.headers.get("stripe-version"),
      at: new Date().toISOString(),
    });
    return new Response(answer.body, {
      status: answer.status,
      headers: {
        "content-type": "application/json",
        "request-id": requestId,
        "stripe-version": request.headers.get("stripe-version") ?? API_VERSION,
        "cache-control": "no-cache, no-store",
        ...answer.headers,
      },
    });
  }

  async #answer(
    request: Request,
    url: URL,
    body: string,
    requestId: string,
    fault: ApiFault | undefined,
  ): Promise<Answer> {
    try {
      if (fault?.status !== undefined && fault.after !== true) {
        await waitFor(fault);
        throw injected(fault.status);
      }
      const permissions = this.#permissionsOf(request);
      if (request.headers.has("stripe-account")) throw unsupported("Connect (the `Stripe-Account` header)");
      this.#checkRate();
      if (body.length > (isUpload(request, url) ? MAX_UPLOAD_LENGTH : MAX_BODY_LENGTH)) {
        throw new ApiError(413, { type: "invalid_request_error", message: "The request body is too large." });
      }
      if (permissions !== null) requirePermission(permissions, request.method as Method, url.pathname);
      const answer = await this.#serve(request, url, body, { requestId, fault, permissions });
      if (fault?.status !== undefined) throw injected(fault.status);
      return answer;
    } catch (error) {
      return errorAnswer(error, requestId);
    }
  }

  /** Null: the key may do everything. */
  #permissionsOf(request: Request): Permissions | null {
    const given = bearer(request.headers.get("authorization"));
    if (given === null) {
      throw new ApiError(401, {
        type: "invalid_request_error",
        message:
          "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
      });
    }
    const permissions = this.#host.restrictedKeys.get(given);
    if (permissions !== undefined) return permissions;
    if (given === this.#host.secretKey || /^(sk|rk)_test_\w{12,}$/.test(given)) return null;
    throw new ApiError(401, {
      type: "invalid_request_error",
      message: `Invalid API Key provided: ${masked(given)}`,
    });
  }

  #checkRate(): void {
    const limit = this.#host.faults.rateLimit;
    if (limit === null) return;
    const second = Math.floor(Date.now() / 1000);
    if (this.#window.second !== second) this.#window = { second, count: 0 };
    if (++this.#window.count <= limit) return;
    throw new ApiError(
      429,
      {
        type: "invalid_request_error",
        code: "rate_limit",
        message:
          "Request rate limit exceeded. Learn more about rate limits here: https://stripe.com/docs/rate-limits.",
      },
      false,
      { "stripe-rate-limited-reason": "global-rate" },
    );
  }

  async #serve(
    request: Request,
    url: URL,
    body: string,
    { requestId, fault, permissions }: {
      requestId: string;
      fault: ApiFault | undefined;
      permissions: Permissions | null;
    },
  ): Promise<Answer> {
    if (body !== "" && request.headers.get("content-type")?.includes("json") === true) {
      throw invalidRequest(
        "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any questions, we can help at https://support.stripe.com/.",
      );
    }
    const form = decodeForm([url.search.slice(1), body].filter((part) => part !== "").join("&"));
    const version = versionOf(request.headers);
    const { method } = request;
    const work: Work = { method, url, form, requestId, version, permissions, key: null, began: false };
    const key = request.method === "POST" ? request.headers.get("idempotency-key") || null : null;
    if (key === null) {
      await waitFor(fault);
      return this.#execute(work);
    }
    work.key = key;

    const replay = this.#idempotency.begin(key, await fingerprint(url, body), requestId);
    if (replay !== null) {
      return {
        status: replay.status,
        body: replay.body,
        headers: {
          "idempotency-key": key,
          "idempotent-replayed": "true",
          "original-request": replay.requestId,
        },
      };
    }
    try {
      await waitFor(fault);
      const answer = this.#execute(work);
      return {
        ...answer,
        headers: { ...answer.headers, "idempotency-key": key, "original-request": requestId },
      };
    } catch (error) {
      const answer = errorAnswer(error, requestId);
      // Stripe keeps what began to run, refusals too: only a malformed request may be corrected and sent again.
      if (work.began && answer.status !== UNSUPPORTED) {
        this.#idempotency.finish(key, answer.status, String(answer.body));
      } else this.#idempotency.release(key);
      return { ...answer, headers: { ...answer.headers, "idempotency-key": key } };
    }
  }

  #execute(work: Work): Answer {
    const { form, key, version, permissions, requestId } = work;
    const { route, ids } = this.#host.router.find(work.method, work.url.pathname);
    const paths = expandPaths(form);
    const request = { id: requestId, idempotencyKey: key };
    return this.#host.inContext(
      (context) => {
        const run = route.prepare(context, form, ids);
        work.began = true;
        const answer = runRoute(requestId, () => {
          const object = asOf(version, run(), context.store);
          if (paths.length === 0) return object;
          const copy = structuredClone(object);
          const mayRead = permissions === null
            ? null
            : (object: unknown) => requireReading(permissions, object);
          const includable = this.#host.includable(context);
          expand(copy, paths, { store: context.store, includable, mayRead, version });
          return asOf(version, copy, context.store);
        });
        // In the same transaction as the changes: after a crash the key and its effects are there, or neither is.
        if (key !== null) this.#idempotency.finish(key, answer.status, String(answer.body));
        return answer;
      },
      request,
      version,
    );
  }
}

/** A declined card is an answer that leaves its charge behind; any other error undoes the request. */
function runRoute(requestId: string, run: () => object): Answer {
  try {
    const answer = run();
    if (answer instanceof FileAnswer) {
      return { status: 200, body: answer.bytes.slice(), headers: { "content-type": answer.contentType } };
    }
    return { status: 200, body: JSON.stringify(answer, null, 2), headers: {} };
  } catch (error) {
    if (error instanceof ApiError && error.keepsChanges) return errorAnswer(error, requestId);
    throw error;
  }
}

/** A slow answer: an idempotency key is in use while it lasts. */
async function waitFor(fault: ApiFault | undefined): Promise<void> {
  const { delayMs } = fault ?? {};
  if (delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** A fault asked for through the control API, in the words Stripe uses for its own troubles. */
function injected(status: number): ApiError {
  const message = status === 429
    ? "Request rate limit exceeded (fault injection)."
    : "An unknown error occurred (fault injection).";
  return new ApiError(status, {
    type: status >= 500 ? "api_error" : "invalid_request_error",
    ...(status === 429 ? { code: "rate_limit" } : {}),
    message,
  });
}

function errorAnswer(error: unknown, requestId: string): Answer {
  if (error instanceof ApiError) {
    return {
      status: error.status,
      body: JSON.stringify({ error: withAddresses(error.body, requestId) }, null, 2),
      headers: error.headers,
    };
  }
  console.error("the Stripe stand-in failed to answer a request:", error);
  return {
    status: 500,
    body: JSON.stringify({
      error: {
        type: "api_error",
        message: `The Stripe stand-in failed: ${error instanceof Error ? error.message : ""}`,
      },
    }),
    headers: {},
  };
}

/** The key of `Authorization: Bearer …`, or the user name of basic authentication. */
function bearer(header: string | null): string | null {
  if (header === null) return null;
  const [scheme, value = ""] = header.split(" ");
  if (scheme?.toLowerCase() === "bearer") return value === "" ? null : value;
  if (scheme?.toLowerCase() === "basic") {
    try {
      const [user = ""] = atob(value).split(":");
      return user === "" ? null : user;
    } catch {
      return null;
    }
  }
  return null;
}

function masked(key: string): string {
  return key.length <= 12
    ? "*".repeat(key.length)
    : `${key.slice(0, 7)}${"*".repeat(key.length - 11)}${key.slice(-4)}`;
}

/** The API version that a request speaks; refuses what is none, and what is not obeyed. */
function versionOf(headers: Headers): string {
  const version = headers.get("stripe-version");
  if (version === null) {
    return headers.get("user-agent")?.includes("stripe-cli/") === true ? CLI_FIXTURE_VERSION : API_VERSION;
  }
  const [named = "", ...betas] = version.split(";").map((part) => part.trim());
  const standing = standingOf(named);
  if (standing === "unknown") {
    throw invalidRequest(
      `Invalid Stripe API version: ${version}. You can reference https://stripe.com/docs/upgrades#api-versions for a list of valid versions.`,
    );
  }
  if (standing === "forgone") {
    throw unsupported(`the API version ${named}: it speaks ${OBEYED[0]} to ${OBEYED.at(-1)}`);
  }
  if (betas.length > 0) throw unsupported(`the beta ${betas.join(", ")}`);
  return named;
}

/** The same for the same parameters, whatever order they come in. */
async function fingerprint(url: URL, body: string): Promise<string> {
  const parameters = [...url.searchParams, ...new URLSearchParams(body)];
  parameters.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  const text = JSON.stringify(parameters);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `${url.pathname} ${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}
