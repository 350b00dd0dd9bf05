/** How counts are kept: nothing lost, nothing twice, never fewer, and only so many series. */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { ROOT } from "../../../scripts/lib/paths.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { healthFigures } from "../../../supabase/functions/health/openmetrics.ts";
import { jobKinds } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { counts, forget } from "./registry.ts";

const database = await createTestDatabase("seeded");
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const record = async (db: postgres.Sql | postgres.ReservedSql, samples: object[]): Promise<number> =>
  (await db`select public.record_metrics(${db.json(samples as postgres.JSONValue)}) as refused`)[0]?.refused;

Deno.test("every refusal of a checkout and every kind of repair is counted under its own name", async () => {
  await forget(sql);
  const refusals = ["busy", "checkout_closed", "currency_unavailable", "shipping_unavailable"];
  await record(sql, refusals.map((code) => ({ metric: "checkouts", labels: [code], count: 1 })));
  const repairs = ["charge", "review", "early_fraud_warning"];
  for (const kind of repairs) await sql`select private.count_metric('reconciliation_drift', array[${kind}])`;
  const counted = { ...await counts(sql, "checkouts"), ...await counts(sql, "reconciliation_drift") };
  for (const code of refusals) assert.equal(counted[`checkouts ${code}`], 1, code);
  for (const kind of repairs) assert.equal(counted[`reconciliation_drift ${kind}`], 1, kind);
});

Deno.test("ten workers that tell at once while three monitors read: nothing is lost, and nothing is counted twice", async () => {
  await forget(sql);
  const clients = Array.from({ length: 13 }, () => postgres(database.url, { max: 1, onnotice: () => {} }));
  try {
    const seen: number[][] = [[], [], []];
    await Promise.all(clients.map(async (client, index) => {
      for (let round = 0; round < 20; round++) {
        if (index < 10) {
          await record(client, [
            { metric: "checkouts", labels: ["created"], count: 3 },
            { metric: "request_duration_seconds", labels: ["health", "ok"], values: [0.05, 0.2] },
          ]);
        } else {
          seen[index - 10]?.push((await counts(client, "checkouts"))["checkouts created"] ?? 0);
        }
      }
    }));
    for (const values of seen) {
      assert.deepEqual(values, values.toSorted((a, b) => a - b), "a counter never falls");
    }
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
  assert.deepEqual(await counts(sql, "checkouts", "request_duration_seconds"), {
    "checkouts created": 600,
    "request_duration_seconds health ok": 400,
  });
  assert.deepEqual([...await sql`select from private.metric_samples`], []);
});

Deno.test("a value on a bucket's bound is in that bucket, and the sum is that of all values", async () => {
  await forget(sql);
  await record(sql, [
    { metric: "request_duration_seconds", labels: ["order-status", "ok"], values: [0.05, 0.050001, 10, 11] },
  ]);
  await sql`select public.get_metrics()`;
  const rows = await sql`select bucket, count::integer, total from private.metric_series
    where metric = 'request_duration_seconds' and count > 0 order by bucket`;
  assert.deepEqual(rows.map(({ bucket, count }) => [bucket, count]), [[0, 1], [1, 1], [7, 1], [8, 1]]);
  assert.equal(rows.reduce((sum, { total }) => sum + total, 0).toFixed(6), "21.100001");
});

Deno.test("record_metrics() refuses what it does not know, and what is not the functions' to count", async () => {
  await forget(sql);
  const refused = await record(sql, [
    { metric: "invented", labels: [], count: 1 },
    { metric: "payments", labels: [], count: 1 },
    { metric: "checkouts", labels: [], count: 1 },
    { metric: "checkouts", labels: ["created"], count: 0 },
    { metric: "request_duration_seconds", labels: ["health", "ok"], values: [] },
    { metric: "checkouts", labels: ["created"], count: 1 },
  ]);
  assert.equal(refused, 5);
  assert.deepEqual(await counts(sql, "checkouts", "payments"), { "checkouts created": 1 });
});

Deno.test("nobody makes more series than a metric may have", async () => {
  await forget(sql);
  const samples = Array.from(
    { length: 50 },
    (_, n) => ({ metric: "checkouts", labels: [`x${n}`], count: 1 }),
  );
  assert.equal(await record(sql, samples), 0);
  assert.deepEqual(await counts(sql, "checkouts"), { "checkouts other": 50 });
  // Labels whose values come from a registry have no list: they end at 300 series.
  await sql`select private.count_metric('jobs', array['kind_' || n, 'done']) from generate_series(1, 1000) n`;
  const jobs = await counts(sql, "jobs");
  assert(Object.keys(jobs).length <= 301, `${Object.keys(jobs).length} series`);
  assert(jobs["jobs other other"] !== undefined && jobs["jobs other other"] >= 700);
  assert.equal(Object.values(jobs).reduce((sum, count) => sum + count, 0), 1_000);
  await sql`delete from private.metric_series where metric = 'jobs'`;
});

Deno.test("a monitor does not wait for another one, nor for the heartbeat: what is left is added up the next time", async () => {
  await forget(sql);
  const [first, second] = [await sql.reserve(), await sql.reserve()];
  try {
    await record(sql, [{ metric: "checkouts", labels: ["created"], count: 1 }]);
    await first`begin`;
    assert.deepEqual(await counts(first, "checkouts"), { "checkouts created": 1 });
    await second`set statement_timeout = '5s'`;
    assert.deepEqual(await counts(second, "checkouts"), {}, "not committed yet");
    await first`commit`;
    assert.deepEqual(await counts(second, "checkouts"), { "checkouts created": 1 });
  } finally {
    await second`reset statement_timeout`;
    first.release();
    second.release();
  }
});

Deno.test("what is rolled back was never counted", async () => {
  await forget(sql);
  await assert.rejects(sql.begin(async (tx) => {
    await tx`select private.count_metric('payments')`;
    throw new Error("no");
  }));
  assert.deepEqual(await counts(sql, "payments"), {});
});

Deno.test("reading metrics and health touches no table that grows", async () => {
  const grown = [
    "jobs",
    "notifications",
    "order_events",
    "orders",
    "payment_attempts",
    "payments",
    "webhook_events",
  ];
  await sql.begin(async (tx) => {
    const read = async () => {
      const rows = await tx`select relname, seq_scan::integer, coalesce(idx_scan, 0)::integer as idx_scan
        from pg_stat_xact_user_tables where relname in ${tx(grown)} order by 1`;
      return rows.map((row) => ({ ...row }));
    };
    const before = await read();
    assert.equal(before.length, grown.length);
    await tx`select public.get_metrics()`;
    assert.deepEqual(await read(), before);
  });
});

Deno.test("the values that labels may have are those that there are", async () => {
  const rows = await sql<{ name: string; allowed: Record<string, string[]> }[]>`
    select name, allowed from private.metrics`;
  const allowed = new Map(rows.map((row) => [row.name, row.allowed]));
  const functions: string[] = [];
  for await (const { name } of Deno.readDir(join(ROOT, "supabase/functions"))) {
    if (!name.startsWith("_") && !name.includes(".")) functions.push(name);
  }
  assert.deepEqual(allowed.get("request_duration_seconds")?.["function"], functions.sort());
  for (const name of functions) {
    const index = await Deno.readTextFile(join(ROOT, `supabase/functions/${name}/index.ts`));
    assert(index.includes(`measured("${name}", metrics,`), name);
  }
  const objectives = await sql<{ name: string; functions: string[] }[]>`
    select name, functions from private.objectives`;
  assert.deepEqual(
    allowed.get("objective_events")?.["objective"]?.toSorted(),
    objectives.map(({ name }) => name).sort(),
  );
  for (const name of objectives.flatMap((row) => row.functions)) assert(functions.includes(name), name);
  const [row] = await sql<{ check: string }[]>`
    select pg_get_constraintdef(oid) as check from pg_constraint where conname = 'notifications_status_known'`;
  const statuses = [...row?.check.matchAll(/'(\w+)'/g) ?? []].map(([, status]) => status);
  // Delivered is no status: such a mail stays sent.
  assert.deepEqual(allowed.get("mails")?.["outcome"]?.toSorted(), [...statuses, "delivered"].sort());
});

Deno.test("every figure of health that is a number has a metric, and kinds of jobs fit in", async () => {
  await sql`select public.enqueue_periodic_jobs()`;
  const [row] = await sql`select public.get_health() -> 'checks' as checks`;
  const named = await sql<{ name: string }[]>`select name from private.metrics where counted_by = 'health'`;
  const known = named.map(({ name }) => name);
  const shown = [...healthFigures(row?.checks).keys()];
  assert(shown.length >= 15, `${shown}`);
  assert.deepEqual(shown.filter((name) => !known.includes(name)), []);
  // Five outcomes each, and 300 series: a kind more than that would be counted as other.
  assert(jobKinds.length * 5 <= 300);
});
