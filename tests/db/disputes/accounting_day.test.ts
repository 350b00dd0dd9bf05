/** The day on which accounting books what came back from a bank. */
import assert from "node:assert/strict";
import { disputeFacts } from "../../../supabase/functions/_shared/stripe_events/dispute.ts";
import { deliver } from "../settlement/arrange.ts";
import { searchDatabase, undone } from "../settlement/search.ts";
import { attachSession, beginOrder } from "../settlement/shop.ts";
import { Story } from "../settlement/story.ts";

const database = await searchDatabase(50);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("money that a won dispute has brought back stays on its day when the dispute is read again", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    story.disputed(story.paid("a"), "d", "needs_response").closed("won");
    await deliver(tx, story.moves);
    const day = async () => {
      const [row] =
        await tx`select day::text from reporting.accounting_export where kind = 'dispute_returned'`;
      return row?.["day"];
    };
    const booked = await day();
    assert.match(booked, /^2026-/);
    // The daily look of answer_dispute, or a reconciler.
    const dispute = story.events.findLast(({ type }) => type === "charge.dispute.closed");
    assert.ok(dispute !== undefined);
    const facts = disputeFacts(dispute.data.object as never);
    const later = new Date((dispute.created + 2 * 86_400) * 1000);
    await tx`select public.apply_stripe_facts(${
      tx.json(JSON.parse(JSON.stringify(facts)))
    }, 'job', ${later})`;
    assert.equal(await day(), booked);
  });
});

Deno.test("what others at the same account refund, or lose to a bank, is not in the shop's books", async () => {
  await undone(sql, async (tx) => {
    const refund = {
      ...{ fact: "refund", id: "re_of_others", payment_id: "pi_of_others", charge_id: null, amount: 100 },
      ...{ currency: "usd", status: "succeeded", created: 1_793_500_000 },
    };
    const story = new Story(await beginOrder(tx), 60, "T");
    story.disputed(story.payment("others"), "d", "needs_response").closed("won");
    await deliver(tx, story.moves);
    await tx`select public.apply_stripe_facts(${tx.json([refund])}, 'reconcile', now())`;
    const [known] = await tx`select (select count(*)::int from public.refunds) as refunds,
      (select count(*)::int from public.disputes where funds_reinstated) as disputes`;
    assert.deepEqual({ ...known }, { refunds: 1, disputes: 1 });
    assert.deepEqual([...await tx`select kind from reporting.accounting_export`], []);
  });
});
