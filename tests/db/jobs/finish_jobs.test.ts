import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { sqlstateOf } from "../../support/role.ts";
import { alertsOf, claim, clearQueue, enqueue, finish, jobRow, makeDue } from "./queue.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const database = await createTestDatabase();
const { sql } = database;

function test(name: string, work: () => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await clearQueue(sql);
      await work();
    },
  });
}
Deno.test.afterAll(() => database.drop());

/** For how long the only breaker stays open after `work`, in the moment of its transaction. */
async function closedSeconds(work: (tx: postgres.TransactionSql) => Promise<unknown>): Promise<number> {
  return await sql.begin(async (tx) => {
    await work(tx);
    const [breaker] = await tx<{ seconds: number }[]>`
      select extract(epoch from open_until - now())::double precision as seconds from private.circuit_breakers`;
    return breaker?.seconds ?? 0;
  });
}

test("finish_jobs() ends each of a group by its own outcome", async () => {
  await enqueue(sql, "retry_event", 4);
  const jobs = await claim(sql, 4);
  const outcomes = ["done", "discard", "retry", "snooze"];
  const results = jobs.map(({ id, lease_id }, at) => ({
    id,
    lease_id,
    outcome: outcomes[at] ?? "",
    reason: "because",
  }));
  const finished = await sql`select status from public.finish_jobs(${sql.json(results)})`;
  assert.deepEqual(finished.map(({ status }) => status), [
    "done",
    "discarded",
    "queued",
    "queued",
  ]);
  const attempts = await Promise.all(jobs.map(async ({ id }) => (await jobRow(sql, id)).attempts));
  assert.deepEqual(attempts, [1, 1, 1, 0], "a snooze costs no attempt");
});

test("finish_jobs() refuses an unknown outcome and changes nothing", async () => {
  const [first = 0] = await enqueue(sql, "retry_event", 2);
  const jobs = await claim(sql, 2);
  const results = jobs.map(({ id, lease_id }, at) => ({
    id,
    lease_id,
    outcome: at === 0 ? "done" : "finished",
  }));
  assert.equal(await sqlstateOf(sql`select public.finish_jobs(${sql.json(results)})`), "SHINV");
  assert.equal((await jobRow(sql, first)).status, "running");
});

test("finish_jobs() backs off exponentially with full jitter up to the limit", async () => {
  const base = 10;
  for (const attempt of [1, 2, 3, 5]) {
    const rows = await sql<{ seconds: number }[]>`
      select extract(epoch from private.backoff(${attempt}, 'send_mail'))::double precision as seconds from generate_series(1, 400)`;
    const seconds = rows.map((row) => row.seconds);
    const most = base * 2 ** (attempt - 1);
    assert.ok(
      Math.min(...seconds) >= 1 && Math.max(...seconds) <= most,
      `attempt ${attempt} stays within 1 and ${most} s`,
    );
    assert.ok(Math.max(...seconds) > most * 0.9, `attempt ${attempt} uses the whole range`);
    assert.ok(Math.min(...seconds) < Math.max(1.5, most * 0.1), `attempt ${attempt} uses the whole range`);
  }
  const [longest] =
    await sql`select max(extract(epoch from private.backoff(30, 'send_mail'))) as seconds from generate_series(1, 400)`;
  assert.ok(Number(longest?.seconds) <= 3600);
});

test("finish_jobs() retries at the asked time", async () => {
  const [id = 0] = await enqueue(sql, "send_mail");
  const runAt = new Date(Date.now() + 90_000).toISOString();
  await finish(sql, await claim(sql, 1), { outcome: "retry", reason: "busy", run_at: runAt });
  const job = await jobRow(sql, id);
  assert.equal(job.run_at.toISOString(), runAt);
  assert.equal(job.last_error, "busy");
});

test("finish_jobs() buries a job after its last attempt and alerts with the cause", async () => {
  await sql`
    insert into public.webhook_events (id, type, status, livemode, stripe_created_at, payload)
    values ('evt_dead', 'charge.failed', 'failed', false, now(), '{}')`;
  const [id = 0] = await enqueue(sql, "retry_event", 1, {
    maxAttempts: 2,
    payload: { event_id: "evt_dead" },
  });
  await finish(sql, await claim(sql, 1), { outcome: "retry", reason: "first" });
  assert.equal((await jobRow(sql, id)).status, "queued");
  await makeDue(sql);
  assert.deepEqual(await finish(sql, await claim(sql, 1), { outcome: "retry", reason: "no such column" }), [
    { id, finished: true, status: "dead" },
  ]);
  const [event] = await sql`select status from public.webhook_events where id = 'evt_dead'`;
  assert.equal(event?.status, "dead");
  const [alert] = await alertsOf(sql, "job_dead");
  assert.equal(alert?.severity, "critical");
  assert.equal(alert?.data["error"], "no such column");
  const [message] = await sql`select count(*)::integer as count from private.jobs where kind = 'send_alert'`;
  assert.equal(message?.count, 1);
});

test("finish_jobs() does not ask for a message about a message that cannot be delivered", async () => {
  await enqueue(sql, "send_alert", 1, { maxAttempts: 1 });
  await finish(sql, await claim(sql, 1), { outcome: "retry", reason: "down" });
  const [row] = await sql`select count(*)::integer as count from private.jobs where status = 'queued'`;
  assert.equal(row?.count, 0);
});

test("finish_jobs() closes the alert about a kind that was held, when one of it gets through", async () => {
  await enqueue(sql, "send_mail", 2);
  const run_at = new Date(Date.now() + 3_600_000).toISOString();
  await finish(sql, await claim(sql, 1), {
    outcome: "snooze",
    reason: "not set up",
    alert: "warning",
    run_at,
  });
  assert.equal((await alertsOf(sql, "job_blocked"))[0]?.status, "open");
  // The alert's own message among them.
  await finish(sql, await claim(sql, 5), { outcome: "done" });
  assert.equal((await alertsOf(sql, "job_blocked"))[0]?.status, "resolved");
});

test("finish_jobs() tells staff about a job that can never be done", async () => {
  await enqueue(sql, "refund_payment");
  await finish(sql, await claim(sql, 1), {
    outcome: "discard",
    reason: "no such payment",
    alert: "critical",
  });
  const [alert] = await alertsOf(sql, "job_discarded");
  assert.deepEqual([alert?.severity, alert?.data["reason"]], ["critical", "no such payment"]);
});

test("finish_jobs() tells staff once of what fails round after round, and takes it back when a round succeeds", async () => {
  const round = async (number: number, result: Parameters<typeof finish>[2]) => {
    await sql`
      insert into private.jobs (kind, dedupe_key, max_attempts)
      values ('reconcile_objects', 'reconcile_objects:' || ${number}::integer, 1)`;
    await finish(sql, await claim(sql, 1, { kinds: ["reconcile_objects"] }), result);
  };
  const refused = { outcome: "discard", reason: "404", alert: "critical" };
  for (const number of [1, 2]) await round(number, { outcome: "retry", reason: "bug" });
  for (const number of [3, 4]) await round(number, refused);
  const told = async () =>
    (await sql`select kind, status, count from public.alerts order by kind`).map((row) => Object.values(row));
  assert.deepEqual(await told(), [["job_dead", "resolved", 2], ["job_discarded", "open", 2]]);
  const [messages] = await sql`select count(*)::integer as count from private.jobs where kind = 'send_alert'`;
  assert.equal(messages?.count, 2);

  await round(5, { outcome: "retry", reason: "bug" });
  await round(6, { outcome: "done" });
  assert.deepEqual(await told(), [["job_dead", "resolved", 3], ["job_discarded", "resolved", 2]]);
  const [dead] = await sql`select count(*)::integer as count from private.jobs where status = 'dead'`;
  assert.equal(dead?.count, 0, "what a later round has done needs nobody any more");
});

test("circuit breaker: five outages in a row stop a provider's jobs, and only those, without burning attempts", async () => {
  await enqueue(sql, "refund_payment", 8);
  await enqueue(sql, "send_mail", 2, { priority: 200 });
  for (let round = 0; round < 5; round++) {
    const [job] = await claim(sql, 1, { kinds: ["refund_payment"] });
    assert.ok(job !== undefined, "the breaker opened too early");
    await finish(sql, [job], { outcome: "retry", reason: "connection refused", provider_state: "down" });
  }
  await makeDue(sql);
  assert.ok(
    nonEmpty(await claim(sql, 100)).every(({ kind }) => kind === "send_mail" || kind === "send_alert"),
  );
  const [spent] =
    await sql`select sum(attempts)::integer as attempts from private.jobs where kind = 'refund_payment'`;
  assert.equal(spent?.attempts, 4, "the outage that opened the breaker and all after it are free");
  const alerts = await alertsOf(sql, "provider_down");
  assert.deepEqual(alerts.map(({ severity, status }) => [severity, status]), [["critical", "open"]]);
});

test("circuit breaker: after the wait one job at a time tries, waits longer each time, and an answer opens the gate", async () => {
  await enqueue(sql, "refund_payment", 10);
  await sql`insert into private.circuit_breakers (provider, failures, opened_at, open_until) values ('stripe', 5, now(), now() - interval '1 second')`;
  const probe = await claim(sql, 10);
  assert.equal(probe.length, 1);
  assert.deepEqual(await claim(sql, 10), [], "nobody else tries meanwhile");
  const failed = { outcome: "retry", reason: "503", provider_state: "down" };
  assert.equal(await closedSeconds((tx) => finish(tx, probe, failed)), 30, "15 s, doubled");
  const [id] = probe.map((job) => job.id);
  assert.equal((await jobRow(sql, id ?? 0)).attempts, 0);

  await sql`update private.circuit_breakers set open_until = now() - interval '1 second'`;
  await finish(sql, await claim(sql, 10), { outcome: "done", provider_state: "up" });
  assert.equal((await claim(sql, 10)).length, 9);
});

test("circuit breaker: a probe that never asked the provider lets the next job find out at once", async () => {
  const [poison = 0] = await enqueue(sql, "refund_payment", 1, { priority: 1 });
  const [sound = 0] = await enqueue(sql, "refund_payment");
  await sql`insert into private.circuit_breakers (provider, failures, opened_at, open_until) values ('stripe', 5, now(), now() - interval '1 second')`;
  const probe = await claim(sql, 10);
  assert.deepEqual(probe.map(({ id }) => id), [poison]);
  await finish(sql, probe, { outcome: "retry", reason: "the job has no payment_id" });
  const next = await claim(sql, 10);
  assert.deepEqual(next.map(({ id }) => id), [sound]);
  await finish(sql, next, { outcome: "discard", reason: "400", provider_state: "up" });
  const [breaker] = await sql`select failures, open_until from private.circuit_breakers`;
  assert.deepEqual({ ...breaker }, { failures: 0, open_until: null });
});

test("circuit breaker: a job that the provider asked to wait is not the next probe", async () => {
  const [id = 0] = await enqueue(sql, "refund_payment");
  await sql`insert into private.circuit_breakers (provider, failures, opened_at, open_until) values ('stripe', 5, now(), now() - interval '1 second')`;
  const runAt = new Date(Date.now() + 90_000).toISOString();
  const result = { outcome: "retry", reason: "429", run_at: runAt, provider_state: "down" };
  await finish(sql, await claim(sql, 10), result);
  const job = await jobRow(sql, id);
  assert.equal(job.run_at.toISOString(), runAt, "Retry-After outlives the breaker's wait");
  assert.equal(job.attempts, 0);
});

test("circuit breaker: a probe whose worker dies does not keep the gate shut", async () => {
  await enqueue(sql, "refund_payment", 3);
  await sql`insert into private.circuit_breakers (provider, failures, opened_at, open_until) values ('stripe', 5, now(), now() - interval '1 second')`;
  assert.equal((await claim(sql, 10, { leaseSeconds: 1 })).length, 1);
  await sql`update private.jobs set leased_until = now() - interval '1 second' where status = 'running'`;
  await sql`update private.circuit_breakers set open_until = now() - interval '1 second'`;
  assert.equal((await claim(sql, 10)).length, 1);
});

test("circuit breaker: a refused key stops all of the provider's jobs at once, with one critical alert", async () => {
  await enqueue(sql, "refund_payment", 3);
  const refused = { outcome: "retry", reason: "stripe 401: invalid key", provider_state: "unauthorized" };
  for (let round = 0; round < 3; round++) {
    await sql`update private.circuit_breakers set open_until = now() - interval '1 second'`;
    const jobs = await claim(sql, 1, { kinds: ["refund_payment"] });
    assert.equal(jobs.length, 1);
    const seconds = await closedSeconds((tx) => finish(tx, jobs, refused));
    assert.equal(seconds, 15, "a new key is noticed as soon as an outage's end");
    assert.deepEqual(await claim(sql, 10, { kinds: ["refund_payment"] }), []);
  }
  const alerts = await alertsOf(sql, "provider_unauthorized");
  assert.deepEqual(alerts.map(({ severity }) => severity), ["critical"]);
  const [messages] = await sql`select count(*)::integer as count from private.jobs where kind = 'send_alert'`;
  assert.equal(messages?.count, 1);
  const [spent] =
    await sql`select max(attempts)::integer as attempts from private.jobs where kind = 'refund_payment'`;
  assert.equal(spent?.attempts, 0);
});

test("circuit breaker: an outage that comes back after it was over is told again", async () => {
  const outage = async () => {
    await sql`select private.note_provider('stripe', 0, 5, false, 'down')`;
  };
  await outage();
  await sql`select private.note_provider('stripe', 1, 0, false, null)`;
  assert.deepEqual((await alertsOf(sql, "provider_down")).map(({ status }) => status), ["resolved"]);
  await outage();
  assert.deepEqual((await alertsOf(sql, "provider_down")).map(({ status, count }) => [status, count]), [[
    "open",
    2,
  ]]);
  const [messages] = await sql`select count(*)::integer as count from private.jobs where kind = 'send_alert'`;
  assert.equal(messages?.count, 2);
});

test("a refund that works leaves another refund that is dead as it is: they are not rounds of one effect", async () => {
  const dead = "refund_payment:request:00000000-0000-4000-8000-000000000001";
  for (
    const key of [
      dead,
      "refund_payment:request:00000000-0000-4000-8000-000000000002",
      "refund_payment:duplicate:pi_1",
      "refund_payment:oversold:pi_2",
    ]
  ) {
    await sql`select private.enqueue_job('refund_payment', ${key}, '{}')`;
  }
  await sql`
    update private.jobs set status = 'dead', finished_at = now(), last_error = 'no answer' where dedupe_key = ${dead}`;
  await sql`select private.raise_alert('job_dead', 'critical', ${`job_dead:${dead}`}, '{}')`;
  await finish(sql, await claim(sql, 10, { kinds: ["refund_payment"] }), { outcome: "done" });
  const rows = await sql<{ dedupe_key: string }[]>`
    select dedupe_key from private.jobs where kind = 'refund_payment' and status = 'dead'`;
  assert.deepEqual(rows.map((row) => row.dedupe_key), [dead]);
  assert.deepEqual((await alertsOf(sql, "job_dead")).map(({ status }) => status), ["open"]);
});
