import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endingOf } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder, stockOf } from "./shop.ts";
import { type Payment, Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Db = postgres.ReservedSql | postgres.Sql;

async function paidOrder(db: Db, tag = "T"): Promise<{ story: Story; payment: Payment }> {
  const story = new Story(await beginOrder(db), 60, tag);
  await attachSession(db, story, "a");
  const payment = story.paid("a");
  await tellAll(db, story);
  return { story, payment };
}

/** Delivers what the story has told since the last time. */
async function tellAll(db: Db, story: Story): Promise<void> {
  await deliver(db, story.moves);
  story.events.length = 0;
}

const total = 25_800;

Deno.test("refunds in part, then in full, made in Stripe's dashboard, are booked and mailed one by one", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", 5_000);
    await tellAll(tx, story);
    let end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.refunded, end.fulfillment], [
      "partially_refunded",
      5_000,
      "unfulfilled",
    ]);

    story.refunded(payment, "2", total - 5_000);
    await tellAll(tx, story);
    end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.refunded, end.fulfillment], ["refunded", total, "cancelled"]);
    assert.deepEqual(end.mails, ["order_confirmation", "refund_issued", "refund_issued"]);
    assert.deepEqual(end.stock, [8, 0, 2], "nobody asked to restock");
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("a pending refund gives nothing back yet, and a failed one nothing at all, with an alert", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const refund = story.refunded(payment, "1", total, "pending");
    await tellAll(tx, story);
    assert.deepEqual([(await endingOf(tx, story)).status, (await endingOf(tx, story)).refunded], ["paid", 0]);
    refund.settled("succeeded");
    await tellAll(tx, story);
    assert.equal((await endingOf(tx, story)).status, "refunded");
    refund.settled("failed");
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.refunded, end.alerts], ["paid", 0, ["refund_failed"]]);
    const [row] = await tx`select public.request_refund(${story.frame.orderNumber})`;
    assert.equal(row?.["request_refund"]["ok"], true, "and can be tried again");
  });
});

Deno.test("request_refund() queues one refund job with its amount, and is audited", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const { orderNumber, orderId } = story.frame;
    await tx`select public.request_refund(${orderNumber}, 5000, 'requested_by_customer')`;
    const jobs = await tx`select payload from private.jobs where kind = 'refund_payment'`;
    const [command] = await tx`select id, actor, args, order_id from public.staff_commands`;
    assert.deepEqual(jobs.map((job) => job["payload"]), [{
      payment_id: payment.id,
      order_id: orderId,
      amount: 5_000,
      reason: "requested_by_customer",
      refund_request_id: command?.["id"],
    }]);
    assert.equal(command?.["order_id"], orderId);
    const events = await tx`select source from public.order_events where kind = 'request_refund'`;
    assert.deepEqual([...events], [{ source: "staff" }]);
  });
});

Deno.test("request_refund() refuses nothing, less than nothing and more than is left", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const { orderNumber } = story.frame;
    const refused = async (amount: number | null) => {
      await tx`savepoint attempt`;
      const state = await sqlstateOf(tx`select public.request_refund(${orderNumber}, ${amount})`);
      await tx`rollback to savepoint attempt`;
      return state;
    };
    for (const amount of [0, -1, total + 1]) assert.equal(await refused(amount), "KCREF", `${amount}`);

    story.refunded(payment, "1", 20_000);
    await tellAll(tx, story);
    assert.equal(await refused(5_801), "KCREF");
    assert.equal(await refused(5_800), null);
    await tx`select public.request_refund(${orderNumber}, 5000)`;
    assert.equal(await refused(801), "KCREF", "what is asked for counts before Stripe knows of it");
    await tx`select public.request_refund(${orderNumber})`;
    assert.equal(await refused(null), "KCREF", "nothing is left");
  });
});

Deno.test("request_refund() refuses when all that is left is on its way back already", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    assert.equal(
      await sqlstateOf(tx`select public.request_refund(${story.frame.orderNumber}, 100)`),
      "KCREF",
    );
  });
});

Deno.test("request_refund() refuses an order without money", async () => {
  await undone(sql, async (tx) => {
    const { orderNumber } = await beginOrder(tx);
    assert.equal(await sqlstateOf(tx`select public.request_refund(${orderNumber}, 100)`), "KCREF");
  });
});

Deno.test("a full refund with restock puts the goods back on the shelf once it has succeeded", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await tx`select public.request_refund(${story.frame.orderNumber}, null, null, true)`;
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
    const refund = story.refunded(payment, "1", total, "pending");
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [8, 0, 2], "not before the money has left");
    refund.settled("succeeded");
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [10, 0, 0]);
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("goods that went back on the shelf are taken again when their refund fails after all", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    await tx`select public.request_refund(${story.frame.orderNumber}, null, null, true)`;
    const refund = story.refunded(payment, "1", total);
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [10, 0, 0]);
    refund.settled("failed");
    await tellAll(tx, story);
    assert.equal((await endingOf(tx, story)).status, "paid");
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
  });
});

Deno.test("a refund that comes before its payment is known waits for it", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    const paid = story.moves;
    story.events.length = 0;
    story.refunded(payment, "1", total);
    const [refund, charge] = story.moves;
    assert(refund !== undefined && charge !== undefined);
    await deliver(tx, [refund]);
    const [orphan] = await tx`select order_id from public.refunds`;
    assert.equal(orphan?.["order_id"], null);
    await deliver(tx, [...paid, charge]);
    assert.equal((await endingOf(tx, story)).status, "refunded");
  });
});

Deno.test("twenty people refunding one order at once never ask for more than it brought", async () => {
  const { story } = await paidOrder(sql, "C");
  const clients = Array.from(
    { length: 20 },
    () => sql`select public.request_refund(${story.frame.orderNumber}, 3000)`,
  );
  const states = await Promise.all(clients.map((client) => sqlstateOf(client)));
  assert.equal(states.filter((state) => state === null).length, 8, "8 × 3 000 of 25 800");
  assert.equal(states.filter((state) => state === "KCREF").length, 12);
  const [asked] = await sql`select sum((payload ->> 'amount')::bigint)::int as sum, count(*)::int as count
    from private.jobs where kind = 'refund_payment'`;
  assert.deepEqual({ ...asked }, { sum: 24_000, count: 8 });
});
