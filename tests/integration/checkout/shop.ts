/** A shop under test: the offline stack, shoppers who call it over HTTP, and proxies that fail on demand. */
import assert from "node:assert/strict";
import type { TestStack } from "../../support/stack.ts";

/** Answers in the place of the real server, or forwards. */
export type Interceptor = (call: string, forward: () => Promise<Response>) => Promise<Response> | Response;

/** Stands between the functions and a server. */
export interface Proxy extends AsyncDisposable {
  url: string;
  /** Where it forwards to; set once the stack is up. */
  target: string;
  /** `POST /path` of every request, in order. */
  calls: string[];
  intercept: Interceptor;
}

/** A proxy that forwards everything until it is told otherwise. */
export function startProxy(): Proxy {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const url = new URL(request.url);
    const call = `${request.method} ${url.pathname}`;
    proxy.calls.push(call);
    const body = request.body === null ? null : await request.arrayBuffer();
    return await proxy.intercept(
      call,
      () =>
        fetch(`${proxy.target}${url.pathname}${url.search}`, {
          method: request.method,
          headers: request.headers,
          body,
        }),
    );
  });
  const proxy: Proxy = {
    url: `http://127.0.0.1:${server.addr.port}`,
    target: "",
    calls: [],
    intercept: forwardAll,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return proxy;
}

/** Lets everything through. */
export const forwardAll: Interceptor = (_call, forward) => forward();

export interface CheckoutBody {
  items?: { sku: string; quantity: number }[];
  customer_email?: string;
  previous_session_id?: string;
  [field: string]: unknown;
}

export interface CheckoutResult {
  status: number;
  retryAfter: number | null;
  // deno-lint-ignore no-explicit-any -- the tests read answers and errors field by field
  body: any;
  ms: number;
}

/** One request to create-checkout-session. */
export async function checkout(
  stack: TestStack,
  body: CheckoutBody,
  options: { key?: string; token?: string; headers?: Record<string, string> } = {},
): Promise<CheckoutResult> {
  const began = performance.now();
  const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
    method: "POST",
    headers: {
      "apikey": stack.publishable_key,
      "content-type": "application/json",
      ...(options.key === undefined ? {} : { "idempotency-key": options.key }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    body: JSON.stringify({ items: [{ sku: "SHIRT-OXF-WHT-M", quantity: 1 }], ...body }),
  });
  const retryAfter = response.headers.get("retry-after");
  return {
    status: response.status,
    retryAfter: retryAfter === null ? null : Number(retryAfter),
    body: await response.json(),
    ms: performance.now() - began,
  };
}

/** One request to open the order of a resume link again. */
export async function reopen(stack: TestStack, token: string): Promise<CheckoutResult> {
  const began = performance.now();
  const response = await fetch(`${stack.functions_url}/resume-checkout`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  const retryAfter = response.headers.get("retry-after");
  return {
    status: response.status,
    retryAfter: retryAfter === null ? null : Number(retryAfter),
    body: await response.json(),
    ms: performance.now() - began,
  };
}

/** How long a shopper waits in figures is held by tests/unit/checkout_deadline.test.ts; this only ends a test that hangs. */
const stuckMs = 60_000;

/**
 * The answer to `request` while a server says nothing at all: `hang` never answers before the shopper has been
 * answered.
 */
export async function answeredMeanwhile<T>(
  request: (hang: () => Promise<Response>) => Promise<T>,
): Promise<T> {
  const released = Promise.withResolvers<void>();
  const stuck = Promise.withResolvers<never>();
  const timer = setTimeout(() => stuck.reject(new Error("no answer while the other side hangs")), stuckMs);
  try {
    return await Promise.race([
      request(() => released.promise.then(() => new Response(null, { status: 502 }))),
      stuck.promise,
    ]);
  } finally {
    clearTimeout(timer);
    released.resolve();
  }
}

/** Makes a confirmed account, as a shop's server can without a mail, and returns its access token. */
export async function signUp(
  stack: TestStack,
  email = `${crypto.randomUUID()}@example.com`,
): Promise<string> {
  const password = crypto.randomUUID();
  const auth = async (path: string, apikey: string, body: unknown) => {
    const response = await fetch(`${stack.api_url}/auth/v1/${path}`, {
      method: "POST",
      headers: { apikey, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
  };
  await auth("admin/users", stack.secret_key, { email, password, email_confirm: true });
  return (await auth("token?grant_type=password", stack.publishable_key, { email, password })).access_token;
}

/** A call to the Stripe stand-in's API, past any proxy. */
// deno-lint-ignore no-explicit-any -- Stripe's objects, read field by field
export async function stripeApi(stack: TestStack, method: string, path: string): Promise<any> {
  const response = await fetch(`${stack.stripe_url}/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${stack.stripe_secret_key}` },
  });
  return await response.json();
}

/** Sessions that Stripe has made for an order. */
export async function sessionsOf(
  stack: TestStack,
  orderId: string,
): Promise<{ id: string; status: string }[]> {
  const { data } = await stripeApi(stack, "GET", "checkout/sessions?limit=100");
  return (data as { id: string; status: string; client_reference_id: string }[])
    .filter((session) => session.client_reference_id === orderId)
    .map(({ id, status }) => ({ id, status }));
}

/** The stand-in's control API. */
export async function control(stack: TestStack, call: string, body: object): Promise<Response> {
  return await fetch(`${stack.stripe_url}/_control/${call}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Waits until the stand-in has delivered all its events. */
export async function flush(stack: TestStack): Promise<void> {
  const response = await fetch(`${stack.stripe_url}/_control/flush`, { method: "POST" });
  assert.ok(response.ok, await response.text());
}

/** Runs the jobs that are due, as the schedule does every minute. */
export async function runJobs(stack: TestStack): Promise<void> {
  const response = await fetch(`${stack.functions_url}/retry-jobs`, {
    method: "POST",
    headers: { apikey: stack.secret_key },
  });
  assert.ok(response.ok, await response.text());
}

/** A session's time runs out at Stripe; the event that says so does not come before `meanwhile` is over. */
export async function endUnheard(
  stack: TestStack,
  sessionId: string,
  meanwhile: () => Promise<void>,
): Promise<void> {
  await control(stack, "faults", { deliver: { drop: 1 } });
  try {
    await stripeApi(stack, "POST", `checkout/sessions/${sessionId}/expire`);
    await stack
      .sql`update public.checkout_sessions set expires_at = now() - interval '1 second' where id = ${sessionId}`;
    await meanwhile();
  } finally {
    await fetch(`${stack.stripe_url}/_control/faults`, { method: "DELETE" });
  }
}

/** Stock of one SKU. */
export async function stockOf(stack: TestStack, sku: string): Promise<{ on_hand: number; reserved: number }> {
  const [row] = await stack.sql<{ on_hand: number; reserved: number }[]>`
    select l.on_hand, l.reserved from public.inventory_levels l
    join public.product_variants v on v.id = l.variant_id where v.sku = ${sku}`;
  if (row === undefined) throw new Error(`no stock row of ${sku}`);
  return { ...row };
}

/** Sets what is free of a SKU, beside what is reserved. */
export async function setAvailable(stack: TestStack, sku: string, available: number): Promise<void> {
  await stack.sql`
    update public.inventory_levels l set on_hand = l.reserved + ${available}
    from public.product_variants v where v.id = l.variant_id and v.sku = ${sku}`;
}

/** Nothing that must always hold is violated. */
export async function assertInvariants(stack: TestStack): Promise<void> {
  assert.deepEqual([...await stack.sql`select * from public.check_invariants()`], []);
}
