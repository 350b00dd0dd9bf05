/** What erase_customer() leaves. */
import assert from "node:assert/strict";
import { deliver, endingOf } from "./arrange.ts";
import { paidOrder, refusal } from "./goods.ts";
import { delivery } from "./moves.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder, stockOf } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

Deno.test("erase_customer() leaves no name, address or network address of the buyer anywhere", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    const payment = story.paid("a");
    story.disputed(payment, "d", "needs_response");
    story.customerChanged("ada@example.com");
    for (const event of story.events) {
      const move = delivery(event);
      await deliver(tx, [move]);
      await tx`update public.webhook_events set payload = ${
        tx.json(JSON.parse(JSON.stringify(event)))
      } where id = ${event.id}`;
    }
    // Another order of the same guest, of whom only an abandoned payment page knows the address.
    const left = new Story(await beginOrder(tx), 60, "L");
    await attachSession(tx, left, "l");
    left.expired("l");
    await deliver(tx, left.moves);
    const tables =
      await tx`select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'private') and c.relkind = 'r'`;
    const traces = async () => {
      const found: string[] = [];
      for (const { name } of tables) {
        const [{ count } = { count: 0 }] = await tx.unsafe(
          `select count(*)::int as count from ${name} t
            where t::text ~* 'ada@example\\.com|Ada Turner|Alder Street|5035550142|203\\.0\\.113\\.24'`,
        );
        if (count > 0) found.push(name);
      }
      return found.sort();
    };
    const before = await traces();
    for (
      const table of [
        "public.orders",
        "public.customers",
        "public.checkout_sessions",
        "public.webhook_events",
        "private.stripe_customers",
      ]
    ) {
      assert(before.includes(table), `${table} has something to erase`);
    }
    const erase = () => tx`select public.erase_customer(' ADA@example.com')`;
    assert.equal(await refusal(tx, erase()), "SHINV", "the bank waits for an answer");
    assert.deepEqual(await traces(), before, "a refused erasure changes nothing");
    await tx`update public.disputes set status = 'under_review'`;
    await erase();
    assert.deepEqual(await traces(), []);

    // Settling again brings nothing back, and the books stay.
    await tx`select private.settle_order(${story.frame.orderId}, 'test')`;
    assert.deepEqual(await traces(), []);
    const [order] =
      await tx`select status, amount_paid::int from public.orders where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...order }, { status: "paid", amount_paid: 25_800 });
  });
});

Deno.test("an order whose customer is erased before it is sent waits for a person, and not on the packing list", async () => {
  await undone(sql, async (tx) => {
    const { orderNumber } = (await paidOrder(tx)).frame;
    const listed = async () => [
      (await tx`select from reporting.orders_to_ship where number = ${orderNumber}`).length,
      (await tx`select reasons from reporting.orders_needing_attention where number = ${orderNumber}`)
        .flatMap((row) => row["reasons"]),
    ];
    assert.deepEqual(await listed(), [1, []]);
    await tx`select public.erase_customer('ada@example.com')`;
    assert.deepEqual(await listed(), [0, ["address_erased"]]);
    await tx`select public.cancel_order(${orderNumber}, 'erased')`;
    assert.deepEqual(await listed(), [0, []]);
  });
});

Deno.test("what a slow payment brings after its buyer was erased goes back: there is nobody to send the goods to", async () => {
  for (const end of ["arrives", "bounces"]) {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 60, "T");
      await attachSession(tx, story, "a");
      const payment = story.processing("a");
      await deliver(tx, story.moves);
      await tx`select public.erase_customer('ada@example.com')`;
      assert.deepEqual(await stockOf(tx), [10, 2, 0], "held until it is known how the payment ends");
      story.events.length = 0;
      if (end === "arrives") story.arrived(payment);
      else story.bounced(payment);
      await deliver(tx, story.moves);
      const { fulfillment, jobs, stock } = await endingOf(tx, story);
      assert.deepEqual(stock, [10, 0, 0]);
      assert.deepEqual(
        jobs.filter((job) => job.startsWith("refund")),
        end === "arrives" ? ["refund_payment:cancelled:a"] : [],
      );
      assert.equal(fulfillment, "cancelled");
      assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
    });
  }
});
