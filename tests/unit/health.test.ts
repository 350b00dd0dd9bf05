import assert from "node:assert/strict";
import { type Deps, handle } from "../../supabase/functions/health/handler.ts";
import { keptLog, publishableKey, secretKey, testEnv } from "./fakes.ts";

const checks = {
  database: { status: "ok" },
  jobs: { status: "degraded", due: 12, oldest_due_seconds: 1_000 },
  webhooks: { status: "ok", last_received_at: "2026-11-08T12:00:00Z" },
};

function depsWith(getHealth: Deps["rpc"]["getHealth"] = () => Promise.resolve({ checks })): Deps {
  return { env: testEnv(), rpc: { getHealth }, log: keptLog().log };
}

function requestOf(key: string | null, query = ""): Request {
  return new Request(`http://functions.example/health${query}`, {
    headers: key === null ? {} : { apikey: key },
  });
}

Deno.test("health shows figures to the secret key only", async () => {
  const full = await (await handle(requestOf(secretKey), depsWith())).json();
  assert.deepEqual(full, { status: "degraded", checks });
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
