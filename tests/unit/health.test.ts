import assert from "node:assert/strict";
import { type Deps, handle, shared } from "../../supabase/functions/health/handler.ts";
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import { healthCalls, type MetricFamily } from "../../supabase/functions/_shared/database/health.ts";
import { fakeCall, fixedClock, keptLog, publishableKey, secretKey, testEnv } from "./fakes.ts";

const token = "0123456789abcdefghijklmnopqrstuvwxyz";
const checks = {
  database: { status: "ok" },
  jobs: { status: "degraded", due: 12, oldest_due_seconds: 1_000 },
  webhooks: { status: "ok", last_received_at: "2026-11-08T12:00:00Z" },
};

/** What private.metrics and its series say, one of each kind. */
const families: MetricFamily[] = [
  {
    name: "jobs_due",
    type: "gauge",
    unit: null,
    help: "Jobs that are due.",
    labels: [],
    bounds: null,
    counted_by: "health",
    samples: [],
  },
  {
    name: "checkouts",
    type: "counter",
    unit: null,
    help: 'By "result".',
    labels: ["result"],
    bounds: null,
    counted_by: "functions",
    samples: [[["created"], 0, 7, 0], [['a "b" \\ \n'], 0, 1, 0]],
  },
  {
    name: "lag_seconds",
    type: "histogram",
    unit: "seconds",
    help: "How late.",
    labels: ["source"],
    bounds: [0.5, 10],
    counted_by: "database",
    samples: [[["delivered"], 0, 2, 0.6], [["delivered"], 2, 1, 42]],
  },
];

function depsWith(getHealth: Deps["rpc"]["getHealth"] = () => Promise.resolve({ checks })): Deps {
  const rpc = { getHealth, getMetrics: () => Promise.resolve(families) };
  const env = testEnv({ METRICS_TOKEN: token });
  return { env, rpc, publicHealth: getHealth, log: keptLog().log, elapsed: fixedClock(0).now };
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

Deno.test("health answers a monitor in OpenMetrics text, counters and histograms included", async () => {
  const response = await handle(requestOf(secretKey, "?format=openmetrics"), depsWith());
  assert.match(response.headers.get("content-type") ?? "", /^application\/openmetrics-text/);
  assert.equal(
    await response.text(),
    `# TYPE shop_up gauge
# HELP shop_up 1 while orders can be taken.
shop_up 1
# TYPE shop_check_ok gauge
# HELP shop_check_ok 1 when the check is ok, 0 when it is degraded or down.
shop_check_ok{check="database"} 1
shop_check_ok{check="jobs"} 0
shop_check_ok{check="webhooks"} 1
# TYPE shop_jobs_due gauge
# HELP shop_jobs_due Jobs that are due.
shop_jobs_due 12
# TYPE shop_checkouts counter
# HELP shop_checkouts By \\"result\\".
shop_checkouts_total{result="created"} 7
shop_checkouts_total{result="a \\"b\\" \\\\ \\n"} 1
# TYPE shop_lag_seconds histogram
# UNIT shop_lag_seconds seconds
# HELP shop_lag_seconds How late.
shop_lag_seconds_bucket{source="delivered",le="0.5"} 2
shop_lag_seconds_bucket{source="delivered",le="10.0"} 2
shop_lag_seconds_bucket{source="delivered",le="+Inf"} 3
shop_lag_seconds_count{source="delivered"} 3
shop_lag_seconds_sum{source="delivered"} 42.6
# EOF
`,
  );
});

Deno.test("health shows its figures to the bearer of METRICS_TOKEN, and to nobody with another", async () => {
  const shownTo = async (authorization: string, deps = depsWith()) => {
    const request = requestOf(null, "?format=openmetrics");
    request.headers.set("authorization", authorization);
    return (await (await handle(request, deps)).text()).includes("shop_jobs_due");
  };
  assert(await shownTo(`Bearer ${token}`));
  for (const given of ["Bearer ", `Bearer ${token}x`, `Basic ${token}`, token, `Bearer ${secretKey}`]) {
    assert(!await shownTo(given), given);
  }
  const rotated = { ...depsWith(), env: testEnv({ METRICS_TOKEN: `${"n".repeat(32)}, ${token}` }) };
  assert(await shownTo(`Bearer ${token}`, rotated) && await shownTo(`Bearer ${"n".repeat(32)}`, rotated));
  assert(!await shownTo(`Bearer ${"n".repeat(32)},${token}`, rotated));
  const unset = { ...depsWith(), env: testEnv() };
  assert(!await shownTo("Bearer null", unset) && !await shownTo(`Bearer ${token}`, unset));
});

Deno.test("health tells a monitor with 200 that the shop is down: of any other answer it would read nothing", async () => {
  const gone = () => Promise.reject(new Error("gone"));
  const deps = { ...depsWith(), rpc: { getHealth: gone, getMetrics: gone } };
  const answer = await handle(requestOf(secretKey, "?format=openmetrics"), deps);
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /^shop_up 0\n(.*\n)*# EOF\n$/m);
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

Deno.test("health is read once for all who ask without a key at the same time, and for each who has one", async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  let [read, broken] = [0, false];
  const getHealth = async () => {
    read += 1;
    if (broken) throw new Error("gone");
    await answered;
    return { checks };
  };
  const once = shared(getHealth);
  let waiting = 0;
  const publicHealth = () => {
    waiting += 1;
    if (waiting === 100) answer();
    return once();
  };
  const deps = { ...depsWith(getHealth), publicHealth };
  const crowd = (key: string | null) => Array.from({ length: 50 }, () => handle(requestOf(key), deps));
  const answers = [...crowd(null), ...crowd(publishableKey), handle(requestOf(secretKey), deps)];
  assert.deepEqual(new Set((await Promise.all(answers)).map(({ status }) => status)), new Set([200]));
  assert.equal(read, 2);
  // Nothing is kept: who comes later is told what is true then.
  broken = true;
  assert.equal((await handle(requestOf(null), deps)).status, 503);
  broken = false;
  assert.equal((await handle(requestOf(null), deps)).status, 200);
});
