import assert from "node:assert/strict";
import { enterCheckout } from "../../supabase/functions/_shared/checkout/supersede.ts";
import { startDeadline } from "../../supabase/functions/_shared/checkout/deadline.ts";
import { observe, takeReading } from "../../supabase/functions/_shared/database/readings.ts";
import type { Fact } from "../../supabase/functions/_shared/stripe_events/facts.ts";

/** A clock that moves on with every look. */
function ticking(): () => number {
  let now = 1_000;
  return () => now++;
}

Deno.test("takeReading() notes the time from before the request", async () => {
  const now = ticking();
  const { object, observedAt } = await takeReading(now, () => Promise.resolve(now()));
  assert.equal(observedAt.getTime(), 1_000);
  assert.equal(object, 1_001);
});

Deno.test("observe() merges the facts of an answer under the time from before it, and nothing where there are none", async () => {
  const applied: unknown[] = [];
  const rpc = {
    applyStripeFacts: (facts: Fact[], source: string, observedAt: Date) => {
      applied.push([facts, source, observedAt.getTime()]);
      return Promise.resolve(true);
    },
  };
  const now = ticking();
  const facts = [{ fact: "refund" }] as unknown as Fact[];
  assert.equal(
    await observe({ rpc, now, source: "job" }, () => Promise.resolve(now()), () => facts),
    1_001,
  );
  await observe({ rpc, now, source: "job" }, () => Promise.resolve(null), () => []);
  assert.deepEqual(applied, [[facts, "job", 1_000]]);
});

Deno.test("enterCheckout() ends pages that are named, and asks the last time without naming any", async () => {
  const ended: string[] = [], asked: boolean[] = [];
  const session = (id: string) => ({ id, object: "checkout.session", status: "expired", metadata: {} });
  const deps = {
    rpc: { applyStripeFacts: () => Promise.resolve(true) },
    stripe: {
      expireSession: (id: string) => {
        ended.push(id);
        return Promise.resolve(session(id) as never);
      },
      retrieveSession: () => Promise.reject(new Error("not asked")),
    },
    now: () => 0,
  };
  const answer = await enterCheckout(
    (supersede): Promise<{ outcome: "existing" } | { outcome: "superseded"; session_ids: string[] }> => {
      asked.push(supersede);
      return Promise.resolve(
        supersede ? { outcome: "superseded", session_ids: [`cs_${asked.length}`] } : { outcome: "existing" },
      );
    },
    deps,
    startDeadline(() => 0),
  );
  assert.deepEqual(answer, { outcome: "existing" });
  assert.deepEqual(asked, [true, true, false]);
  assert.deepEqual(ended, ["cs_1", "cs_2"]);
});
