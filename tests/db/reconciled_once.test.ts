/** What is found by two at once is repaired by one, and stands in the drift log once. */
import assert from "node:assert/strict";
import { eventually } from "../support/poll.ts";
import { deliver } from "./settlement/arrange.ts";
import { searchDatabase } from "./settlement/search.ts";
import { attachSession, beginOrder } from "./settlement/shop.ts";
import { Story } from "./settlement/story.ts";

Deno.test("a repair that waits for another run, or for the webhook, is none", async () => {
  await using database = await searchDatabase();
  const { sql } = database;
  const story = new Story(await beginOrder(sql), 60, "T");
  await attachSession(sql, story, "a");
  const { id: payment_id } = story.paid("a");
  await deliver(sql, story.moves);
  const refund = {
    ...{ fact: "refund", id: "re_missed", payment_id, charge_id: null, order_id: story.frame.orderId },
    ...{ amount: 100, currency: "usd", status: "succeeded", created: Math.floor(Date.now() / 1000) },
  };
  const repair = (tx: typeof sql) =>
    tx`select (public.reconcile_stripe_object(gen_random_uuid(), 'refund', ${refund.id}, ${
      sql.json([refund])
    }, now(), false)).changed`;

  const second = sql.begin(async (first) => {
    assert.deepEqual([...await repair(first)], [{ changed: true }]);
    const waiting = repair(sql).then((rows) => [...rows]);
    await eventually(
      "the second run to wait for the first",
      async () =>
        (await sql`select 1 from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%reconcile_stripe_object%' and datname = current_database()`)
          .length > 0,
    );
    return { waiting };
  });
  assert.deepEqual(await (await second).waiting, [{ changed: false }]);
  const drift = await sql`select object_id from public.reconciliation_drift`;
  assert.deepEqual(drift.map((row) => row["object_id"]), [refund.id]);
});
