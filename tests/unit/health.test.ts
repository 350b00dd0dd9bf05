import assert from "node:assert/strict";
import { type Deps, handle } from "../../supabase/functions/health/handler.ts";
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import { healthCalls } from "../../supabase/functions/_shared/database/health.ts";
import { fakeCall, fixedClock, keptLog, publishableKey, secretKey, testEnv } from "./fakes.ts";

const checks = {
  database: { status: "ok" },
  jobs: { status: "degraded", due: 12, oldest_due_seconds: 1_000 },
  webhooks: { status: "ok", last_received_at: "2026-11-08T12:00:00Z" },
};

function depsWith(getHealth: Deps["rpc"]["getHealth"] = () => Promise.resolve({ checks })): Deps {
  return { env: testEnv(), rpc: { getHealth }, log: keptLog().log, elapsed: fixedClock(0).now };
}

function requestOf(key: string | null, query = "", method = "GET"): Request {
  return new Request(`http://functions.example/health${query}`, {
    method,
    headers: key === null ? {} : { apikey: key },
  });
}

Deno.test("health shows figures to the secret key only", async () => {
  const full = await (await handle(requestOf(secretKey), depsWith())).json();
  assert.deepEqual(full, {
    status: "degraded",
    checks: { ...checks, database: { status: "ok", latency_ms: 0 } },
  });
  for (const key of [null, publishableKey, "sb_secret_wrong"]) {
    const shown = await (await handle(requestOf(key), depsWith())).json();
    assert.deepEqual(shown.checks, {
      database: { status: "ok" },
      jobs: { status: "degraded" },
      webhooks: { status: "ok" },
    });
  }
});

Deno.test("health is 200 while degraded, and 503 when the database is down", async () => {
  assert.equal((await handle(requestOf(null), depsWith())).status, 200);
  const down = await handle(
    requestOf(secretKey),
    depsWith(() => Promise.reject(new Error("password=hunter2"))),
  );
  assert.equal(down.status, 503);
  const text = await down.text();
  assert.deepEqual(JSON.parse(text), { status: "down", checks: { database: { status: "down" } } });
  assert(!text.includes("hunter2"));
});

Deno.test("health takes a check without a known status for down", async () => {
  const odd = depsWith(() => Promise.resolve({ checks: { database: { status: "ok" }, jobs: {} } }));
  assert.equal((await handle(requestOf(null), odd)).status, 503);
});

Deno.test("health answers in OpenMetrics text", async () => {
  const response = await handle(requestOf(secretKey, "?format=openmetrics"), depsWith());
  assert.match(response.headers.get("content-type") ?? "", /^application\/openmetrics-text/);
  const text = await response.text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  for (const sample of samples) assert.match(sample, /^[a-z_]+(\{check="[a-z_]+"\})? -?\d+(\.\d+)?$/);
  assert(samples.includes("shop_jobs_due 12"));
  assert(samples.includes('shop_check_ok{check="jobs"} 0'));
  assert(
    samples.includes(`shop_webhooks_last_received_at_seconds ${Date.parse("2026-11-08T12:00:00Z") / 1000}`),
  );
  assert(text.endsWith("# EOF\n"));
  const shown = await (await handle(requestOf(null, "?format=openmetrics"), depsWith())).text();
  assert(!shown.includes("shop_jobs_due"));
});

Deno.test("health may be kept for seconds by those who see no figures, and by nobody who does", async () => {
  for (const query of ["", "?format=openmetrics"]) {
    for (const key of [null, publishableKey, secretKey]) {
      const { headers } = await handle(requestOf(key, query), depsWith());
      assert.equal(headers.get("cache-control"), key === secretKey ? "no-store" : "public, max-age=5");
      assert.match(headers.get("vary") ?? "", /\bapikey\b/);
    }
  }
});

Deno.test("health answers HEAD like GET, without the body", async () => {
  const down = depsWith(() => Promise.reject(new Error("gone")));
  for (const [deps, status] of [[depsWith(), 200], [down, 503]] as const) {
    const answer = await handle(requestOf(null, "", "HEAD"), deps);
    assert.deepEqual([answer.status, await answer.text()], [status, ""]);
  }
});

Deno.test("health is down while nobody works on jobs, which a monitor sees as 503", async () => {
  const idle = depsWith(() => Promise.resolve({ checks: { ...checks, jobs: { status: "down" } } }));
  const answer = await handle(requestOf(null), idle);
  assert.deepEqual([answer.status, (await answer.json()).status], [503, "down"]);
});

Deno.test("health measures what the database takes", async () => {
  const clock = fixedClock(0);
  const deps: Deps = {
    ...depsWith(() => {
      clock.advance(7.4);
      return Promise.resolve({ checks });
    }),
    elapsed: clock.now,
  };
  assert.equal((await (await handle(requestOf(secretKey), deps)).json()).checks.database.latency_ms, 7);
});

Deno.test("health gives the database three seconds, and says down of one that hangs", async () => {
  const asked: [string, number][] = [];
  const call = fakeCall((name, _args, limitMs) => {
    asked.push([name, limitMs]);
    return Promise.resolve({ checks });
  });
  await healthCalls(call).getHealth();
  assert.deepEqual(asked, [["get_health", 3_000]]);

  // A server that takes the request and never answers.
  const { promise: hangs, resolve: end } = Promise.withResolvers<Response>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => hangs);
  try {
    const env = testEnv({ SUPABASE_URL: `http://127.0.0.1:${server.addr.port}` });
    const hanging = createCall(env).within(() => 50);
    const deps = depsWith(() => hanging("get_health", {}) as ReturnType<Deps["rpc"]["getHealth"]>);
    const answer = await handle(requestOf(secretKey), deps);
    assert.deepEqual([answer.status, await answer.json()], [503, {
      status: "down",
      checks: { database: { status: "down" } },
    }]);
  } finally {
    end(new Response());
    await server.shutdown();
  }
});
