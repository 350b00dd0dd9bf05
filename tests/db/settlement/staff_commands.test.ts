import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endingOf } from "./arrange.ts";
import { delivery } from "./moves.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

async function paidOrder(tx: Tx): Promise<Story> {
  const story = new Story(await beginOrder(tx), 60, "T");
  await attachSession(tx, story, "a");
  story.paid("a");
  await deliver(tx, story.moves);
  return story;
}

async function refusal(tx: Tx, statement: PromiseLike<unknown>): Promise<string | null> {
  await tx`savepoint refused`;
  const state = await sqlstateOf(statement);
  await tx`rollback to savepoint refused`;
  return state;
}

Deno.test("mark_fulfilled() notes the parcel and mails once; a shipped order is neither cancelled nor shipped again", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber, orderId } } = await paidOrder(tx);
    await tx`select public.mark_fulfilled(${orderNumber}, 'UPS', '1Z999')`;
    const [order] =
      await tx`select fulfillment_status, carrier, tracking_number from public.orders where id = ${orderId}`;
    assert.deepEqual({ ...order }, {
      fulfillment_status: "fulfilled",
      carrier: "UPS",
      tracking_number: "1Z999",
    });
    assert.equal((await tx`select 1 from public.notifications where template = 'order_shipped'`).length, 1);
    assert.equal(await refusal(tx, tx`select public.mark_fulfilled(${orderNumber})`), "KCINV");
    assert.equal(await refusal(tx, tx`select public.cancel_order(${orderNumber})`), "KCINV");
  });
});

Deno.test("cancel_order() on a pending order frees its stock only when Stripe says that the session is over", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 60, "T");
    await attachSession(tx, story, "a");
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const open = await endingOf(tx, story);
    assert.deepEqual([open.status, open.stock, open.jobs], ["cancelled", [8 + 2, 2, 0], [
      "expire_checkout_session:a",
    ]]);
    story.expired("a");
    await deliver(tx, story.moves);
    assert.deepEqual((await endingOf(tx, story)).stock, [10, 0, 0]);
  });
});

Deno.test("a refused command leaves no row in the log", async () => {
  await undone(sql, async (tx) => {
    assert.equal(await refusal(tx, tx`select public.cancel_order('KCT-0')`), "KCORD");
    assert.equal(await refusal(tx, tx`select public.release_review('KCT-0')`), "KCORD");
    assert.equal((await tx`select 1 from public.staff_commands`).length, 0);
  });
});

Deno.test("resend_notification() repeats a mail that the order has had, and no other", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber } } = await paidOrder(tx);
    await tx`select public.resend_notification(${orderNumber}, 'order_confirmation')`;
    assert.equal(
      (await tx`select 1 from public.notifications where template = 'order_confirmation'`).length,
      2,
    );
    assert.equal(
      await refusal(tx, tx`select public.resend_notification(${orderNumber}, 'order_shipped')`),
      "KCINV",
    );
  });
});

Deno.test("redrive_webhook_event() queues a dead event again, and has an applied one translated anew", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    const [event] = story.events;
    assert(event !== undefined);
    const states = () =>
      tx`select e.status as event, j.status as job, e.next_attempt_at is not null as due
      from public.webhook_events e join private.jobs j on j.dedupe_key = 'retry_event:' || e.id where e.id = ${event.id}`;
    await tx`select public.redrive_webhook_event(${event.id})`;
    assert.deepEqual([...await states()], [{ event: "processed", job: "queued", due: true }]);
    await tx`update public.webhook_events set status = 'dead' where id = ${event.id}`;
    await tx`select public.redrive_webhook_event(${event.id})`;
    assert.deepEqual([...await states()], [{ event: "failed", job: "queued", due: true }]);
    await tx`update public.webhook_events set payload = '{"purged": true}' where id = ${event.id}`;
    assert.equal(await refusal(tx, tx`select public.redrive_webhook_event(${event.id})`), "KCEVT");
    assert.equal(await refusal(tx, tx`select public.redrive_webhook_event('evt_of_nobody')`), "KCEVT");
  });
});

Deno.test("adjust_inventory() books goods with a reason and never goes below what checkouts hold", async () => {
  await undone(sql, async (tx) => {
    await beginOrder(tx);
    await tx`select public.adjust_inventory('COAT-GRY-L', -8, 'stocktaking')`;
    const [entry] = await tx`select delta, reason from public.inventory_adjustments order by id desc limit 1`;
    assert.deepEqual({ ...entry }, { delta: -8, reason: "stocktaking" });
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('COAT-GRY-L', -1, 'loss')`), "KCSTK");
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('NO-SUCH-SKU', 1, 'found')`), "KCSKU");
    assert.equal(await refusal(tx, tx`select public.adjust_inventory('COAT-GRY-L', 0, 'nothing')`), "KCINV");
  });
});

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
    await tx`select public.erase_customer('ADA@example.com')`;
    assert.deepEqual(await traces(), []);

    // Settling again brings nothing back, and the books stay.
    await tx`select private.settle_order(${story.frame.orderId}, 'test')`;
    assert.deepEqual(await traces(), []);
    const [order] =
      await tx`select status, amount_paid::int from public.orders where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...order }, { status: "paid", amount_paid: 25_800 });
  });
});
