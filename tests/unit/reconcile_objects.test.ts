/** The comparison of objects keeps to its time: the platform ends a worker that does not. */
import assert from "node:assert/strict";
import type { JobContext } from "../../supabase/functions/_shared/jobs/outcome.ts";
import { reconcileObjects } from "../../supabase/functions/_shared/jobs/reconcile_objects.ts";
import { fixedClock, keptLog } from "./fakes.ts";

const secondMs = 1_000;

/** A Stripe that takes a second to tell of one object; `listed` are the refunds of its list. */
function slowWorld(open: number, listed: number) {
  const clock = fixedClock();
  const refund = (at: number) => ({
    id: `re_${at}`,
    amount: 1,
    currency: "usd",
    status: "succeeded",
    created: 1,
  });
  const lists: string[] = [];
  const list = (name: string, data: unknown[] = []) => ({
    list: () => {
      lists.push(name);
      return Promise.resolve({ data, has_more: false });
    },
  });
  let read = 0;
  let repaired = 0;
  const stripe = {
    paymentIntents: list("payments"),
    charges: list("charges"),
    refunds: {
      ...list("refunds", Array.from({ length: listed }, (_, at) => refund(at))),
      retrieve: () => {
        read++;
        clock.advance(secondMs);
        return Promise.resolve(refund(read));
      },
    },
    disputes: list("disputes"),
    reviews: list("reviews"),
    radar: { earlyFraudWarnings: list("warnings") },
  };
  const rpc = {
    listOpenObjects: () =>
      Promise.resolve(Array.from({ length: open }, (_, at) => ({ kind: "refund", id: `re_${at}` }))),
    listDifferingObjects: (objects: { id: string }[]) => Promise.resolve(objects.map(({ id }) => id)),
    reconcileStripeObject: () => {
      repaired++;
      if (repaired > read) clock.advance(secondMs);
      return Promise.resolve({ outcome: null, changed: false, before: null, after: null });
    },
  };
  const env = { livemode: false };
  const context = { stripe, rpc, env, now: clock.now, log: keptLog().log } as unknown as JobContext;
  const run = () =>
    reconcileObjects(context, { runId: "run", since: new Date(0), budgetMs: 40 * secondMs, dryRun: false });
  return { run, clock, lists, readSoFar: () => read };
}

Deno.test("open objects leave half of the time to the lists", async () => {
  const here = slowWorld(200, 0);
  const startedAt = here.clock.now();
  const report = await here.run();
  assert.equal(here.readSoFar(), 21);
  assert.equal(here.clock.now() - startedAt, 21 * secondMs);
  assert.deepEqual(here.lists, ["payments", "charges", "refunds", "disputes", "reviews", "warnings"]);
  assert.deepEqual([report.complete, report.seen], [false, 21]);
});

Deno.test("repairs end when the time does", async () => {
  const here = slowWorld(0, 100);
  const startedAt = here.clock.now();
  const report = await here.run();
  assert.equal(here.clock.now() - startedAt, 41 * secondMs);
  assert.equal(report.complete, false);
});

Deno.test("what fits into the time is complete", async () => {
  const report = await slowWorld(10, 10).run();
  assert.deepEqual([report.complete, report.seen], [true, 20]);
});
