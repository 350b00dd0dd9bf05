import assert from "node:assert/strict";
import { createRpc, storable } from "../../supabase/functions/_shared/database/rpc.ts";

const env = {
  supabaseUrl: "http://database.example",
  secretKeys: { other: "sb_secret_b", default: "sb_secret_a" },
};

interface Sent {
  url: string;
  headers: Headers;
  body: unknown;
}

function rpcAnswering(...answers: (Response | Error)[]) {
  const sent: Sent[] = [];
  const rpc = createRpc(env, (input, init) => {
    sent.push({
      url: String(input),
      headers: new Headers(init?.headers),
      body: JSON.parse(String(init?.body)),
    });
    const answer = answers[Math.min(sent.length, answers.length) - 1];
    return answer instanceof Response
      ? Promise.resolve(answer.clone())
      : Promise.reject(answer ?? new Error("none"));
  });
  return { rpc, sent };
}

function failure(code: string, status: number, more: { message?: string; details?: string } = {}): Response {
  return Response.json({ code, message: "failed", details: null, hint: null, ...more }, { status });
}

Deno.test("createRpc() calls the SQL function by name, with the default secret key and never as bearer", async () => {
  const { rpc, sent } = rpcAnswering(Response.json({ remaining: 3 }));
  assert.deepEqual(await rpc.countJobs(), { remaining: 3 });
  assert.equal(sent[0]?.url, "http://database.example/rest/v1/rpc/count_jobs");
  assert.equal(sent[0]?.headers.get("apikey"), "sb_secret_a");
  assert.equal(sent[0]?.headers.get("authorization"), null);
});

Deno.test("createRpc() maps our SQLSTATEs to codes, with their details", async () => {
  const short = [{ sku: "A", requested: 2, available: 1 }];
  const cases: [string, string][] = [
    ["KCSKU", "unknown_sku"],
    ["KCSTK", "insufficient_stock"],
    ["KCIDC", "idempotency_conflict"],
    ["KCSTA", "conflict"],
    ["KCCUR", "invalid_request"],
    ["KCINV", "invalid_request"],
  ];
  for (const [state, code] of cases) {
    const { rpc } = rpcAnswering(failure(state, 400, { details: JSON.stringify(short) }));
    await assert.rejects(rpc.countJobs(), { code, details: short });
  }
});

Deno.test("createRpc() does not show a database's own messages to callers", async () => {
  const { rpc } = rpcAnswering(
    failure("42P01", 404, { message: 'relation "private.secrets" does not exist' }),
  );
  await assert.rejects(rpc.countJobs(), (error: Error & { code?: string }) => {
    assert.equal(error.code, "internal_error");
    assert(!error.message.includes("secrets"));
    return true;
  });
});

for (
  const [name, answer] of [
    ["no connection", new TypeError("connection refused")],
    ["a gateway's page", new Response("<html>502</html>", { status: 502 })],
    ["a statement timeout", failure("57014", 500)],
    ["too many connections", failure("53300", 503)],
    ["a lock timeout", failure("55P03", 500)],
    ["a database that only reads", failure("25006", 405)],
  ] as const
) {
  Deno.test(`createRpc() takes ${name} for an outage that passes`, async () => {
    const { rpc } = rpcAnswering(answer);
    await assert.rejects(rpc.countJobs(), { code: "database_unavailable", status: 503, retryable: true });
  });
}

Deno.test("createRpc() repeats a transaction that lost against others, three times at most", async () => {
  for (const code of ["40001", "40P01"]) {
    const { rpc, sent } = rpcAnswering(
      failure(code, 500),
      failure(code, 500),
      Response.json({ remaining: 1 }),
    );
    assert.deepEqual(await rpc.countJobs(), { remaining: 1 });
    assert.equal(sent.length, 3);
    const stubborn = rpcAnswering(failure(code, 500));
    await assert.rejects(stubborn.rpc.countJobs(), { code: "database_unavailable" });
    assert.equal(stubborn.sent.length, 3);
  }
});

Deno.test("createRpc() repeats nothing else: the call may have been carried out", async () => {
  const { rpc, sent } = rpcAnswering(new TypeError("connection reset"));
  await assert.rejects(rpc.countJobs());
  assert.equal(sent.length, 1);
});

Deno.test("createRpc() gives up after ten seconds, before Stripe does, or when its caller's time is over", async () => {
  const { timeout } = AbortSignal;
  const waits: number[] = [];
  // Nothing really waits: whoever asks for a signal gets one that has fired.
  AbortSignal.timeout = (ms) => {
    waits.push(ms);
    return AbortSignal.abort(new DOMException("Signal timed out.", "TimeoutError"));
  };
  try {
    const rpc = createRpc(env, (_input, init) => {
      init?.signal?.throwIfAborted();
      return Promise.resolve(failure("40P01", 500));
    });
    const late = { code: "database_unavailable", status: 503, retryable: true };
    await assert.rejects(rpc.countJobs(), late);
    await assert.rejects(rpc.within(() => 1_234).takeRateLimits([]), late);
  } finally {
    AbortSignal.timeout = timeout;
  }
  assert.deepEqual(waits, [10_000, 1_234]);
});

Deno.test("createRpc() sends only text that Postgres can store", async () => {
  const { rpc, sent } = rpcAnswering(Response.json(null));
  await rpc.recordWebhookRejection("a\u0000b\ud800", null, 1);
  assert.deepEqual(sent[0]?.body, { p_reason: "a\ufffdb\ufffd", p_source_ip: null, p_count: 1 });
});

Deno.test("storable() reaches keys, lists and nested objects, and leaves the rest alone", () => {
  const value = { "k\u0000": ["\udc00", { deep: "fine 👍" }], number: 1.5, none: null, yes: true };
  assert.deepEqual(storable(value), {
    "k\ufffd": ["\ufffd", { deep: "fine 👍" }],
    number: 1.5,
    none: null,
    yes: true,
  });
});

Deno.test("storable() keeps __proto__ as the plain key that JSON makes of it", () => {
  const parsed = JSON.parse('{"__proto__":{"admin":true}}');
  assert.equal(JSON.stringify(storable(parsed)), '{"__proto__":{"admin":true}}');
  assert.equal(({} as { admin?: boolean }).admin, undefined);
});

Deno.test("createRpc() keeps what a provider said without addresses and keys, wherever it is noted", async () => {
  const address = ["ada", "example.com"].join("@");
  const key = ["re", "abcdef", "123456"].join("_");
  const said = `resend 422: ${address} is refused for ${key}`;
  const { rpc, sent } = rpcAnswering(Response.json(null));
  const result = {
    id: 1,
    lease_id: "lease",
    outcome: "discard" as const,
    reason: said,
    run_at: null,
    alert: "critical" as const,
    provider_state: null,
  };
  await rpc.finishJobs([result]);
  await rpc.recordNotificationResult("id", null, { status: "failed", error: said });
  await rpc.retryStripeEvent("evt_1", { error: said });
  await rpc.reconcileStripeEvent("run", {}, { error: said }, false);
  await rpc.receiveStripeEvent({
    p_event_id: "evt_1",
    p_type: "refund.created",
    p_livemode: false,
    p_api_version: "2026-10-28.endive",
    p_stripe_created_at: "2026-11-01T10:00:00Z",
    p_source_ip: null,
    p_payload: {},
    p_facts: null,
    p_ignored_reason: null,
    p_error: said,
    p_alerts: [],
  });
  assert.equal(sent.length, 5);
  for (const { url, body } of sent) {
    const text = JSON.stringify(body);
    assert(text.includes("resend 422: ***@*** is refused for re_***"), `${url}: ${text}`);
    assert(!text.includes(address) && !text.includes(key), url);
  }
});
