import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endingOf } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { type Payment, Story } from "./story.ts";

const database = await searchDatabase(50);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

async function paidOrder(tx: Tx, tag = "T", start?: number): Promise<{ story: Story; payment: Payment }> {
  const story = new Story(await beginOrder(tx), 60, tag, start);
  await attachSession(tx, story, "a");
  const payment = story.paid("a");
  await tellAll(tx, story);
  return { story, payment };
}

async function tellAll(tx: Tx, story: Story): Promise<void> {
  await deliver(tx, story.moves);
  story.events.length = 0;
}

async function evidence(tx: Tx, story: Story) {
  const [row] = await tx`select public.get_dispute_evidence(${story.id("du", "d")}) as evidence`;
  return row?.["evidence"];
}

Deno.test("a dispute keeps status, reason, amount and deadline, holds fulfilment and alerts staff once", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const before = await endingOf(tx, story);
    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    await tx`select private.settle_order(${story.frame.orderId}, 'reconcile')`;
    const [dispute] =
      await tx`select status, reason, amount::int, currency, evidence_due_by, funds_withdrawn, order_id
      from public.disputes`;
    assert.deepEqual({ ...dispute }, {
      status: "needs_response",
      reason: "fraudulent",
      amount: 25_800,
      currency: "usd",
      evidence_due_by: new Date(1_764_162_000_000),
      funds_withdrawn: true,
      order_id: story.frame.orderId,
    });
    const after = await endingOf(tx, story);
    assert.deepEqual(
      [after.status, after.stock, after.paid, after.refunded],
      [before.status, before.stock, before.paid, before.refunded],
      "no change of stock or payment status",
    );
    assert.equal(after.fulfillment, "on_hold");
    assert.deepEqual(after.alerts, ["dispute_opened"]);
    assert.equal(await sqlstateOf(tx`select public.mark_fulfilled(${story.frame.orderNumber})`), "SHINV");
  });
});

for (
  const [status, fulfillment, severity] of [["won", "unfulfilled", "info"], [
    "lost",
    "on_hold",
    "critical",
  ]] as const
) {
  Deno.test(`a dispute that is ${status} alerts staff and leaves the order paid`, async () => {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      story.disputed(payment, "d", "needs_response").closed(status);
      await tellAll(tx, story);
      const end = await endingOf(tx, story);
      assert.deepEqual([end.status, end.fulfillment, end.stock], ["paid", fulfillment, [48, 0, 2]]);
      const alerts = await tx`select severity from public.alerts where kind = 'dispute_closed'`;
      assert.deepEqual([...alerts], [{ severity }]);
    });
  });
}

Deno.test("reminders are due 7, 3 and 1 days before the deadline", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const jobs =
      await tx`select (payload ->> 'days')::int as days, (d.evidence_due_by - j.run_at)::text as before
      from private.jobs j, public.disputes d where j.kind = 'remind_dispute' order by 1`;
    assert.deepEqual(jobs.map((job) => ({ ...job })), [
      { days: 1, before: "1 day" },
      { days: 3, before: "3 days" },
      { days: 7, before: "7 days" },
    ]);
  });
});

Deno.test("remind_dispute() alerts while evidence is due, waits when the deadline moved, and ends with the dispute", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const dispute = story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const remind = async (days: number) => {
      const [row] = await tx`select to_jsonb(public.remind_dispute(${
        story.id("du", "d")
      }, ${days})) as answer`;
      return row?.["answer"];
    };
    const alerts = async () =>
      (await tx`select severity from public.alerts where kind = 'dispute_due' order by first_at`).map((row) =>
        row["severity"]
      );

    await tx`update public.disputes set evidence_due_by = now() + interval '10 days'`;
    const early = await remind(7);
    assert.equal(early.outcome, "early");
    assert(Date.parse(early.run_at) > Date.now() + 2 * 86_400_000);
    assert.deepEqual(await alerts(), []);

    await tx`update public.disputes set evidence_due_by = now() + interval '2 days'`;
    assert.equal((await remind(7)).outcome, "reminded");
    assert.equal((await remind(7)).outcome, "reminded");
    assert.deepEqual(await alerts(), ["warning"], "once per reminder");
    await tx`update public.disputes set evidence_due_by = now() + interval '20 hours'`;
    await remind(1);
    assert.deepEqual(await alerts(), ["warning", "critical"]);

    dispute.answered();
    await tellAll(tx, story);
    assert.equal((await remind(3)).outcome, "over");
    assert.equal((await alerts()).length, 2);
  });
});

Deno.test("an inquiry that was answered and becomes a chargeback alerts staff and reminds them anew", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const soon = Math.floor(Date.now() / 1000) + 2 * 86_400;
    const due = (at: number) => ({ evidence_details: { due_by: at } });
    const inquiry = story.disputed(payment, "d", "warning_needs_response");
    for (const event of story.events) Object.assign(event.data.object, due(soon));
    await tellAll(tx, story);
    const remind = async (days: number) => {
      const [row] = await tx`select outcome from public.remind_dispute(${story.id("du", "d")}, ${days})`;
      return row?.["outcome"];
    };
    assert.equal(await remind(3), "reminded");
    inquiry.answered();
    await tellAll(tx, story);
    await tx`update private.jobs set status = 'discarded', finished_at = now() where kind = 'remind_dispute'`;

    const later = soon + 20 * 86_400;
    story.disputed(payment, "d", "needs_response");
    for (const event of story.events) Object.assign(event.data.object, due(later));
    await tellAll(tx, story);
    const jobs = await tx`select (payload ->> 'days')::int as days, status,
      (extract(epoch from run_at)::int - ${later}) / 86400 as day
      from private.jobs where kind = 'remind_dispute' order by 1`;
    assert.deepEqual(
      jobs.map((job) => ({ ...job })),
      [1, 3, 7].map((days) => ({ days, status: "queued", day: -days })),
    );
    const alerts = await tx`select kind from public.alerts order by kind`;
    assert.deepEqual(alerts.map((row) => row["kind"]), [
      "dispute_due",
      "dispute_escalated",
      "dispute_opened",
    ]);
    await tx`update public.disputes set evidence_due_by = now() + interval '60 hours'`;
    assert.equal(await remind(3), "reminded");
    const [count] = await tx`select count(*)::int as n from public.alerts where kind = 'dispute_due'`;
    assert.equal(count?.["n"], 2, "another deadline is another reminder");
  });
});

Deno.test("the alert of a dispute closes when nobody waits for an answer any more", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const dispute = story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    await tx`update public.disputes set evidence_due_by = now() + interval '20 hours'`;
    await tx`select public.remind_dispute(${story.id("du", "d")}, 1)`;
    const open = async () =>
      (await tx`select kind from public.alerts where status = 'open' order by kind`).map((row) =>
        row["kind"]
      );
    assert.deepEqual(await open(), ["dispute_due", "dispute_opened"]);
    dispute.answered();
    await tellAll(tx, story);
    assert.deepEqual(await open(), []);
    dispute.closed("lost");
    await tellAll(tx, story);
    assert.deepEqual(await open(), ["dispute_closed"], "what to do with the goods is a question of its own");
  });
});

Deno.test("an alert that retention has removed does not come back when its order settles again", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.disputed(payment, "d", "needs_response").closed("lost");
    await tellAll(tx, story);
    const kinds = async () =>
      (await tx`select kind from public.alerts order by kind`).map((row) => row["kind"]);
    assert.deepEqual(await kinds(), ["dispute_closed", "dispute_opened"]);
    await tx`update public.alerts set status = 'resolved', last_at = now() - interval '2 years'`;
    await tx`update private.jobs set status = 'done', finished_at = now() where kind = 'send_alert'`;
    await tx`select private.purge_alerts(100)`;
    assert.deepEqual(await kinds(), []);
    await tx`select private.settle_order(${story.frame.orderId}, 'reconcile')`;
    assert.deepEqual(await kinds(), []);
  });
});

for (const end of ["released", "approved", "refunded"] as const) {
  Deno.test(`the alerts of a review close when the order is ${end}`, async () => {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      const review = story.reviewed(payment, "r");
      await tellAll(tx, story);
      const open = async () =>
        (await tx`select kind from public.alerts where status = 'open'`).map((row) => row["kind"]);
      assert.deepEqual(await open(), ["review"]);
      if (end === "released") await tx`select public.release_review(${story.frame.orderNumber})`;
      else if (end === "approved") review.approved();
      else story.refunded(payment, "1", payment.amount);
      await tellAll(tx, story);
      assert.deepEqual(await open(), []);
    });
  });
}

Deno.test("the alert of a mismatch closes when staff release the order", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    story.paid("a");
    for (const event of story.events) {
      const { object } = event.data as unknown as { object: Record<string, unknown> };
      if (object["object"] === "checkout.session") Object.assign(object, { amount_subtotal: 1 });
    }
    await tellAll(tx, story);
    const open = async () =>
      (await tx`select kind from public.alerts where status = 'open'`).map((row) => row["kind"]);
    assert.deepEqual(await open(), ["payment_mismatch"]);
    await tx`select public.release_review(${story.frame.orderNumber})`;
    assert.deepEqual(await open(), []);
  });
});

Deno.test("a dispute about a second payment holds the order while it is open, and not when it is lost", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    await attachSession(tx, story, "b", 2);
    const dispute = story.disputed(story.paid("b"), "d", "needs_response");
    await tellAll(tx, story);
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold");
    dispute.closed("lost");
    await tellAll(tx, story);
    assert.equal((await endingOf(tx, story)).fulfillment, "unfulfilled", "the payment that is kept is good");
    const waiting = await tx`select reasons from reporting.orders_needing_attention`;
    assert.deepEqual([...waiting], []);
    await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z')`;
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("submit_dispute_evidence() queues one final submission, and only while the dispute waits for it", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const dispute = story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const id = story.id("du", "d");
    await tx`select public.submit_dispute_evidence(${id}, 'She wrote that she likes it.')`;
    const jobs =
      await tx`select payload from private.jobs where kind = 'submit_dispute_evidence' order by id`;
    assert.deepEqual(jobs.map((job) => job["payload"]), [
      { dispute_id: id, note: null, submit: false },
      { dispute_id: id, note: "She wrote that she likes it.", submit: true, acknowledge_fee: false },
    ]);
    await tx`savepoint again`;
    assert.equal(await sqlstateOf(tx`select public.submit_dispute_evidence(${id})`), "SHINV", "on its way");
    await tx`rollback to savepoint again`;
    dispute.answered();
    await tellAll(tx, story);
    assert.equal(await sqlstateOf(tx`select public.submit_dispute_evidence(${id})`), "SHINV");
  });
});

Deno.test("get_dispute_evidence() has customer, addresses, items, parcel, mails, purchase address and card", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z999')`;
    await tx`update public.notifications set status = 'sent', recipient = 'ada@example.com', sent_at = now()
      where template = 'order_confirmation'`;
    await tx`update public.checkout_sessions set terms_consent = 'accepted'`;
    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const { dispute, order } = await evidence(tx, story);
    assert.equal(typeof order.terms.accepted_at, "string");
    assert.equal(dispute.network_reason_code, "10.4");
    assert.equal(order.number, story.frame.orderNumber);
    assert.equal(order.email, "ada@example.com");
    assert.equal(order.customer_name, "Ada Turner");
    assert.equal(order.purchase_ip, "203.0.113.24");
    assert.equal(order.shipping_address.line1, "48 Alder Street");
    assert.equal(order.billing_address.postal_code, "97205");
    assert.deepEqual(
      order.shipments.map((parcel: Record<string, unknown>) => [
        parcel["carrier"],
        parcel["tracking_number"],
        typeof parcel["shipped_at"],
      ]),
      [["UPS", "1Z999", "string"]],
    );
    assert.deepEqual(order.items, [{
      sku: "COAT-GRY-L",
      name: "Coat – Grey, L",
      quantity: 2,
      unit_amount: 12_900,
    }]);
    assert.deepEqual(order.mails.map((mail: { template: string }) => mail.template), ["order_confirmation"]);
    assert.equal(order.payment.card_last4, "4242");
    assert.deepEqual(order.earlier_orders, []);
  });
});

Deno.test("get_dispute_evidence() lists earlier orders of the buyer that were neither disputed nor refunded", async () => {
  await undone(sql, async (tx) => {
    const daysAgo = (days: number) => 1_793_500_000 - days * 86_400;
    const old = await paidOrder(tx, "Old", daysAgo(200));
    await paidOrder(tx, "Older", daysAgo(300));
    const refunded = await paidOrder(tx, "Refunded", daysAgo(150));
    refunded.story.refunded(refunded.payment, "1", 25_800);
    await tellAll(tx, refunded.story);
    const disputed = await paidOrder(tx, "Disputed", daysAgo(160));
    disputed.story.disputed(disputed.payment, "x", "needs_response").closed("won");
    await tellAll(tx, disputed.story);
    await tx`update public.orders set purchase_ip = '198.51.100.7' where id = ${old.story.frame.orderId}`;

    const { story, payment } = await paidOrder(tx);
    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const { order } = await evidence(tx, story);
    const seen = order.earlier_orders.map((earlier: Record<string, unknown>) => [
      earlier["charge_id"],
      earlier["days_before"],
      earlier["same_ip"],
      earlier["same_address"],
    ]);
    assert.deepEqual(seen, [["ch_Old_a", 200, false, true], ["ch_Older_a", 300, true, true]]);
  });
});

Deno.test("get_dispute_evidence() names no order that has only the e-mail address in common", async () => {
  await undone(sql, async (tx) => {
    const other = await paidOrder(tx, "Other", 1_793_500_000 - 5 * 86_400);
    const { story, payment } = await paidOrder(tx);
    story.disputed(payment, "d", "needs_response");
    await tellAll(tx, story);
    const { order } = await evidence(tx, story);
    assert.equal(order.twin.number, other.story.frame.orderNumber, "one address");
    await tx`update public.orders set shipping_address = '{"line1": "1 Elm Street"}'
      where id = ${other.story.frame.orderId}`;
    await tx`update public.payment_attempts set card_fingerprint = id`;
    const apart = await evidence(tx, story);
    assert.deepEqual([apart.order.twin, apart.order.earlier_orders], [null, []]);
    await tx`update public.payment_attempts set card_fingerprint = 'one card'`;
    const again = await evidence(tx, story);
    assert.equal(again.order.twin.number, other.story.frame.orderNumber, "one card");
    assert.equal(again.order.earlier_orders.length, 1);
  });
});

Deno.test("a dispute about somebody else's payment has no order and holds nothing", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    const foreign = { id: "pi_foreign", chargeId: "ch_foreign", amount: 25_800, session: "a" };
    story.disputed(foreign, "d", "needs_response");
    await tellAll(tx, story);
    assert.equal((await evidence(tx, story)).order, null);
    assert.equal((await endingOf(tx, story)).fulfillment, "unfulfilled");
  });
});
