import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endingOf, endRefundJob } from "./arrange.ts";
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

Deno.test("an order whose full refund bounced waits for a person, who may let it ship after all", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", total).settled("failed");
    await tellAll(tx, story);
    const fulfillment = async () => (await endingOf(tx, story)).fulfillment;
    assert.equal(await fulfillment(), "on_hold");
    await tx`select public.release_review(${story.frame.orderNumber}, 'the customer wants the coat')`;
    assert.equal(await fulfillment(), "unfulfilled");
    story.refunded(payment, "2", total).settled("failed");
    await tellAll(tx, story);
    assert.equal(await fulfillment(), "on_hold", "what bounces later was not released");
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("the alert of a refund that failed closes once as much has been refunded anew", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", 5_000).settled("failed");
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), ["refund_failed"]);
    story.refunded(payment, "2", 500);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), ["refund_failed"], "a small sum is another matter");
    story.refunded(payment, "3", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
  });
});

Deno.test("a refund that was made before another one failed is not taken for its second try", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const first = story.refunded(payment, "1", 5_000);
    story.refunded(payment, "2", total - 5_000);
    first.settled("failed");
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), ["refund_failed"]);
    const [waiting] = await tx`select reasons from reporting.orders_needing_attention`;
    assert.deepEqual(waiting?.["reasons"], ["refund_failed"]);
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold", "all of its money was to go back");
    story.refunded(payment, "3", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
  });
});

Deno.test("one refund makes good one that failed, not two", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const refunds = ["1", "2", "3"].map((name) => story.refunded(payment, name, 5_000));
    refunds[0]?.settled("failed");
    story.refunded(payment, "4", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
    refunds[1]?.settled("failed");
    refunds[2]?.settled("failed");
    story.refunded(payment, "5", 5_000);
    await tellAll(tx, story);
    const open = await tx`select dedupe_key from public.alerts where status = 'open'`;
    assert.deepEqual(open.map((row) => row["dedupe_key"]), [`refund_failed:${story.id("re", "3")}`]);
    story.refunded(payment, "6", 5_000);
    await tellAll(tx, story);
    assert.deepEqual(await openAlerts(tx), []);
  });
});

/** A cancelled order whose refund Stripe refused because of the dispute that is returned. */
async function refusedByDispute(tx: Db) {
  const { story, payment } = await paidOrder(tx);
  await tx`select public.cancel_order(${story.frame.orderNumber})`;
  const dispute = story.disputed(payment, "d", "needs_response");
  await tellAll(tx, story);
  await endRefundJob(tx, `cancelled:${payment.id}`, "discard", "warning");
  const refused = async () => {
    const rows = await tx`select status from public.alerts where kind = 'refund_refused'`;
    const waiting =
      await tx`select 1 from reporting.orders_needing_attention where 'refund_refused' = any (reasons)`;
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
    return [rows[0]?.["status"], waiting.length];
  };
  return { story, payment, dispute, refused };
}

Deno.test("a refund that a lost dispute made needless is asked about again when the dispute is won on appeal", async () => {
  await undone(sql, async (tx) => {
    const { story, dispute, refused } = await refusedByDispute(tx);
    assert.deepEqual(await refused(), ["open", 1]);
    dispute.closed("lost");
    await tellAll(tx, story);
    assert.deepEqual(await refused(), ["resolved", 0]);
    dispute.closed("won");
    await tellAll(tx, story);
    assert.deepEqual(await refused(), ["open", 1]);
    const messages =
      await tx`select 1 from private.jobs where kind = 'send_alert' and dedupe_key like '%refund_refused%'`;
    assert.equal(messages.length, 2, "staff hear of it again");
  });
});

Deno.test("a lost dispute about a part leaves the rest owed", async () => {
  await undone(sql, async (tx) => {
    const { story, dispute, refused } = await refusedByDispute(tx);
    dispute.closed("lost");
    for (const event of story.events) Object.assign(event.data.object, { amount: 5_000 });
    await tellAll(tx, story);
    assert.deepEqual(await refused(), ["open", 1]);
  });
});

Deno.test("a refund that staff paid in another way, and whose alert they resolved, waits for nobody", async () => {
  await undone(sql, async (tx) => {
    const { story, refused } = await refusedByDispute(tx);
    await tx`update public.alerts set status = 'resolved' where kind = 'refund_refused'`;
    await tx`select private.settle_order(${story.frame.orderId}, 'reconcile')`;
    assert.deepEqual(await refused(), ["resolved", 0]);
  });
});

for (
  const act of ["refunds a part", "refunds all and takes the goods back", "takes back what was refunded"]
) {
  Deno.test(`a second payment with a lower id does not undo what staff decided: the shop ${act}`, async () => {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 60, "T");
      await attachSession(tx, story, "a");
      await attachSession(tx, story, "b", 2);
      const kept = story.paid("b");
      await tellAll(tx, story);
      const { orderNumber } = story.frame;
      const amount = act === "refunds a part" ? 5_000 : total;
      if (act === "takes back what was refunded") {
        story.refunded(kept, "1", amount);
        await tellAll(tx, story);
        await tx`select public.cancel_order(${orderNumber})`;
      } else {
        const [row] = await tx`select public.request_refund(${orderNumber}, ${amount}, 'x', ${
          amount === total
        })
          ->> 'command_id' as id`;
        story.refunded(kept, "1", amount, "succeeded", row?.["id"]);
        await tellAll(tx, story);
        await endRefundJob(tx, row?.["id"], "done");
      }
      const second = story.paid("a");
      await tellAll(tx, story);

      const end = await endingOf(tx, story);
      assert.deepEqual([end.paid, end.refunded], [total, amount]);
      assert.deepEqual(end.jobs.filter((job) => job.includes("duplicate")), ["refund_payment:duplicate:a"]);
      assert.equal(end.status, amount === total ? "refunded" : "partially_refunded");
      story.refunded(second, "2", total, "succeeded", `duplicate:${second.id}`);
      await tellAll(tx, story);
      const [customer] =
        await tx`select sum(amount)::int as back from public.refunds where status = 'succeeded'`;
      assert.equal(customer?.["back"], amount + total, "what was promised, and the second payment");
      assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
    });
  });
}

Deno.test("an order whose full refund Stripe refused does not ship until a person lets it", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const { orderNumber } = story.frame;
    const [row] =
      await tx`select public.request_refund(${orderNumber}, null, 'x', true) ->> 'command_id' as id`;
    await endRefundJob(tx, row?.["id"], "discard", "warning");
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold");
    await tx`savepoint shipping`;
    assert.equal(await sqlstateOf(tx`select public.mark_fulfilled(${orderNumber})`), "SHINV");
    await tx`rollback to savepoint shipping`;
    await tx`select public.release_review(${orderNumber}, 'the customer wants the coat')`;
    assert.equal((await endingOf(tx, story)).fulfillment, "unfulfilled");
    assert.deepEqual(await openAlerts(tx), [], "its money is not to go back any more");
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z')`;
    story.refunded(payment, "1", total);
    await tellAll(tx, story);
    assert.deepEqual((await endingOf(tx, story)).stock, [8, 0, 2], "the goods are with the customer");
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("a refund by hand that nobody had heard of when staff asked for the same is not made twice", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    // Made hours ago in the dashboard; its event is late, so the order does not show it.
    story.refunded(payment, "1", 5_000);
    const known = story.events.splice(0);
    const request = await ask(tx, story, 5_000);
    story.events.push(...known);
    await tellAll(tx, story);
    const judge = async (id: string) => {
      const [row] = await tx`select outcome from public.judge_refund(${id})`;
      return row?.["outcome"];
    };
    assert.equal(await judge(request), "overtaken");
    assert.equal(
      await judge(await ask(tx, story, 5_000)),
      "go",
      "who asks now knows of it and means another one",
    );
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

Deno.test("request_refund() refuses an order without money", async () => {
  await undone(sql, async (tx) => {
    const { orderNumber } = await beginOrder(tx);
    assert.equal(await sqlstateOf(tx`select public.request_refund(${orderNumber}, 100)`), "SHREF");
  });
});

/** Asks as staff would, and returns the request's id, which Stripe hands back in the refund's metadata. */
async function ask(db: Db, story: Story, amount: number | null, restock = false): Promise<string> {
  const [row] =
    await db`select public.request_refund(${story.frame.orderNumber}, ${amount}, 'returned', ${restock})
    as answer`;
  return row?.["answer"]["command_id"];
}

async function redrive(db: Db, requestId: string): Promise<string | null> {
  const [job] = await db`select id from private.jobs where payload ->> 'refund_request_id' = ${requestId}`;
  await db`savepoint attempt`;
  const state = await sqlstateOf(
    db`insert into public.staff_commands (command, args) values ('redrive_job', ${
      db.json({ job_id: Number(job?.["id"]) })
    })`,
  );
  if (state !== null) await db`rollback to savepoint attempt`;
  return state;
}

async function openAlerts(db: Db): Promise<string[]> {
  const rows = await db`select kind from public.alerts where status = 'open' order by kind`;
  return rows.map((row) => row["kind"]);
}

async function assertSound(db: Db): Promise<void> {
  assert.deepEqual([...await db`select * from public.check_invariants()`], []);
}

Deno.test("a full refund with restock puts the goods back on the shelf once it has succeeded, and for good", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, null, true);
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
    const refund = story.refunded(payment, "1", total, "pending", request);
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [8, 0, 2], "not before the money has left");
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold", "and nothing ships meanwhile");
    refund.settled("succeeded");
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [10, 0, 0]);
    await assertSound(tx);

    await tx`update public.inventory_levels set on_hand = 0`;
    refund.settled("failed");
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.stock], ["paid", "cancelled", [0, 0, 0]]);
    assert.deepEqual(end.mails, ["order_confirmation", "refund_failed", "refund_issued", "refund_settled"]);
    assert.deepEqual(end.alerts, ["refund_failed"], "staff hear of it, and not of an oversold order");
    await assertSound(tx);
  });
});

Deno.test("restock belongs to the refund that asked for it: not to a part, not to a later refund", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const [row] =
      await tx`select public.request_refund(${story.frame.orderNumber}, 12900, 'returned', true) as answer`;
    assert.equal(row?.["answer"]["restock"], false);
    assert.match(row?.["answer"]["notice"], /^Nothing was put back on the shelf/);
    story.refunded(payment, "1", 12_900, "succeeded", row?.["answer"]["command_id"]);
    await tellAll(tx, story);
    const given = await ask(tx, story, null, true);
    await endRefundJob(tx, given, "discard", "critical");
    const goodwill = await ask(tx, story, null, false);
    story.refunded(payment, "2", 12_900, "succeeded", goodwill);
    await tellAll(tx, story);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.stock], ["refunded", [8, 0, 2]]);
    await tx`select public.receive_return(${story.frame.orderNumber})`;
    assert.deepEqual(await stockOf(tx), [10, 0, 0], "until staff say that the goods have come back");
    await tx`savepoint again`;
    assert.equal(
      await sqlstateOf(tx`select public.receive_return(${story.frame.orderNumber})`),
      "SHINV",
      "once",
    );
    await tx`rollback to savepoint again`;
    await assertSound(tx);
  });
});

Deno.test("cancel_order() of an order that was refunded in the dashboard puts its goods back, and promises nothing", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.refunded(payment, "1", total);
    await tellAll(tx, story);
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.fulfillment, end.stock], ["refunded", "cancelled", [10, 0, 0]]);
    assert.deepEqual(end.mails, ["order_confirmation", "refund_issued"]);
    await assertSound(tx);
  });
});

Deno.test("a refund that was given up and asked for anew never comes back", async () => {
  for (const stands of ["another request", "a refund in the dashboard"]) {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidOrder(tx);
      const first = await ask(tx, story, 3_000);
      await endRefundJob(tx, first, "discard", "critical");
      assert.deepEqual(await openAlerts(tx), ["refund_refused"]);
      await assertSound(tx);
      if (stands === "another request") {
        const second = await ask(tx, story, 3_000);
        story.refunded(payment, "1", 3_000, "succeeded", second);
        await tellAll(tx, story);
        await endRefundJob(tx, second, "done");
      } else {
        story.wait();
        story.refunded(payment, "1", 3_000);
        const [event] = story.moves;
        assert(event?.call === "event");
        for (const fact of event.facts) {
          if (fact.fact === "refund") fact.created = Math.ceil(Date.now() / 1000);
        }
        await deliver(tx, [event]);
        story.events.length = 0;
      }
      assert.deepEqual(await openAlerts(tx), [], "the alert closes itself");
      assert.equal(await redrive(tx, first), "SHREF", stands);
      await assertSound(tx);
    });
  }
});

Deno.test("a refund that was given up comes back while nothing stands in for it and enough is left", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, 3_000);
    await endRefundJob(tx, request, "discard", "critical");
    assert.equal(await redrive(tx, request), null);
    assert.deepEqual(await openAlerts(tx), []);
    const [left] = await tx`select private.refundable_amount(${payment.id})::int as left`;
    assert.equal(left?.["left"], total - 3_000, "it counts as given back again");
    await assertSound(tx);
  });
});

Deno.test("a full refund that was given up gives back the rest, whatever happened meanwhile", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, null);
    const [job] =
      await tx`select payload -> 'amount' as amount from private.jobs where kind = 'refund_payment'`;
    assert.equal(job?.["amount"], null, "all that is left then, not what is left now");
    await endRefundJob(tx, request, "discard", "critical");
    story.refunded(payment, "1", 5_000);
    await tellAll(tx, story);
    assert.equal(await redrive(tx, request), null);
    await assertSound(tx);
  });
});

Deno.test("a full refund that turned out not to be needed restocks once the money has left, and not before", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, null, true);
    const byHand = story.refunded(payment, "1", total, "pending");
    await tellAll(tx, story);
    await endRefundJob(tx, request, "discard");
    assert.deepEqual(await stockOf(tx), [8, 0, 2], "pending money has not left");
    assert.equal(await redrive(tx, request), "SHREF", "nothing is left to give back");
    byHand.settled("failed");
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
    assert.equal(await redrive(tx, request), null, "what bounced can be given back by the same request");
    story.refunded(payment, "2", total, "succeeded", request);
    await tellAll(tx, story);
    assert.deepEqual(await stockOf(tx), [10, 0, 0]);
    await endRefundJob(tx, request, "done");
    await assertSound(tx);
  });
});

Deno.test("a refund with restock that was given up moves no goods when another one has given the money back", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const first = await ask(tx, story, null, true);
    await endRefundJob(tx, first, "discard", "critical");
    const second = await ask(tx, story, null, false);
    story.refunded(payment, "1", total, "succeeded", second);
    await tellAll(tx, story);
    await endRefundJob(tx, second, "done");
    assert.equal(await redrive(tx, first), "SHREF");
    assert.deepEqual(await stockOf(tx), [8, 0, 2]);
    await assertSound(tx);
  });
});

Deno.test("nothing ships while all of the money is on its way back", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidOrder(tx);
    const request = await ask(tx, story, null);
    assert.equal((await endingOf(tx, story)).fulfillment, "on_hold");
    await tx`savepoint attempt`;
    assert.equal(await sqlstateOf(tx`select public.mark_fulfilled(${story.frame.orderNumber})`), "SHINV");
    await tx`rollback to savepoint attempt`;
    await endRefundJob(tx, request, "discard");
    assert.equal(
      (await endingOf(tx, story)).fulfillment,
      "unfulfilled",
      "a refund that is not needed holds nothing",
    );
    await assertSound(tx);
  });
});

Deno.test("a refund that Stripe refuses for now is told to staff, who hear when it is made", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const request = await ask(tx, story, 3_000);
    await endRefundJob(tx, request, "retry", "warning");
    const [alert] = await tx`select kind, data from public.alerts`;
    assert.equal(alert?.["kind"], "refund_delayed");
    assert.equal(alert?.["data"]["order_number"], story.frame.orderNumber);
    assert.equal(alert?.["data"]["amount"], 3_000);
    assert.equal(alert?.["data"]["cause"], "stripe says no");
    const [asked] = await tx`select status, refusals from public.refund_requests`;
    assert.deepEqual({ ...asked }, { status: "queued", refusals: 1 });
    story.refunded(payment, "1", 3_000, "succeeded", request);
    await tellAll(tx, story);
    await endRefundJob(tx, request, "done");
    assert.deepEqual(await openAlerts(tx), []);
    await assertSound(tx);
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
