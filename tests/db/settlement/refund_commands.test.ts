/** Staff ask for a refund: what is refused, and what is asked of Stripe. */
import assert from "node:assert/strict";
import { sqlstateOf } from "../../support/role.ts";
import { deliver } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";
import { paidOrder, tellAll, total } from "./refunded_order.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

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
      cause: "requested",
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
    for (const amount of [0, -1, total + 1]) assert.equal(await refused(amount), "SHREF", `${amount}`);

    story.refunded(payment, "1", 20_000);
    await tellAll(tx, story);
    assert.equal(await refused(5_801), "SHREF");
    assert.equal(await refused(5_800), null);
    await tx`select public.request_refund(${orderNumber}, 5000)`;
    assert.equal(await refused(801), "SHREF", "what is asked for counts before Stripe knows of it");
    await tx`select public.request_refund(${orderNumber})`;
    assert.equal(await refused(null), "SHREF", "nothing is left");
  });
});

Deno.test("request_refund() refuses a part that Stripe does not refund in the order's currency", async () => {
  await undone(database.sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    story.paid("a");
    await deliver(tx, story.moves);
    const { orderNumber, orderId } = story.frame;
    await tx`update public.orders set currency = 'isk' where id = ${orderId}`;
    await tx`savepoint asked`;
    assert.equal(await sqlstateOf(tx`select public.request_refund(${orderNumber}, 1250)`), "SHREF");
    await tx`rollback to savepoint asked`;
    const [row] = await tx`select public.request_refund(${orderNumber}, 1300)`;
    assert.equal(row?.["request_refund"]["ok"], true);
  });
});

Deno.test("request_refund() refuses when all that is left is on its way back already", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    assert.equal(
      await sqlstateOf(tx`select public.request_refund(${story.frame.orderNumber}, 100)`),
      "SHREF",
    );
  });
});

const answers = {
  needs_response: { open: "SHREF", won: null, lost: "SHREF" },
  warning_needs_response: { open: null, warning_closed: null },
} as const;
for (const opening of ["needs_response", "warning_needs_response"] as const) {
  Deno.test(`request_refund() of a payment that the bank asks about (${opening})`, async () => {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      const refused = async () => {
        await tx`savepoint attempt`;
        const state = await sqlstateOf(tx`select public.request_refund(${story.frame.orderNumber}, 500)`);
        await tx`rollback to savepoint attempt`;
        return state;
      };
      const dispute = story.disputed(payment, "d", opening);
      await tellAll(tx, story);
      const { open, ...endings } = answers[opening];
      assert.equal(await refused(), open);
      for (const [status, answer] of Object.entries(endings)) {
        await tx`savepoint ending`;
        dispute.closed(status as Parameters<typeof dispute.closed>[0]);
        await tellAll(tx, story);
        assert.equal(await refused(), answer, status);
        await tx`rollback to savepoint ending`;
      }
    });
  });
}

Deno.test("request_refund() refuses an order without money", async () => {
  await undone(sql, async (tx) => {
    const { orderNumber } = await beginOrder(tx);
    assert.equal(await sqlstateOf(tx`select public.request_refund(${orderNumber}, 100)`), "SHREF");
  });
});

Deno.test("twenty people refunding one order at once never ask for more than it brought", async () => {
  // A database of its own: what is committed here would show in the other tests, in whatever order they run.
  await using ours = await searchDatabase();
  const { sql } = ours;
  const { story } = await paidOrder(sql, "C");
  const clients = Array.from(
    { length: 20 },
    () => sql`select public.request_refund(${story.frame.orderNumber}, 3000)`,
  );
  const states = await Promise.all(clients.map((client) => sqlstateOf(client)));
  assert.equal(states.filter((state) => state === null).length, 8, "8 × 3 000 of 25 800");
  assert.equal(states.filter((state) => state === "SHREF").length, 12);
  const [asked] = await sql`select sum((payload ->> 'amount')::bigint)::int as sum, count(*)::int as count
    from private.jobs where kind = 'refund_payment'`;
  assert.deepEqual({ ...asked }, { sum: 24_000, count: 8 });
});
