/** The search for missed events keeps to its time: the platform ends a worker that does not. */
import assert from "node:assert/strict";
import type { JobContext } from "../../supabase/functions/_shared/jobs/outcome.ts";
import { reconcileEvents } from "../../supabase/functions/_shared/jobs/reconcile_events.ts";
import { fixedClock, keptLog, testEnv } from "./fakes.ts";

const secondMs = 1_000;

Deno.test("a window with more missed events than there is time for is left and gone on with", async () => {
  const clock = fixedClock();
  const created = Math.floor(clock.now() / 1000) - 600;
  const events = Array.from({ length: 90 }, (_, at) => ({ id: `evt_${at}`, type: "charge.failed", created }));
  const received = new Set<string>();
  const cursors: string[] = [];
  const stripe = {
    events: {
      list: (
        { types, created: { gte, lte } }: { types: string[]; created: { gte: number; lte: number } },
      ) => {
        const data = events.filter((event) =>
          types.includes(event.type) && event.created >= gte && event.created <= lte
        );
        return Promise.resolve({ data, has_more: false });
      },
    },
  };
  const rpc = {
    getReconciliationCursor: () => Promise.resolve(new Date(clock.now() - 1_200 * secondMs).toISOString()),
    listUnknownEvents: (ids: string[]) => Promise.resolve(ids.filter((id) => !received.has(id))),
    reconcileStripeEvent: (_run: string, { id }: { id: string }) => {
      received.add(id);
      clock.advance(secondMs);
      return Promise.resolve({ outcome: "applied", changed: true, before: null, after: null });
    },
    advanceReconciliationCursor: (_name: string, position: Date) => {
      cursors.push(position.toISOString());
      return Promise.resolve(position.toISOString());
    },
  };
  const context = {
    stripe,
    rpc,
    now: clock.now,
    log: keptLog().log,
    env: testEnv(),
  } as unknown as JobContext;
  const run = () =>
    reconcileEvents(context, { runId: "run", graceMs: 0, budgetMs: 40 * secondMs, dryRun: false });

  const startedAt = clock.now();
  const first = await run();
  assert.equal(first.complete, false);
  assert.equal(clock.now() - startedAt, 21 * secondMs, "half of the time, and what was in hand");
  const before = cursors.length;
  for (let at = 0; at < 9 && !(await run()).complete; at++);
  assert.equal(received.size, events.length);
  assert(cursors.length > before, "the cursor goes on once the window is done");
});
