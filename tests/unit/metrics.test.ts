import assert from "node:assert/strict";
import { createMetrics, measured } from "../../supabase/functions/_shared/metrics.ts";
import type { MetricSample } from "../../supabase/functions/_shared/database/metrics.ts";
import { resultOf } from "../../supabase/functions/create-checkout-session/result.ts";
import { runLater } from "../../supabase/functions/_shared/background.ts";
import { json } from "../../supabase/functions/_shared/http/endpoint.ts";
import { keptLog } from "./fakes.ts";

/** Metrics whose reports run when told to, and what they told. */
function world(answers: (number | Error)[] = []) {
  const { log, lines } = keptLog();
  const told: MetricSample[][] = [];
  const waiting: { report: () => Promise<void>; ms: number }[] = [];
  const rpc = {
    recordMetrics: (samples: MetricSample[]) => {
      const answer = answers.shift() ?? 0;
      if (answer instanceof Error) return Promise.reject(answer);
      told.push(samples);
      return Promise.resolve(answer);
    },
  };
  const metrics = createMetrics({ rpc, log, later: (report, ms) => void waiting.push({ report, ms }) });
  const tell = async () => {
    for (const { report } of waiting.splice(0)) await report();
  };
  return { metrics, told, waiting, tell, lines };
}

Deno.test("createMetrics() tells everything in one call, seconds later, and each count once", async () => {
  const { metrics, told, waiting, tell } = world();
  for (const result of ["created", "created", "rate_limited"]) metrics.count("checkouts", [result]);
  metrics.observe("request_duration_seconds", ["order-status", "ok"], 0.01234567);
  metrics.observe("request_duration_seconds", ["order-status", "ok"], 2);
  assert.deepEqual(waiting.map(({ ms }) => ms), [5_000]);
  await tell();
  metrics.count("checkouts", ["created"]);
  await tell();
  assert.deepEqual(told, [
    [
      { metric: "checkouts", labels: ["created"], count: 2 },
      { metric: "checkouts", labels: ["rate_limited"], count: 1 },
      { metric: "request_duration_seconds", labels: ["order-status", "ok"], values: [0.0123, 2] },
    ],
    [{ metric: "checkouts", labels: ["created"], count: 1 }],
  ]);
});

Deno.test("createMetrics() keeps what the database did not take, and no more values than it has room for", async () => {
  const { metrics, told, tell, lines } = world([new Error("down"), 0, 3]);
  metrics.count("checkouts", ["created"]);
  for (let n = 0; n < 6_000; n++) metrics.observe("request_duration_seconds", ["health", "ok"], n);
  await tell();
  metrics.count("checkouts", ["created"]);
  await tell();
  const [first, second] = told[0] ?? [];
  assert.deepEqual(first, { metric: "checkouts", labels: ["created"], count: 2 });
  assert.equal(second !== undefined && "values" in second && second.values.length, 5_000);
  metrics.count("checkouts", ["created"]);
  await tell();
  assert.deepEqual(lines.map(({ message }) => message), ["metrics_not_recorded", "metrics_refused"]);
});

Deno.test("measured() counts requests by how they ended, and no preflight", async () => {
  const { metrics, told, tell } = world();
  for (const status of [200, 303, 404, 429, 503]) {
    const answer = new Response(null, { status });
    const handle = measured("order-status", metrics, () => Promise.resolve(answer));
    assert.equal(await handle(new Request("http://functions.example/", { method: "GET" })), answer);
    await handle(new Request("http://functions.example/", { method: "OPTIONS" }));
  }
  await tell();
  const ends = told.flat().map((sample) => [sample.labels[1], "values" in sample && sample.values.length]);
  assert.deepEqual(ends, [["ok", 2], ["refused", 1], ["limited", 1], ["failed", 1]]);
});

Deno.test("resultOf() names how a checkout ended, and leaves the answer to be read", async () => {
  const refused = json({
    error: { code: "insufficient_stock", message: "Gone.", request_id: "one-request" },
  }, 409);
  assert.equal(await resultOf(json({}, 201)), "created");
  assert.equal(await resultOf(json({}, 200)), "repeated");
  assert.equal(await resultOf(refused), "insufficient_stock");
  assert.equal((await refused.json()).error.message, "Gone.");
});

Deno.test("runLater() has Supabase wait for the work", async () => {
  const waitedFor: Promise<void>[] = [];
  const runtime = globalThis as { EdgeRuntime?: { waitUntil(promise: Promise<void>): void } };
  runtime.EdgeRuntime = { waitUntil: (promise) => void waitedFor.push(promise) };
  let ran = 0;
  const work = () => {
    ran += 1;
    return Promise.resolve();
  };
  try {
    runLater(work, 0);
  } finally {
    delete runtime.EdgeRuntime;
  }
  assert.deepEqual([waitedFor.length, ran], [1, 0]);
  await waitedFor[0];
  assert.equal(ran, 1);
});
