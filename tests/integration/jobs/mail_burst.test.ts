import assert from "node:assert/strict";
import { createLogger } from "../../../supabase/functions/_shared/log.ts";
import type { JobContext, Outcome } from "../../../supabase/functions/_shared/jobs/mod.ts";
import type { Job, JobResult } from "../../../supabase/functions/_shared/database/jobs.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";

const perSecond = 4;

/** A queue on a clock of its own, that gives out at most as many mails as is asked for. */
class Queue {
  now = 1_000_000;
  readonly mails: Job[] = [];
  readonly others: Job[] = [];
  readonly sentAt: number[] = [];
  readonly waited: number[] = [];
  #lastId = 0;

  add(kind: "send_mail" | "refresh_refund", count: number): void {
    for (let n = 0; n < count; n++) {
      (kind === "send_mail" ? this.mails : this.others).push({
        id: ++this.#lastId,
        kind,
        payload: {},
        attempts: 1,
        max_attempts: 12,
        lease_id: crypto.randomUUID(),
        created_at: new Date(this.now).toISOString(),
      });
    }
  }

  /** One call of retry-jobs; every job takes 50 ms of one of the lanes. */
  async work(): Promise<number> {
    const rpc = {
      enqueuePeriodicJobs: () => Promise.resolve(0),
      claimJobs: (_worker: string, limit: number, _lease: number, mails: number) => {
        const taken = this.mails.splice(0, Math.min(mails, limit));
        return Promise.resolve([...taken, ...this.others.splice(0, limit - taken.length)]);
      },
      finishJobs: (results: JobResult[]) =>
        Promise.resolve(results.map(({ id }) => ({ id, finished: true, status: "done" }))),
    };
    const context = {
      rpc,
      env: { mailPerSecond: perSecond },
      now: () => this.now,
      log: createLogger({}, () => {}),
    } as unknown as JobContext;
    const run = (job: Job): Promise<Outcome> => {
      this.now += 50 / 8;
      if (job.kind === "send_mail") this.sentAt.push(this.now);
      else this.waited.push(this.now - Date.parse(job.created_at));
      return Promise.resolve({ kind: "done" });
    };
    const wait = (ms: number) => {
      assert.ok(ms > 0 && ms <= 1_000, `${ms} ms`);
      this.now += ms;
      // What comes in meanwhile.
      if (this.others.length === 0) this.add("refresh_refund", 1);
      return Promise.resolve();
    };
    return (await work(1_000, context, run, wait)).claimed;
  }
}

Deno.test("ten thousand mails leave at the provider's rate, and hold up nothing else", async () => {
  const queue = new Queue();
  queue.add("send_mail", 10_000);
  const startedAt = queue.now;
  let calls = 0;
  while (queue.mails.length > 0) {
    // The schedule calls once a minute.
    queue.now = Math.max(queue.now, startedAt + calls++ * 60_000);
    await queue.work();
    assert.ok(calls < 100, `${queue.mails.length} mails are left after ${calls} minutes`);
  }
  const seconds = (queue.now - startedAt) / 1000;
  assert.ok(seconds < 1.1 * 10_000 / perSecond, `it took ${seconds} s`);
  for (const [at, sentAt] of queue.sentAt.entries()) {
    const later = queue.sentAt[at + 2 * perSecond + 1];
    if (later !== undefined) {
      assert.ok(later - sentAt > 1_000, `more than twice the rate in the second after ${sentAt}`);
    }
  }
  assert.ok(queue.waited.length > 1_000);
  assert.ok(Math.max(...queue.waited) < 2_000, `another job waited ${Math.max(...queue.waited)} ms`);
});

Deno.test("a worker with nothing more to send does not wait for mails that nobody has queued", async () => {
  const queue = new Queue();
  for (const mails of [0, 1, perSecond, perSecond + 1]) {
    queue.add("send_mail", mails);
    const before = queue.now;
    assert.equal((await queue.work()) - queue.waited.length, mails);
    queue.waited.length = 0;
    queue.others.length = 0;
    assert.ok(queue.now - before < 1_000, `${mails} mails took ${queue.now - before} ms`);
    queue.now += 60_000;
  }
});
