import assert from "node:assert/strict";
import { checkOrders } from "../../supabase/functions/_shared/jobs/check_orders.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import type { JobContext } from "../../supabase/functions/_shared/jobs/outcome.ts";
import { fixedClock } from "./fakes.ts";

const job = { id: 1, kind: "check_orders", payload: {}, attempts: 1 } as Job;

/** `steps` steps have more after them, each takes `ms`. */
function run(steps: number, ms: number) {
  const clock = fixedClock(0);
  let left = steps;
  const context = {
    now: clock.now,
    rpc: {
      checkSettledOrders: () => {
        clock.advance(ms);
        return Promise.resolve(left-- > 0);
      },
    },
  } as unknown as JobContext;
  return checkOrders(job, context);
}

Deno.test("check_orders goes on until no order waits, and leaves the rest for later after ten seconds", async () => {
  assert.deepEqual(await run(3, 200), { kind: "done" });
  const late = await run(1_000, 200);
  assert(late.kind === "snooze");
  assert.equal(late.until.getTime(), 10_200 + 30_000);
});
