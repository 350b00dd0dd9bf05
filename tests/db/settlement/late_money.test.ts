import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { arrange, deliver, endingOf } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder, stockOf } from "./shop.ts";
import { delivery } from "./moves.ts";
import { Story } from "./story.ts";

type Tx = postgres.ReservedSql;

const database = await searchDatabase(2);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** An order whose session is attached and has expired; its goods are back on the shelf. */
async function expiredOrder(tx: Tx): Promise<Story> {
  const story = new Story(await beginOrder(tx), 1, "T");
  await attachSession(tx, story, "a");
  story.expired("a");
  await deliver(tx, story.moves);
  assert.deepEqual(await stockOf(tx), [2, 0, 0]);
  story.events.length = 0;
  return story;
}

async function audit(tx: Tx, story: Story): Promise<string[]> {
  const rows =
    await tx`select kind from public.order_events where order_id = ${story.frame.orderId} order by id`;
  return rows.map((row) => row["kind"]);
}

Deno.test("money after expiry takes the goods again when they are there", async () => {
  await undone(sql, async (tx) => {
    const story = await expiredOrder(tx);
    story.paid("b", {}, "a");
    await deliver(tx, story.moves);
    const end = await endingOf(tx, story);
    assert.equal(end.status, "paid");
    assert.deepEqual(end.stock, [0, 0, 2]);
    assert.deepEqual(end.mails, ["order_confirmation"]);
  });
});

Deno.test("a slow payment that gets under way after expiry holds the goods again", async () => {
  await undone(sql, async (tx) => {
    const story = await expiredOrder(tx);
    const payment = story.processing("b");
    await deliver(tx, story.moves);
    assert.deepEqual(await stockOf(tx), [2, 2, 0], "nobody else may buy what is being paid");
    story.arrived(payment);
    await deliver(tx, story.moves);
    assert.deepEqual(await stockOf(tx), [0, 0, 2]);
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("a slow payment that gets under way after sell-out is oversold only when its money comes", async () => {
  await undone(sql, async (tx) => {
    const story = await expiredOrder(tx);
    const rival = new Story(await beginOrder(tx), 1, "R");
    await attachSession(tx, rival, "a");
    const payment = story.processing("b");
    await deliver(tx, story.moves);
    const [order] = await tx`select oversold_at, status from public.orders where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...order }, { oversold_at: null, status: "processing" });
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
    story.arrived(payment);
    await deliver(tx, story.moves);
    assert.deepEqual((await endingOf(tx, story)).mails, ["order_unfulfillable", "payment_processing"]);
    assert.deepEqual(await stockOf(tx), [2, 2, 0]);
  });
});

Deno.test("money after sell-out goes back once: one refund job, one mail, one audit row, one alert", async () => {
  await undone(sql, async (tx) => {
    const story = await expiredOrder(tx);
    const rival = new Story(await beginOrder(tx), 1, "R");
    await attachSession(tx, rival, "a");
    story.paid("b", {}, "a");
    await deliver(tx, [...story.moves, ...story.moves]);
    await tx`select private.settle_order(${story.frame.orderId}, 'reconcile')`;

    assert.deepEqual(await endingOf(tx, story), {
      status: "needs_review",
      fulfillment: "cancelled",
      stock: [2, 2, 0],
      paid: 25_800,
      refunded: 0,
      mails: ["order_unfulfillable"],
      jobs: ["expire_checkout_session:a", "refund_payment:oversold:b"],
      alerts: ["oversold"],
    });
    assert.equal((await audit(tx, story)).filter((kind) => kind === "refund_queued").length, 1);

    // The rival's goods are untouched, and the refund closes the question.
    rival.paid("a");
    await deliver(tx, rival.moves);
    assert.equal((await endingOf(tx, rival)).status, "paid");
    const refunds = new Story(story.frame, 1, "T", 1_793_600_000);
    refunds.refunded(story.payment("b"), "1", 25_800);
    await deliver(
      tx,
      refunds.moves.map((move) => move.call === "event" ? { ...move, id: `late_${move.id}` } : move),
    );
    const { status, fulfillment, stock } = await endingOf(tx, story);
    assert.deepEqual([status, fulfillment, stock], ["refunded", "cancelled", [0, 0, 2]]);
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("an oversold order cannot be released to ship", async () => {
  await undone(sql, async (tx) => {
    const story = await expiredOrder(tx);
    await beginOrder(tx);
    story.paid("b", {}, "a");
    await deliver(tx, story.moves);
    assert.equal(await sqlstateOf(tx`select public.release_review(${story.frame.orderNumber})`), "SHINV");
  });
});

Deno.test("money after cancellation goes back once, and the goods stay on the shelf", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    await tx`select public.cancel_order(${story.frame.orderNumber}, 'customer asked')`;
    story.paid("a");
    await deliver(tx, [...story.moves, ...story.moves]);
    const end = await endingOf(tx, story);
    assert.equal(end.fulfillment, "cancelled");
    assert.deepEqual(end.stock, [2, 0, 0]);
    assert.deepEqual(end.mails, ["order_cancelled"]);
    assert.deepEqual(end.jobs, ["expire_checkout_session:a", "refund_payment:cancelled:a"]);
    assert.deepEqual(end.alerts, ["cancelled_order_paid"]);
    assert.equal((await audit(tx, story)).filter((kind) => kind === "refund_queued").length, 1);
  });
});

Deno.test("a refund is not queued again after its job was purged", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    const moves = await arrange(
      tx,
      { name: "", cancelAfter: [], tell: (s) => void s.paid("a"), end: {} },
      story,
    );
    await deliver(tx, moves);
    await tx`delete from private.jobs where kind = 'refund_payment'`;
    await tx`select private.settle_order(${story.frame.orderId}, 'reconcile')`;
    assert.deepEqual((await endingOf(tx, story)).jobs, ["expire_checkout_session:a"]);
  });
});

Deno.test("a second payment goes back, whichever is heard of first, and one of the two is kept", async () => {
  for (const first of ["a", "b"]) {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 1, "T");
      await attachSession(tx, story, "a");
      await attachSession(tx, story, "b", 2);
      story.paid(first);
      story.paid(first === "a" ? "b" : "a");
      await deliver(tx, story.moves);
      const end = await endingOf(tx, story);
      assert.equal(end.status, "paid");
      assert.equal(end.paid, 25_800);
      assert.deepEqual(end.stock, [0, 0, 2]);
      assert.deepEqual(end.jobs.filter((job) => job.startsWith("refund")), ["refund_payment:duplicate:b"]);
      assert.deepEqual(
        end.mails,
        ["order_confirmation"],
        "no word of money before Stripe has taken the refund",
      );
      assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
    });
  }
});

Deno.test("release_review lets a reviewed order ship, once, and mails the confirmation", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    await tx`update public.orders set amount_subtotal = amount_subtotal + 1 where id = ${story.frame.orderId}`;
    story.paid("a");
    await deliver(tx, story.moves);
    const held = await endingOf(tx, story);
    assert.deepEqual([held.status, held.fulfillment, held.mails], ["needs_review", "on_hold", []]);
    assert.equal(
      await sqlstateOf(
        tx`savepoint s`.then(() => tx`select public.mark_fulfilled(${story.frame.orderNumber})`),
      ),
      "SHINV",
    );
    await tx`rollback to savepoint s`;

    await tx`select public.release_review(${story.frame.orderNumber}, 'looked at it')`;
    const released = await endingOf(tx, story);
    assert.deepEqual([released.status, released.fulfillment, released.mails], ["paid", "unfulfilled", [
      "order_confirmation",
    ]]);
    await tx`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', '1Z999')`;
    assert.equal((await endingOf(tx, story)).fulfillment, "fulfilled");
    assert((await audit(tx, story)).includes("release_review"));
    assert.equal(await sqlstateOf(tx`select public.release_review(${story.frame.orderNumber})`), "SHINV");
  });
});

Deno.test("release_review releases the mismatch of the money that staff looked at: another one holds the order again, with an alert", async () => {
  const news: Record<string, (tx: postgres.ReservedSql, story: Story) => Promise<unknown>> = {
    // A payment with a lower id becomes the one to keep; its amount is wrong as well.
    amount_mismatch: (tx, story) => {
      story.events.length = 0;
      story.paid("a");
      return deliver(tx, story.moves);
    },
    livemode_mismatch: (tx, story) =>
      tx`update public.payment_attempts set livemode = true where order_id = ${story.frame.orderId}`
        .execute(),
  };
  for (const [reason, arrive] of Object.entries(news)) {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 1, "T");
      await attachSession(tx, story, "a");
      await attachSession(tx, story, "b", 2);
      await tx`update public.orders set amount_subtotal = amount_subtotal + 1 where id = ${story.frame.orderId}`;
      story.paid("b");
      await deliver(tx, story.moves);
      await tx`select public.release_review(${story.frame.orderNumber})`;
      assert.equal((await endingOf(tx, story)).status, "paid");
      await arrive(tx, story);
      await tx`select private.settle_order(${story.frame.orderId}, 'test')`;
      const [order] =
        await tx`select status, fulfillment_status, review_reasons from public.orders join public.order_risk k on k.order_id = id
        where id = ${story.frame.orderId}`;
      assert.deepEqual({ ...order }, {
        status: "needs_review",
        fulfillment_status: "on_hold",
        review_reasons: [reason],
      });
      const alerts = (await endingOf(tx, story)).alerts.filter((kind) => kind === "payment_mismatch");
      assert.equal(alerts.length, 2, "staff hear of the second one as well");
    });
  }
});

Deno.test("a recovered session without metadata belongs to the order of the session it comes from", async () => {
  await undone(sql, async (tx) => {
    const story = await expiredOrder(tx);
    story.paid("b", {}, "a");
    const completed = story.events.find((event) => event.type === "checkout.session.completed");
    assert(completed !== undefined);
    const copy = structuredClone(completed);
    Object.assign(copy.data.object, { metadata: {} });
    assert.deepEqual(await deliver(tx, [delivery(copy)]), ["applied"]);
    const [order] =
      await tx`select status, review_reasons from public.orders join public.order_risk k on k.order_id = id where id = ${story.frame.orderId}`;
    // The lines cannot be checked without their hash, so a person looks.
    assert.deepEqual({ ...order }, { status: "needs_review", review_reasons: ["cart_mismatch"] });
  });
});
