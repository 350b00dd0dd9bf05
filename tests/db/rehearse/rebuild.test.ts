/** Facts and state of orders made anew from the log, in every lifecycle. */
import assert from "node:assert/strict";
import { rebuild } from "../../../scripts/quality/rebuild.ts";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { lifecycles } from "../settlement/lifecycles.ts";
import { nonEmpty } from "../../support/non_empty.ts";
import { rehearse } from "../../../scripts/quality/rehearse/rehearsal.ts";
import { writeBack } from "../../../scripts/quality/rehearse/write_back.ts";
import { deliver } from "../settlement/arrange.ts";
import type { Payment } from "../settlement/story.ts";
import { lifecycle, openShop, storePayloads, tellOrder } from "./log.ts";

/** Every row that is derived, by order; when something was written is no part of it. */
const DIGEST = `
  select o.number, jsonb_build_object(
    'order', to_jsonb(o) - 'updated_at',
    'risk', (select to_jsonb(k) - 'velocity_mode' from public.order_risk k where k.order_id = o.id),
    'sessions', (select jsonb_agg(to_jsonb(s) - '{version,contact_version}'::text[] order by s.id)
      from public.checkout_sessions s where s.order_id = o.id),
    'payments', (select jsonb_agg(to_jsonb(p) - '{version,created_at}'::text[] order by p.id)
      from public.payments p where p.order_id = o.id),
    'attempts', (select jsonb_agg(to_jsonb(a) - 'version' order by a.id)
      from public.payment_attempts a where a.order_id = o.id),
    'refunds', (select jsonb_agg(to_jsonb(r) - '{version,seen_at}'::text[] order by r.id)
      from public.refunds r where r.order_id = o.id),
    'reasons', (select jsonb_agg(to_jsonb(x) order by x.refund_id) from public.refund_reasons x
      join public.refunds r on r.id = x.refund_id where r.order_id = o.id),
    'disputes', (select jsonb_agg(to_jsonb(d) - 'version' order by d.id)
      from public.disputes d where d.order_id = o.id),
    'signals', (select jsonb_agg(to_jsonb(f) - '{id,version}'::text[] order by f.source_id)
      from public.fraud_signals f where f.order_id = o.id and f.source_id is not null),
    'stock', (select jsonb_agg(jsonb_build_array(r.variant_id, r.quantity, r.returned, r.status))
      from public.inventory_reservations r where r.order_id = o.id),
    'effects', (select jsonb_agg(j.dedupe_key order by j.dedupe_key) from private.jobs j
      where j.payload ->> 'order_id' = o.id::text)
  ) as digest from public.orders o order by o.number`;

/** Takes away what events have made; what people have decided stands in the same rows, and stays. */
const DROP = `
  set local session_replication_role = replica;
  delete from public.payments where order_id in (select id from pg_temp.dropped);
  delete from public.payment_attempts where order_id in (select id from pg_temp.dropped);
  delete from public.disputes where order_id in (select id from pg_temp.dropped);
  delete from public.refund_reasons where refund_id in (
    select r.id from public.refunds r where r.order_id in (select id from pg_temp.dropped));
  update public.refunds set status = 'lost', amount = 1, reason = null, was_pending = false, succeeded_at = null,
    failed_at = null where order_id in (select id from pg_temp.dropped);
  update public.fraud_signals set open = not open, was_actionable = false, data = '{}'
    where order_id in (select id from pg_temp.dropped) and source_id is not null;
  update public.checkout_sessions set status = 'open', payment_status = 'unpaid', payment_id = null,
    completed_at = null, amount_total = null, email = null, shipping_address = null
    where order_id in (select id from pg_temp.dropped);
  update public.orders set session_id = null, payment_id = null, status = 'pending', amount_paid = 0,
    amount_refunded = 0, amount_total = 0, fulfillment_status = 'unfulfilled', paid_at = null,
    shipping_address = null where id in (select id from pg_temp.dropped);
  update public.order_risk set review_reasons = '{}' where order_id in (select id from pg_temp.dropped)`;

Deno.test("rebuild: nothing that is derived is a source: all of it comes back from the log", async (test) => {
  await using live = await createTestDatabase();
  const { sql } = live;
  await openShop(sql);
  const [oldest, erased, ...others] = nonEmpty(lifecycles);
  assert.ok(oldest !== undefined && erased !== undefined && others.length > 0);
  const old = await tellOrder(sql, oldest, "old");
  // Retention takes payloads by age: the orders before are not told whole any more.
  await sql`update public.webhook_events set payload = '{"purged": true}', received_at = now() - interval '100 days'`;
  await sql`update public.orders set created_at = now() - interval '101 days'`;
  const gone = await tellOrder(sql, erased, "gone");
  await sql`update public.orders set erased_at = now() where id = ${gone.frame.orderId}`;
  for (const [at, life] of others.entries()) await tellOrder(sql, life, `L${at}`);
  const digest = async () =>
    new Map((await sql.unsafe(DIGEST)).map(({ number, digest }) => [number, digest]));
  const before = await digest();
  const run = async (dryRun: boolean) => {
    await using shadow = await createTestDatabase();
    return await rebuild({ liveUrl: live.url, shadowUrl: shadow.url, dryRun, progress: () => {} });
  };
  const compare = async () => {
    const after = await digest();
    for (const [number, was] of nonEmpty([...before])) assert.deepEqual(after.get(number), was, number);
  };

  await test.step("what is right stays as it is; older and erased orders are named", async () => {
    const report = await run(false);
    assert.deepEqual([report.differing, report.failures], [[], []]);
    assert.equal(report.orders, others.length);
    assert.deepEqual(report.not_rehearsed.map(({ number, reason }) => [number, reason]), [
      [old.frame.orderNumber, "payloads of its events are gone"],
      [gone.frame.orderNumber, "its person was erased"],
    ]);
    await compare();
  });

  await test.step("what is gone is made anew", async () => {
    await sql.begin(async (tx) => {
      await tx`create temp table dropped on commit drop as select o.id from public.orders o
        where o.erased_at is null and o.created_at > now() - interval '1 day'`;
      await tx.unsafe(DROP).simple();
    });
    assert.notDeepEqual(await digest(), before);
    const plan = await run(true);
    assert.ok(plan.differing.length > others.length / 2, `${plan.differing.length} orders`);
    assert.notDeepEqual(await digest(), before, "a dry run writes nothing");
    const report = await run(false);
    assert.deepEqual(report.failures, []);
    await compare();
    assert.deepEqual((await run(true)).differing, []);
  });
});

Deno.test("rebuild: what has come in since the copy was made stays", async () => {
  await using live = await createTestDatabase();
  await using shadow = await createTestDatabase();
  const { sql } = live;
  await openShop(sql);
  const payments: Payment[] = [];
  const life = {
    ...lifecycle("pay"),
    tell: (story: Parameters<ReturnType<typeof lifecycle>["tell"]>[0]) => void payments.push(story.paid("a")),
  };
  const refunded = await tellOrder(sql, life, "refunded");
  const erased = await tellOrder(sql, life, "erased");
  const other = await tellOrder(sql, life, "other");
  const [at] = await sql<{ now: Date }[]>`select now() as now`;
  assert.ok(at !== undefined && payments[0] !== undefined);
  const report = await rehearse({
    ...{ liveUrl: live.url, shadowUrl: shadow.url, since: null, limit: null },
    progress: () => {},
  });
  assert.equal(report.orders, 3);

  const told = refunded.moves.length;
  refunded.refunded(payments[0], "r", 25_800);
  await deliver(sql, refunded.moves.slice(told));
  await storePayloads(sql, refunded);
  await sql`update public.orders set erased_at = now(), shipping_address = null where id = ${erased.frame.orderId}`;
  await sql`update public.checkout_sessions set shipping_address = null where order_id = ${erased.frame.orderId}`;
  await sql`update public.orders set status = 'pending' where id = ${other.frame.orderId}`;

  assert.deepEqual(
    await writeBack(live.url, shadow.url, at.now),
    [refunded.frame.orderNumber, erased.frame.orderNumber].sort(),
  );
  const rows = await sql`
    select o.id, o.status, o.amount_refunded::int as refunded, exists (
      select from public.checkout_sessions s where s.order_id = o.id and s.shipping_address is not null
    ) as address
    from public.orders o`;
  const states = new Map(rows.map(({ id, ...state }) => [id, state]));
  assert.deepEqual([refunded, erased, other].map(({ frame }) => states.get(frame.orderId)), [
    { status: "refunded", refunded: 25_800, address: true },
    { status: "paid", refunded: 0, address: false },
    { status: "paid", refunded: 0, address: true },
  ]);
});
