import assert from "node:assert/strict";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import type { JobContext, Outcome } from "../../../supabase/functions/_shared/jobs/mod.ts";
import type { Job, JobResult } from "../../../supabase/functions/_shared/database/jobs.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";
import { nonEmpty } from "../../support/non_empty.ts";

interface FakeQueue {
  context: JobContext;
  results: JobResult[];
  claims: number[];
  /** Lets time pass. */
  clock: { now: number };
}

/** A queue in memory with `count` jobs; `claim` may override what a claim hands out. */
function fakeQueue(count: number, changes: Partial<JobContext["rpc"]> = {}): FakeQueue {
  let next = 0;
  const queue: FakeQueue = { context: {} as JobContext, results: [], claims: [], clock: { now: 1_000_000 } };
  const claimed = new Set<number>();
  const rpc = {
    enqueuePeriodicJobs: () => Promise.resolve(0),
    claimJobs: (_worker: string, limit: number) => {
      queue.claims.push(limit);
      const jobs = Array.from({ length: Math.min(limit, count - next) }, (): Job => ({
        id: ++next,
        kind: "refresh_refund",
        payload: {},
        attempts: 1,
        max_attempts: 12,
        lease_id: crypto.randomUUID(),
        created_at: new Date(queue.clock.now).toISOString(),
        order_id: null,
      }));
      for (const { id } of jobs) claimed.add(id);
      return Promise.resolve(jobs);
    },
    finishJobs: (results: JobResult[]) => {
      queue.results.push(...results);
      const status = { done: "done", discard: "discarded", retry: "queued", snooze: "queued" };
      return Promise.resolve(
        results.map(({ id, outcome }) => ({ id, finished: true, status: status[outcome] })),
      );
    },
    ...changes,
  };
  queue.context = {
    rpc,
    now: () => queue.clock.now,
    env: { mailPerSecond: 1_000 },
    log: createLogger({}, () => {}),
  } as unknown as JobContext;
  return queue;
}

const done = (): Promise<Outcome> => Promise.resolve({ kind: "done" });

Deno.test("work() runs up to its limit and says what became of each", async () => {
  const queue = fakeQueue(100);
  const outcomes: Outcome[] = [
    { kind: "done" },
    { kind: "discard", reason: "not needed" },
    { kind: "retry", error: "busy" },
    { kind: "snooze", until: new Date(0), reason: "later" },
  ];
  const tally = await work(
    40,
    queue.context,
    (job) => Promise.resolve(outcomes[job.id % 4] ?? { kind: "done" }),
  );
  assert.deepEqual(tally, { claimed: 40, succeeded: 10, retried: 20, discarded: 10, dead: 0 });
  assert.equal(new Set(queue.results.map(({ id }) => id)).size, 40);
});

Deno.test("work() warns of what is retried and of what staff must see, not of what was not needed any more", async () => {
  const queue = fakeQueue(5);
  const outcomes: Outcome[] = [
    { kind: "done" },
    { kind: "discard", reason: "nothing to tell" },
    { kind: "discard", reason: "refused", alert: "critical" },
    { kind: "retry", error: "busy" },
    { kind: "snooze", until: new Date(0), reason: "later" },
  ];
  const told: unknown[] = [];
  const log = createLogger({}, (level, line) => told.push([level, JSON.parse(line).reason]));
  await work(
    5,
    { ...queue.context, log },
    (job) => Promise.resolve(outcomes[job.id - 1] ?? { kind: "done" }),
  );
  assert.deepEqual(told.slice(0, 5), [
    ["info", undefined],
    ["info", "nothing to tell"],
    ["warn", "refused"],
    ["warn", "busy"],
    ["info", "later"],
  ]);
});

Deno.test("work() runs at most eight jobs at a time, and as many when there are that many", async () => {
  const queue = fakeQueue(50);
  let running = 0;
  let most = 0;
  await work(50, queue.context, async () => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    await Promise.resolve();
    running--;
    return { kind: "done" };
  });
  assert.equal(most, 8);
});

Deno.test("work() stays within the platform's CPU time, whatever it is asked for", async () => {
  assert.equal((await work(1_000, fakeQueue(2_000).context, done)).claimed, 500);
});

Deno.test("work() stops claiming when time runs short", async () => {
  const queue = fakeQueue(10_000);
  const tally = await work(1_000, queue.context, () => {
    queue.clock.now += 5_000;
    return done();
  });
  assert.ok(tally.claimed < 100, `${tally.claimed} jobs of 5 s each were claimed`);
  assert.ok(queue.clock.now - 1_000_000 < 145_000, "it ends before the platform ends it");
});

Deno.test("work() gives back, without an attempt, what it has claimed and cannot start in time", async () => {
  const queue = fakeQueue(16);
  await work(16, queue.context, () => {
    queue.clock.now += 30_000;
    return done();
  });
  const given = queue.results.filter(({ outcome }) => outcome === "snooze");
  assert.ok(given.length > 0);
  assert.equal(queue.results.length, 16, "none is left to its lease");
});

Deno.test("work() claims few when jobs are slow and many when they are quick", async () => {
  const slow = fakeQueue(200);
  await work(200, slow.context, () => {
    slow.clock.now += 500;
    return done();
  });
  assert.ok(nonEmpty(slow.claims.slice(1)).every((claim) => claim === 8), String(slow.claims));
  const quick = fakeQueue(1_000);
  await work(1_000, quick.context, done);
  assert.ok(Math.max(...quick.claims) === 100, String(quick.claims));
});

Deno.test("work() goes on when one job fails, and when outcomes cannot be written", async () => {
  let calls = 0;
  const queue = fakeQueue(30, {
    finishJobs: () => {
      calls++;
      return Promise.reject(new Error("down"));
    },
  });
  const tally = await work(30, queue.context, done);
  assert.deepEqual([tally.claimed, tally.succeeded, tally.retried], [30, 0, 30]);
  assert.ok(calls > 0);
});

Deno.test("work() fails when it cannot claim at all, and keeps its tally when it cannot claim any more", async () => {
  const never = fakeQueue(0, { claimJobs: () => Promise.reject(new Error("down")) });
  await assert.rejects(() => work(10, never.context, done), /down/);

  let first = true;
  const queue = fakeQueue(8);
  const { claimJobs } = queue.context.rpc;
  queue.context.rpc.claimJobs = (worker, limit, lease, mails) => {
    if (!first) return Promise.reject(new Error("down"));
    first = false;
    return claimJobs(worker, Math.min(limit, 8), lease, mails);
  };
  assert.equal((await work(100, queue.context, done)).succeeded, 8);
});

Deno.test("work() does not count a job whose lease was lost", async () => {
  const queue = fakeQueue(4, {
    finishJobs: (results) =>
      Promise.resolve(results.map(({ id }) => ({ id, finished: false, status: null }))),
  });
  assert.deepEqual(await work(4, queue.context, done), {
    claimed: 4,
    succeeded: 0,
    retried: 0,
    discarded: 0,
    dead: 0,
  });
});
