import assert from "node:assert/strict";
import postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { claim, clearQueue, enqueue, expireLeases, finish, jobRow, makeDue } from "./queue.ts";
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

test("claim_jobs() takes what is due, most urgent first, and counts the attempt", async () => {
  const [late] = await enqueue(sql, "send_mail", 1, { runAt: "now", priority: 100 });
  const [early] = await enqueue(sql, "refund_payment", 1, { priority: 20 });
  const [old] = await enqueue(sql, "send_mail", 1, { runAt: "yesterday", priority: 100 });
  await enqueue(sql, "retry_event", 1, { runAt: "tomorrow", priority: 1 });
  const jobs = await claim(sql, 10);
  assert.deepEqual(jobs.map(({ id }) => id), [early, old, late]);
  assert.deepEqual(jobs.map(({ attempts }) => attempts), [1, 1, 1]);
  assert.equal(new Set(jobs.map(({ lease_id }) => lease_id)).size, 3);
  assert.deepEqual(await claim(sql, 10), []);
});

test("claim_jobs() keeps to its limit", async () => {
  await enqueue(sql, "send_mail", 5);
  assert.equal((await claim(sql, 3)).length, 3);
  assert.equal((await claim(sql, 3)).length, 2);
});

test("enqueue_job() queues one job per dedupe key, for ever", async () => {
  const queue = () => sql`select private.enqueue_job('send_mail', 'once', '{}') as queued`;
  assert.equal((await queue())[0]?.queued, true);
  assert.equal((await queue())[0]?.queued, false);
  await finish(sql, await claim(sql, 1), { outcome: "done" });
  assert.equal((await queue())[0]?.queued, false);
});

test("claim_jobs() never gives one job to two of eight workers at a time", async () => {
  const ids = await enqueue(sql, "retry_event", 400);
  const held = new Map<number, string>();
  const runs = new Map<number, number>();
  const worker = async (name: string) => {
    const own = postgres(database.url, { max: 1, onnotice: () => {} });
    try {
      while (true) {
        const jobs = await claim(own, 7, { worker: name });
        if (jobs.length === 0) return;
        for (const { id } of jobs) {
          assert.equal(held.get(id), undefined, `job ${id} is held by ${held.get(id)} and by ${name}`);
          held.set(id, name);
          runs.set(id, (runs.get(id) ?? 0) + 1);
        }
        for (const { id } of jobs) held.delete(id);
        const answers = await finish(own, jobs, { outcome: "done" });
        assert.ok(nonEmpty(answers).every(({ finished }) => finished));
      }
    } finally {
      await own.end();
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, number) => worker(`worker ${number}`)));
  assert.deepEqual([...runs.keys()].sort((a, b) => a - b), ids);
  assert.ok(nonEmpty(runs.values()).every((count) => count === 1));
});

test("claim_jobs() gives a job whose lease ran out to the next worker, and the first cannot end it any more", async () => {
  const [id = 0] = await enqueue(sql, "send_mail");
  const first = await claim(sql, 1, { worker: "first" });
  await expireLeases(sql);
  const second = await claim(sql, 1, { worker: "second" });
  assert.deepEqual(second.map((job) => [job.id, job.attempts]), [[id, 2]]);

  assert.deepEqual(await finish(sql, first, { outcome: "done" }), [{ id, finished: false, status: null }]);
  assert.equal((await jobRow(sql, id)).status, "running");
  assert.deepEqual(await finish(sql, second, { outcome: "done" }), [{ id, finished: true, status: "done" }]);
  assert.deepEqual(await finish(sql, second, { outcome: "retry" }), [{ id, finished: false, status: null }]);
  assert.equal((await jobRow(sql, id)).status, "done");
});

test("claim_jobs() runs a job that kills workers alone, until it is dead, while the others get done", async () => {
  const innocents = await enqueue(sql, "retry_event", 9, { maxAttempts: 3 });
  const [poison = 0] = await enqueue(sql, "send_mail", 1, { priority: 1, maxAttempts: 3 });
  let crashes = 0;
  for (let round = 0; round < 60; round++) {
    await makeDue(sql);
    const jobs = await claim(sql, 32);
    if (jobs.some(({ id }) => id === poison)) {
      crashes++;
      await expireLeases(sql);
    } else {
      await finish(sql, jobs, { outcome: "done" });
    }
  }
  assert.equal(crashes, 3);
  assert.equal((await jobRow(sql, poison)).status, "dead");
  for (const id of innocents) {
    const job = await jobRow(sql, id);
    assert.deepEqual(
      [job.status, job.attempts],
      ["done", 2],
      "only the first crash may cost an innocent job an attempt",
    );
  }
});

test("claim_jobs() lets new work pass a job that outlived its worker, but not for longer than two minutes", async () => {
  const [suspect = 0] = await enqueue(sql, "send_mail");
  await claim(sql, 1);
  await expireLeases(sql);
  await enqueue(sql, "send_mail", 3);
  assert.equal((await claim(sql, 10)).length, 3);
  await enqueue(sql, "send_mail", 3);
  await sql`update private.jobs set run_at = now() - interval '3 minutes' where id = ${suspect}`;
  assert.deepEqual((await claim(sql, 10)).map(({ id }) => id), [suspect]);
});

test("claim_jobs() gets the others done within minutes, however many jobs kill their workers", async () => {
  const poison = new Set(await enqueue(sql, "refresh_charge", 12, { maxAttempts: 100 }));
  let longest = 0, crashes = 0;
  // A worker a minute, as pg_cron calls it, until one of them has killed it.
  for (let minute = 0; minute < 60; minute++) {
    await enqueue(sql, "send_alert", 2, { priority: 50 });
    await sql`update private.jobs set run_at = run_at - interval '1 minute',
      leased_until = leased_until - interval '1 minute' where status in ('queued', 'running')`;
    while (true) {
      const jobs = await claim(sql, 16, { leaseSeconds: 160 });
      if (jobs.length === 0) break;
      if (jobs.some(({ id }) => poison.has(id))) {
        crashes++;
        break;
      }
      const [waited] = await sql`select max(extract(epoch from now() - run_at))::integer as seconds
        from private.jobs where id = any (${jobs.map(({ id }) => id)})`;
      longest = Math.max(longest, waited?.["seconds"]);
      await finish(sql, jobs, { outcome: "done" });
    }
  }
  const [waiting] = await sql`select coalesce(max(extract(epoch from now() - run_at)), 0)::integer as seconds
    from private.jobs where kind = 'send_alert' and status = 'queued'`;
  assert.ok(Math.max(longest, waiting?.["seconds"]) <= 300, `an alert waited ${longest} s`);
  assert.ok(crashes > 20, `those that kill are tried all the same: ${crashes}`);
});

test("claim_jobs() gives out as many mails as are asked for, and the rest of its limit to others", async () => {
  await enqueue(sql, "send_mail", 10);
  await enqueue(sql, "refresh_refund", 10);
  const kinds = async (limit: number, mails: number | null) => {
    const rows = await sql`select kind from public.claim_jobs('w', ${limit}, 60, ${mails})`;
    const count = (kind: string) => rows.filter((row) => row.kind === kind).length;
    return [count("send_mail"), count("refresh_refund")];
  };
  assert.deepEqual(await kinds(5, 2), [2, 3]);
  assert.deepEqual(await kinds(3, 0), [0, 3]);
  assert.deepEqual(await kinds(2, 5), [1, 1], "others get their half, however many mails may leave");
  assert.deepEqual(await kinds(1, 5), [1, 0]);
  assert.deepEqual(await kinds(20, null), [6, 3]);
});

test("claim_jobs() reads only what is due, however many jobs are finished", async () => {
  await sql`
    insert into private.jobs (kind, dedupe_key, status, finished_at, run_at)
    select 'send_mail', 'finished:' || n, 'done', now(), now() - interval '1 hour' from generate_series(1, 50000) n`;
  await sql`analyze private.jobs`;
  await enqueue(sql, "send_mail", 50);
  const plan = await sql.begin(async (tx) => {
    // What the session has read before may still be counted in.
    const read = async () => {
      const [row] = await tx<{ scanned: number; fetched: number }[]>`
        select coalesce(seq_tup_read, 0)::integer as scanned, coalesce(idx_tup_fetch, 0)::integer as fetched
        from pg_stat_xact_user_tables where relid = 'private.jobs'::regclass`;
      return { scanned: row?.scanned ?? 0, fetched: row?.fetched ?? 0 };
    };
    const before = await read();
    const [answer] = await tx`select count(*)::integer as jobs from public.claim_jobs('w', 20, 60)`;
    const after = await read();
    return {
      jobs: answer?.jobs,
      scanned: after.scanned - before.scanned,
      fetched: after.fetched - before.fetched,
    };
  });
  assert.equal(plan.jobs, 20);
  assert.equal(plan.scanned, 0, "the table was read as a whole");
  assert.ok(plan.fetched < 1_000, `${plan.fetched} rows were read to claim 20`);
});
