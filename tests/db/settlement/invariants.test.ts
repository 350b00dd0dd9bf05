import assert from "node:assert/strict";
import type postgres from "postgres";
import { assertInvariants } from "../../support/invariants.ts";
import { deliver, ship } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder, SKU } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** One order paid twice, partly refunded and disputed; one pending; one expired; one cancelled before its money came. */
const paid = new Story(await beginOrder(sql), 60, "Paid");
await attachSession(sql, paid, "a");
await attachSession(sql, paid, "b", 2);
const payment = paid.paid("a");
paid.paid("b");
paid.refunded(payment, "1", 1_000);
paid.disputed(payment, "d", "needs_response");
await deliver(sql, paid.moves);
const pending = new Story(await beginOrder(sql), 60, "Pending");
await attachSession(sql, pending, "a");
const expired = new Story(await beginOrder(sql), 60, "Expired");
await attachSession(sql, expired, "a");
expired.expired("a");
await deliver(sql, expired.moves);
const cancelled = new Story(await beginOrder(sql), 60, "Cancelled");
await attachSession(sql, cancelled, "a");
await sql`select public.cancel_order(${cancelled.frame.orderNumber})`;
cancelled.paid("a");
await deliver(sql, cancelled.moves);
const parcels = new Story(await beginOrder(sql), 60, "Parcels");
await attachSession(sql, parcels, "a");
parcels.paid("a");
await deliver(sql, parcels.moves);
await ship(sql, parcels, 1);
await sql`select public.receive_return(${parcels.frame.orderNumber}, ${
  sql.json([{ sku: SKU, quantity: 1 }])
})`;

const paidId = paid.frame.orderId;
type Damage = (tx: postgres.ReservedSql) => PromiseLike<unknown>;

/** For each rule something that breaks it. */
const damages: Record<string, Damage> = {
  "reserved is the sum of active reservations": (tx) =>
    tx`update public.inventory_levels set reserved = reserved + 1`,
  "committed is the sum of committed reservations": (tx) =>
    tx`update public.inventory_levels set committed = committed + 1, on_hand = on_hand - 1`,
  "on_hand is the sum of its journal": (tx) => tx`update public.inventory_journal set change = change + 1`,
  "what is exchanged has one price": (tx) =>
    tx`update public.return_lines set exchanged_for = (
      select id from public.order_items where order_id = ${paidId}
    )`,
  "a paid order owns its stock": (tx) =>
    tx`update public.inventory_reservations set status = 'released' where order_id = ${paidId}`,
  "an expired order holds no stock": (tx) =>
    tx`update public.inventory_reservations set status = 'active' where order_id = ${expired.frame.orderId}`,
  "a reservation is as large as its line": (tx) =>
    tx`update public.inventory_reservations set quantity = quantity + 1`,
  "an open order holds its stock": (tx) =>
    tx`update public.inventory_reservations set status = 'released' where order_id = ${pending.frame.orderId}`,
  "an order that is not to ship owns no stock": (tx) =>
    tx`update public.inventory_reservations set status = 'committed' where order_id = ${cancelled.frame.orderId}`,
  "goods go back because a refund asked for it, staff received them, or nothing was sent": (tx) =>
    tx`update public.orders set restocked_at = now() where id = ${paidId}`,
  "an order that staff cancelled and nobody pays reads cancelled": (tx) =>
    tx`update public.orders set cancelled_at = now() where id = ${expired.frame.orderId}`,
  "an order that is not to ship does not wait for shipment": (tx) =>
    tx`update public.orders set fulfillment_status = 'unfulfilled' where id = ${cancelled.frame.orderId}`,
  "nothing ships while all of its money is on its way back": (tx) =>
    tx`with asked as (
        insert into public.refund_requests (id, order_id, payment_id, cause)
        values ('x', ${paidId}, ${payment.id}, 'requested')
      )
      update public.orders set fulfillment_status = 'unfulfilled', amount_refunded = 0 where id = ${paidId}`,
  "no more is sent of a line than was sold": (tx) =>
    tx`update public.shipment_lines set quantity = quantity + 2`,
  "of every line sold is what was kept and what came back": (tx) =>
    tx`update public.inventory_reservations set returned = 0`,
  "no more of a line comes back, or is paid back, than was sold": (tx) =>
    tx`update public.return_lines set quantity = quantity + 2`,
  "pieces that came back are booked": (tx) => tx`update public.returns set stocked_at = null`,
  "a parcel has lines of its own order": (tx) => tx`update public.shipments set order_id = ${paidId}`,
  "an order is fulfilled when all that was to be sent has left": (tx) =>
    tx`update public.orders set fulfilled_at = now() where id = ${paidId}`,
  "a refund that is asked for has a job that can run, and one that was given up has none": (tx) =>
    tx`delete from private.jobs where kind = 'refund_payment'`,
  "a refund waits for a bank while it has the money, and no longer": (tx) =>
    tx`with waiting as (update public.refund_requests set status = 'disputed' where order_id = ${cancelled.frame.orderId})
      update private.jobs set status = 'discarded', finished_at = now() where kind = 'refund_payment'`,
  "staff know of a refund that was given up and is still owed": (tx) =>
    tx`insert into public.refund_requests (id, order_id, payment_id, amount, cause, status, given_up_at)
      values ('y', ${paidId}, ${payment.id}, 1, 'requested', 'given_up', clock_timestamp())`,
  "lines add up to the subtotal": (tx) => tx`update public.order_items set unit_amount = unit_amount + 1`,
  "the hash of an order is that of its lines": (tx) =>
    tx`update public.order_items set unit_amount = unit_amount + 1 where order_id = ${paidId}`,
  "refunded is the sum of succeeded refunds": (tx) =>
    tx`update public.orders set amount_refunded = amount_refunded + 1`,
  "no payment is refunded by more than it brought": (tx) => tx`update public.refunds set amount = 99999`,
  "what is given back and what can still run is no more than the payment brought": (tx) =>
    tx`update public.refunds set amount = 99999, status = 'pending'`,
  "a paid order has a settled session, and a succeeded payment unless it was free": (tx) =>
    tx`update public.payments set status = 'canceled' where id = ${payment.id}`,
  "subtotal, discount, shipping and tax add up to the total": (tx) =>
    tx`update public.orders set amount_shipping = 7 where id = ${paidId}`,
  "a paid order was paid in full": (tx) => tx`update public.orders set amount_paid = 1 where id = ${paidId}`,
  "an order keeps the first of its settled sessions": (tx) =>
    tx`update public.orders set session_id = ${paid.id("cs_test", "b")} where id = ${paidId}`,
  "an order keeps the payment that was decided about": (tx) =>
    tx`update public.orders set decided_payment_id = ${paid.id("pi", "b")} where id = ${paidId}`,
  "a second payment is on its way back": (tx) =>
    tx`delete from public.refund_requests where order_id = ${paidId}`,
  "money of an order that is not to ship is on its way back": (tx) =>
    tx`delete from public.refund_requests where order_id = ${cancelled.frame.orderId}`,
  "money of an order came through one of its sessions": (tx) =>
    tx`insert into public.payments (id, order_id, status, amount, currency, livemode, succeeded_at, version)
      values ('pi_stray', ${paidId}, 'succeeded', 1, 'usd', false, now() - interval '2 hours', '')`,
  "attempts, refunds, disputes and signals belong to the order of their payment": (tx) =>
    tx`update public.refunds set order_id = null`,
  "test and live mode do not mix": (tx) =>
    tx`update public.payments set livemode = true where id = ${payment.id}`,
  "the money of an order shows in its status": (tx) =>
    tx`update public.orders set status = 'pending' where id = ${paidId}`,
  "what holds an order and nobody has released stands in its review reasons": (tx) =>
    tx`insert into public.fraud_signals (order_id, kind, severity, was_actionable) values (${paidId}, 'early_fraud_warning', 'critical', true)`,
  "a disputed order is on hold until it has shipped": (tx) =>
    tx`update public.orders set fulfillment_status = 'unfulfilled' where id = ${paidId}`,
  "an order that is held for review is on hold until it has shipped": (tx) =>
    tx`update public.orders set status = 'needs_review', fulfillment_status = 'unfulfilled' where id = ${paidId}`,
  "money received is in the audit trail": (tx) =>
    tx`delete from public.order_events where kind = 'payment_received'`,
  "an order that is paid and held by nothing has its confirmation": (tx) =>
    tx`with gone as (delete from public.notifications)
      update public.orders set status = 'paid' where id = ${paidId}`,
  "an unfinished event has a job": (tx) => tx`update public.webhook_events set status = 'failed'`,
  "a queued mail has a job": (tx) => tx`delete from private.jobs where kind = 'send_mail'`,
};

Deno.test("check_invariants() finds nothing in a shop where all is well, and settling again changes nothing", async () => {
  await assertInvariants(sql);
});

Deno.test("every rule of check_invariants() has its damage in this file", async () => {
  const bodies = await sql`select prosrc from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'private' and p.proname like 'check\\_%' and prosrc ~ 'union all\\s+select\\s+'''`;
  const rules = bodies.flatMap((row) =>
    [...String(row["prosrc"]).matchAll(/select\s+'((?:[^']|'')+)',\s+jsonb_build_object/g)].map((match) =>
      match[1]
    )
  );
  assert.deepEqual(rules.sort(), Object.keys(damages).sort());
});

for (const [rule, damage] of Object.entries(damages)) {
  Deno.test(`check_invariants() notices: ${rule}`, async () => {
    await undone(sql, async (tx) => {
      await tx`set session_replication_role = replica`;
      await damage(tx);
      await tx`set session_replication_role = default`;
      const broken = await tx`select distinct invariant from public.check_invariants()`;
      assert(
        broken.some((row) => row["invariant"] === rule),
        broken.map((row) => row["invariant"]).join("; "),
      );
    });
  });
}

Deno.test("assertInvariants() fails when settling again would change something", async () => {
  await sql`update public.orders set customer_name = 'somebody else' where id = ${paidId}`;
  await assert.rejects(assertInvariants(sql), /settling again changes something/);
  await sql`select private.settle_order(${paidId}, 'test')`;
  await assertInvariants(sql);
});

/** Runs the watch until nothing waits; the alert that is open then. */
async function watched(tx: postgres.ReservedSql) {
  for (let step = 0; step < 100; step++) {
    const [row] = await tx`select public.check_settled_orders(100) as more`;
    if (!row?.["more"]) {
      return await tx`select severity, count, data from public.alerts
        where kind = 'invariant_violated' and status <> 'resolved'`;
    }
  }
  throw new Error("the watch does not come to an end");
}

/** Rules that speak of stock or of an order: what settling leaves behind. The audit trail has a watch of its own. */
for (const [rule, damage] of Object.entries(damages)) {
  Deno.test(`check_settled_orders() tells of what was settled, and when it is over: ${rule}`, async () => {
    await undone(sql, async (tx) => {
      await tx`update private.unchecked_orders set violations = null`;
      assert.deepEqual([...await watched(tx)], []);
      await tx`savepoint sound`;
      await tx`set local session_replication_role = replica`;
      await damage(tx);
      await tx`set local session_replication_role = default`;
      // As settle_order() does for what it touches, in the transaction that did it.
      await tx`insert into private.unchecked_orders (order_id) select id from public.orders`;
      const [alert] = await watched(tx);
      const broken = await tx`select distinct invariant from public.check_invariants()`;
      assert(broken.some((row) => row["invariant"] === rule));
      assert.deepEqual([alert?.["severity"], alert?.["count"]], ["critical", 1]);
      const [again] = await watched(tx);
      assert.deepEqual(again, alert, "what is known is not told again");
      const named = await tx`
        select distinct v ->> 'invariant' as rule from private.unchecked_orders u, jsonb_array_elements(u.violations) v
        union select invariant from private.check_queue()`;
      assert(named.some((row) => row["rule"] === rule), named.map((row) => row["rule"]).join("; "));
      // Undone by a savepoint, the alert is too: what was broken is put back as if it were still known.
      const [state] = await tx`select jsonb_agg(to_jsonb(u)) as rows from private.unchecked_orders u`;
      await tx`rollback to savepoint sound`;
      await tx`select private.raise_alert('invariant_violated', 'critical', 'invariant_violated', '{}')`;
      await tx`insert into private.unchecked_orders
        select * from jsonb_populate_recordset(null::private.unchecked_orders, coalesce(${
        state?.["rows"] ?? null
      }::jsonb, '[]'))`;
      assert.deepEqual([...await watched(tx)], [], "over");
      assert.deepEqual([...await tx`select * from private.unchecked_orders`], []);
    });
  });
}

Deno.test("settling notes an order in its own transaction, and all of them are noted once a day", async () => {
  await undone(sql, async (tx) => {
    await watched(tx);
    await tx`select private.settle_order(${paidId}, 'test')`;
    assert.deepEqual(
      (await tx`select order_id from private.unchecked_orders`).map((row) => row["order_id"]),
      [
        paidId,
      ],
    );
    await watched(tx);
    await tx`update private.heartbeats set last_at = now() - interval '25 hours' where name = 'all_orders_noted'`;
    await tx`select private.note_all_orders()`;
    const [counts] = await tx`select (select count(*) from private.unchecked_orders) as noted,
      (select count(*) from public.orders) as orders`;
    assert.equal(counts?.["noted"], counts?.["orders"]);
  });
});

Deno.test("an order that is being settled is not taken for checked", async () => {
  await undone(sql, (tx) => watched(tx).then(() => {}));
  const settling = await sql.reserve();
  try {
    await sql`delete from private.unchecked_orders`;
    await sql`insert into private.heartbeats (name) values ('all_orders_noted') on conflict (name) do update set last_at = now()`;
    await sql`insert into private.unchecked_orders (order_id) values (${paidId})`;
    await settling`begin`;
    await settling`select private.settle_order(${paidId}, 'test')`;
    assert.equal((await sql`select public.check_settled_orders(100) as more`)[0]?.["more"], false);
    await settling`commit`;
    assert.equal((await sql`select from private.unchecked_orders`).length, 1);
  } finally {
    settling.release();
  }
});
