/** What stands in the digest of a day. */
import assert from "node:assert/strict";
import { answerOf, type Db, paidCart, refund, succeed } from "../settlement/goods.ts";
import { searchDatabase, undone } from "../settlement/search.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

async function digestOfToday(db: Db, livemode: boolean): Promise<Record<string, unknown>> {
  const [row] = await db`select public.get_digest(now()::date, ${livemode}) - '{day,shop}'::text[] as digest`;
  return row?.["digest"];
}

Deno.test("what was tried out with test keys is not in the digest of a live shop", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await succeed(tx, story, payment, answerOf(await refund(tx, story, [{ sku: "TIE", quantity: 1 }])));
    await tx`update public.orders set paid_at = now()`;
    await tx`update public.refunds set succeeded_at = now()`;
    await tx`update public.notifications set created_at = now()`;
    await tx`select public.record_mail_event(id, 'mail_' || id, 'bounced', true, 'a@example.com', now(), null)
      from public.notifications`;
    const empty = {
      sales: [],
      refunds: [],
      to_ship: 0,
      attention: {},
      disputes: [],
      alerts: {},
      mails_failed: 0,
    };
    assert.deepEqual(await digestOfToday(tx, true), empty);
    const tried = await digestOfToday(tx, false);
    assert.deepEqual(tried, {
      ...empty,
      sales: [{ currency: "usd", count: 1, amount: 35_000 }],
      refunds: [{ currency: "usd", count: 1, amount: 5_000 }],
      to_ship: 1,
      attention: { mail_returned: 1 },
      mails_failed: 2,
    });
  });
});

for (
  const [day, before, first, last, after] of [
    // 25 hours, 23 hours, and a day like any other.
    ["2026-10-25", "2026-10-24 23:59", "2026-10-25 00:00", "2026-10-25 23:59", "2026-10-26 00:00"],
    ["2026-03-29", "2026-03-28 23:59", "2026-03-29 00:00", "2026-03-29 23:59", "2026-03-30 00:00"],
    ["2026-06-01", "2026-05-31 23:59", "2026-06-01 00:00", "2026-06-01 23:59", "2026-06-02 00:00"],
  ] as const
) {
  Deno.test(`a mail that came back is in the digest of the day on which it did, alone: ${day} in Berlin`, async () => {
    await undone(sql, async (tx) => {
      await paidCart(tx);
      await tx`update private.settings set value = '"Europe/Berlin"' where key = 'shop_time_zone'`;
      // Sent a week before, and given back on this day.
      await tx`select public.record_mail_event(id, 'mail_1', 'bounced', false, 'a@example.com', now(), null)
        from public.notifications`;
      await tx`update public.notifications set created_at = ${before}::text::timestamp - interval '7 days'`;
      const found: number[] = [];
      for (const at of [before, first, last, after]) {
        await tx`set local session_replication_role = replica`;
        await tx`update public.order_events set created_at = ${at}::text::timestamp at time zone 'Europe/Berlin'
          where kind = 'mail_bounced'`;
        const [row] =
          await tx`select public.get_digest(${day}::text::date, false) -> 'mails_failed' as count`;
        found.push(row?.["count"]);
      }
      assert.deepEqual(found, [0, 1, 1, 0]);
    });
  });
}

Deno.test("a mail that its provider never took is in the digest, and in the trail of its order", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    await tx`update public.notifications set created_at = now() - interval '3 days'`;
    await tx`select public.record_notification_result(id, 'failed', 'a@example.com', null, 'refused')
      from public.notifications`;
    assert.equal((await digestOfToday(tx, false))["mails_failed"], 1);
    const trail = await tx`select kind from public.order_events
      where order_id = ${story.frame.orderId} and kind like 'mail%'`;
    assert.deepEqual(trail.map(({ kind }) => kind), ["mail_failed"]);
  });
});
