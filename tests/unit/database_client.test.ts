import assert from "node:assert/strict";
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import { jobCalls } from "../../supabase/functions/_shared/jobs/calls.ts";
import { judged } from "../../supabase/functions/_shared/database/events.ts";
import { storable } from "../../supabase/functions/_shared/database/storable.ts";

const env = {
  supabaseUrl: "http://database.example",
  secretKeys: { other: "sb_secret_b", default: "sb_secret_a" },
};

interface Sent {
  url: string;
  headers: Headers;
  body: unknown;
}

function answering(...answers: (Response | Error)[]) {
  const sent: Sent[] = [];
  const call = createCall(env, (input, init) => {
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
  return { call, rpc: jobCalls(call), sent };
}

function failure(code: string, status: number, more: { message?: string; details?: string } = {}): Response {
  return Response.json({ code, message: "failed", details: null, hint: null, ...more }, { status });
}

Deno.test("createCall() calls the SQL function by name, with the default secret key and never as bearer", async () => {
  const { rpc, sent } = answering(Response.json(3));
  assert.deepEqual(await rpc.countJobs(), 3);
  assert.equal(sent[0]?.url, "http://database.example/rest/v1/rpc/count_jobs");
  assert.equal(sent[0]?.headers.get("apikey"), "sb_secret_a");
  assert.equal(sent[0]?.headers.get("authorization"), null);
});

Deno.test("createCall() goes on with the next secret key when the gateway refuses one, and stays with it", async () => {
  const refused = Response.json({ message: "Invalid API key" }, { status: 401 });
  const { rpc, sent } = answering(refused, Response.json(3));
  assert.deepEqual([await rpc.countJobs(), await rpc.countJobs()], [3, 3]);
  const keys = sent.map(({ headers }) => headers.get("apikey"));
  assert.deepEqual(keys, ["sb_secret_a", "sb_secret_b", "sb_secret_b"]);
  const hopeless = answering(refused);
  await assert.rejects(hopeless.rpc.countJobs());
  assert.equal(hopeless.sent.length, 2);
});

Deno.test("createCall() maps our SQLSTATEs to codes, with their details", async () => {
  const short = [{ sku: "A", requested: 2, available: 1 }];
  const cases: [string, string][] = [
    ["SHSKU", "unknown_sku"],
    ["SHSTK", "insufficient_stock"],
    ["SHIDC", "idempotency_conflict"],
    ["SHSTA", "conflict"],
    ["SHCUR", "invalid_request"],
    ["SHINV", "invalid_request"],
  ];
  for (const [state, code] of cases) {
    const { rpc } = answering(failure(state, 400, { details: JSON.stringify(short) }));
    await assert.rejects(rpc.countJobs(), { code, details: short });
  }
});

Deno.test("createCall() does not show a database's own messages to callers", async () => {
  const { rpc } = answering(
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
  Deno.test(`createCall() takes ${name} for an outage that passes`, async () => {
    const { rpc } = answering(answer);
    await assert.rejects(rpc.countJobs(), { code: "database_unavailable", status: 503, retryable: true });
  });
}

Deno.test("createCall() repeats a transaction that lost against others, three times at most", async () => {
  for (const code of ["40001", "40P01"]) {
    const { rpc, sent } = answering(
      failure(code, 500),
      failure(code, 500),
      Response.json(1),
    );
    assert.deepEqual(await rpc.countJobs(), 1);
    assert.equal(sent.length, 3);
    const stubborn = answering(failure(code, 500));
    await assert.rejects(stubborn.rpc.countJobs(), { code: "database_unavailable" });
    assert.equal(stubborn.sent.length, 3);
  }
});

Deno.test("createCall() repeats nothing else: the call may have been carried out", async () => {
  const { rpc, sent } = answering(new TypeError("connection reset"));
  await assert.rejects(rpc.countJobs());
  assert.equal(sent.length, 1);
});

Deno.test("createCall() gives up after ten seconds, before Stripe does, or when its caller's time is over", async () => {
  const { timeout } = AbortSignal;
  const waits: number[] = [];
  // Nothing really waits: whoever asks for a signal gets one that has fired.
  AbortSignal.timeout = (ms) => {
    waits.push(ms);
    return AbortSignal.abort(new DOMException("Signal timed out.", "TimeoutError"));
  };
  try {
    const call = createCall(env, (_input, init) => {
      init?.signal?.throwIfAborted();
      return Promise.resolve(failure("40P01", 500));
    });
    const late = { code: "database_unavailable", status: 503, retryable: true };
    await assert.rejects(call("count_jobs", {}), late);
    await assert.rejects(call.within(() => 1_234)("count_jobs", {}), late);
  } finally {
    AbortSignal.timeout = timeout;
  }
  assert.deepEqual(waits, [10_000, 1_234]);
});

Deno.test("createCall() sends only text that Postgres can store", async () => {
  const { rpc, sent } = answering(Response.json(null));
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

Deno.test("createCall() keeps what a provider said without addresses and keys, wherever it is noted", async () => {
  const address = ["ada", "example.com"].join("@");
  const key = ["re", "abcdef", "123456"].join("_");
  const said = `resend 422: ${address} is refused for ${key}`;
  const { rpc, sent } = answering(Response.json(null));
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
    p_alerts: [],
    ...judged({ error: said }),
  });
  assert.equal(sent.length, 5);
  for (const { url, body } of sent) {
    const text = JSON.stringify(body);
    assert(text.includes("resend 422: ***@*** is refused for re_***"), `${url}: ${text}`);
    assert(!text.includes(address) && !text.includes(key), url);
  }
});

Deno.test("call() takes the names and arguments of the schema, and nothing else", async () => {
  const { call, sent } = answering(Response.json(null));
  const limits = { p_worker: "w", p_limit: 1, p_lease_seconds: 60 };
  await call("claim_jobs", limits);
  await call("get_stripe_event", { p_event_id: null });
  // Each of these is an error of the type check, which the gate runs over this file.
  // @ts-expect-error there is no such function
  await call("claim_job", limits);
  // @ts-expect-error an argument is misspelt
  await call("get_stripe_event", { p_event: "evt_1" });
  // @ts-expect-error an argument is missing
  await call("claim_jobs", { p_worker: "w", p_limit: 1 });
  // @ts-expect-error an argument has the wrong type
  await call("claim_jobs", { ...limits, p_limit: "1" });
  // @ts-expect-error an argument is one too many
  await call("claim_jobs", { ...limits, p_kinds: ["purge"] });
  // @ts-expect-error an optional argument is misspelt
  await call("abandon_checkout", { p_order_id: "id", p_attempt: 1, p_refused: null });
  // @ts-expect-error the function takes no arguments
  await call("count_jobs", { p_kind: "purge" });
  const jobs = await call("claim_jobs", limits);
  // @ts-expect-error a column that the function does not return
  assert.equal(jobs?.[0]?.priority, undefined);
  assert.equal(sent.length, 10);
});
