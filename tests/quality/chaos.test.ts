import assert from "node:assert/strict";
import { surviveLostConnections } from "../../scripts/quality/chaos.ts";
import { planKills, points } from "../../scripts/quality/chaos/kills.ts";
import { Random } from "../../scripts/quality/chaos/random.ts";
import { runOnce } from "../../scripts/quality/chaos/run.ts";
import { judge } from "../../scripts/quality/chaos/verdict.ts";
import { planStories } from "../../scripts/quality/chaos/workload.ts";
import { startWorld } from "../../scripts/quality/chaos/world.ts";

/** A few here; `deno task chaos --runs 300` by hand. */
const runs = 2;

Deno.test({
  name: "chaos: nothing is lost and nothing doubled, whatever is killed; and the judge would see it",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (test) => {
    surviveLostConnections();
    const dir = await Deno.makeTempDir({ prefix: "kct-chaos-" });
    const world = await startWorld(dir);
    try {
      for (let seed = 1; seed <= runs; seed++) {
        const { violations, planned, struck } = await runOnce(world, seed);
        assert.deepEqual(
          violations,
          [],
          `seed ${seed}: planned ${planned.join("; ")}, struck ${struck.join("; ")}`,
        );
      }
      await test.step("the judge notices a lost event, a lost refund, a doubled refund and a mail that never went", async () => {
        const rules = async () => new Set((await judge(world)).map(({ rule }) => rule));
        await world
          .sql`delete from public.webhook_events where id = (select id from public.webhook_events limit 1)`;
        assert.ok((await rules()).has("every event that Stripe sent is stored and applied"));
        await world.sql`
          insert into private.jobs (kind, dedupe_key, status, finished_at, payload)
          values ('refund_payment', 'lost', 'done', now(), '{"refund_request_id": "lost"}')`;
        assert.ok((await rules()).has("every refund that is done is at Stripe"));
        await world.sql`
          insert into public.notifications (order_id, template, status, sent_at)
          select id, 'order_shipped', 'sent', now() from public.orders limit 1`;
        assert.ok((await rules()).has("every mail that is noted as sent was sent"));
        await doubleARefund(world.stripeUrl, world.keys.stripe_secret_key);
        assert.ok((await rules()).has("one refund per request"));
      });
    } finally {
      await world.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
});

/** Two refunds that carry one request's id, on any payment that has money left. */
async function doubleARefund(stripeUrl: string, key: string): Promise<void> {
  const headers = { authorization: `Bearer ${key}` };
  const list = await (await fetch(`${stripeUrl}/v1/payment_intents?limit=100`, { headers })).json();
  let made = 0;
  for (const { id } of list.data) {
    for (; made < 2; made++) {
      const body = new URLSearchParams({
        payment_intent: id,
        amount: "1",
        "metadata[refund_request_id]": "twice",
      });
      const response = await fetch(`${stripeUrl}/v1/refunds`, { method: "POST", headers, body });
      await response.body?.cancel();
      if (!response.ok) break;
    }
  }
  assert.equal(made, 2, "no payment had money left");
}

Deno.test("chaos: a seed repeats its stories and its kills, and the plans reach every named point", () => {
  const plan = (seed: number) => {
    const random = new Random(seed);
    return [planStories(random, 6), planKills(random, 4, 900)];
  };
  assert.deepEqual(plan(7), plan(7));
  assert.notDeepEqual(plan(7), plan(8));
  const planned = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    for (const { at } of planKills(new Random(seed), 4, 900)) if ("point" in at) planned.add(at.point);
  }
  for (const point of Object.keys(points)) assert.ok(planned.has(point), `${point} is never planned`);
});
