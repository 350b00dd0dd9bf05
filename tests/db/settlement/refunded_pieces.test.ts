/** Which pieces a refund has paid back, when it does not go as asked: given up, released, by hand, or of other money. */
import assert from "node:assert/strict";
import { endRefundJob } from "./arrange.ts";
import {
  answerOf,
  type Db,
  paidCart,
  receive,
  refund,
  refusal,
  shelf,
  ship,
  sound,
  succeed,
  tell,
} from "./goods.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession } from "./shop.ts";
import type { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** Stripe refuses a refund for good. */
const refuse = (tx: Db, id: unknown) => endRefundJob(tx, String(id), "discard", "critical");

async function toShip(tx: Db, story: Story): Promise<Record<string, number>> {
  const rows = await tx`select sku, to_ship from private.line_positions(${story.frame.orderId})`;
  return Object.fromEntries(rows.map((row) => [row["sku"], row["to_ship"]]));
}

async function openReturns(tx: Db): Promise<string[]> {
  return (await tx`select id from public.returns where status <> 'closed'`).map((row) => row["id"]);
}

Deno.test("pieces of a refused refund that release_review() lets go are sent, and can be refunded later", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    const kind = answerOf(
      await tx`select public.request_refund(${story.frame.orderNumber}, 25000) as answer`,
    );
    await succeed(tx, story, payment, kind);
    // All that is left, by a piece that has cost as much.
    const rest = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }]));
    assert.equal(rest["left"], 0);
    await refuse(tx, rest["command_id"]);
    await tx`select public.release_review(${story.frame.orderNumber}, 'she wants it')`;
    assert.deepEqual(await toShip(tx, story), { SHIRT: 3, TIE: 1 });
    assert.deepEqual(await openReturns(tx), []);
    await sound(tx);
    await ship(tx, story);
    const [made] = await tx`select f.* from public.order_items i
      cross join lateral private.refunded_pieces(i.id) f where i.sku = 'SHIRT'`;
    assert.deepEqual({ ...made }, { given: 0, made: 0 });
    await succeed(
      tx,
      story,
      payment,
      answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1 }])),
      "2",
    );
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2]);
    assert.deepEqual(await openReturns(tx), []);
    await sound(tx);
  });
});

Deno.test("a return whose refund release_review() has let go can be closed", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    const kind = answerOf(
      await tx`select public.request_refund(${story.frame.orderNumber}, 25000) as answer`,
    );
    await succeed(tx, story, payment, kind);
    await ship(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    await tx`select public.announce_return(${story.frame.orderNumber}, '[{"sku": "SHIRT", "quantity": 1}]')`;
    const rest = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }]));
    await refuse(tx, rest["command_id"]);
    await tx`select public.release_review(${story.frame.orderNumber}, 'she wants it')`;
    const [open, ...others] = await openReturns(tx);
    assert.deepEqual(others, []);
    await tx`select public.close_return(${open ?? ""})`;
    await sound(tx);
  });
});

Deno.test("a refund that was given up does not run again once its pieces are exchanged", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    await tx`with v as (
        insert into public.product_variants (product_id, sku, price_amount, currency)
        select id, 'SHIRT-L', 10000, 'usd' from public.products limit 1 returning id
      )
      insert into public.inventory_levels (variant_id, on_hand) select id, 5 from v`;
    await ship(tx, story);
    const { command_id: id } = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 2 }]));
    await refuse(tx, id);
    for (const open of await openReturns(tx)) await tx`select public.close_return(${open})`;
    const exchange = (quantity: number) =>
      tx`select public.exchange_return(${story.frame.orderNumber}, ${
        JSON.stringify([{ sku: "SHIRT", for: "SHIRT-L", quantity }])
      }::text::jsonb)`;
    await exchange(1);
    const redrive = () =>
      tx`select private.redrive_job(j.id) from private.jobs j where payload ->> 'refund_request_id' = ${
        String(id)
      }`;
    assert.equal(await refusal(tx, redrive()), null, "two are left");
    await exchange(1);
    assert.equal(await refusal(tx, redrive()), "SHREF");
    await sound(tx);
  });
});

Deno.test("a refund of a second payment is not about pieces of the order", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await attachSession(tx, story, "b", 2);
    const second = story.paid("b");
    story.refunded(second, "second", 35_000);
    await tell(tx, story);
    const assign = (name: string) =>
      tx`select public.assign_refund(${story.id("re", name)},
        '[{"sku": "SHIRT", "quantity": 3, "restock": true}, {"sku": "TIE", "quantity": 1, "restock": true}]')`;
    assert.equal(await refusal(tx, assign("second")), "SHREF");
    story.refunded(payment, "kept", 35_000);
    await tell(tx, story);
    assert.equal(await refusal(tx, assign("kept")), null);
    await sound(tx);
  });
});

Deno.test("a return that is awaited of an order whose goods are all back can be closed, and moves nothing", async () => {
  for (const end of ["refund with restock", "cancel_order"]) {
    await undone(sql, async (tx) => {
      const { story, payment } = await paidCart(tx);
      const one = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1 }]));
      await succeed(tx, story, payment, one);
      const restock = end === "refund with restock";
      const rest = answerOf(
        await tx`select public.request_refund(${story.frame.orderNumber}, p_restock => ${restock}) as answer`,
      );
      await succeed(tx, story, payment, rest, "2");
      if (!restock) await tx`select public.cancel_order(${story.frame.orderNumber})`;
      assert.deepEqual(await shelf(tx, "SHIRT"), [10, 0]);
      for (const open of await openReturns(tx)) await tx`select public.close_return(${open})`;
      assert.deepEqual(await openReturns(tx), []);
      assert.deepEqual(await shelf(tx, "SHIRT"), [10, 0]);
      await sound(tx);
    });
  }
});

Deno.test("delivery is given back once, unless its refund came to nothing", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx, { shipping: 995 });
    const delivery = () =>
      tx`select public.request_refund(${story.frame.orderNumber}, p_shipping => true) as answer`;
    const first = answerOf(await delivery());
    assert.equal(first["amount"], 995);
    assert.equal(await refusal(tx, delivery()), "SHREF", "under way");
    await refuse(tx, first["command_id"]);
    const second = answerOf(await delivery());
    await succeed(tx, story, payment, second);
    assert.equal(await refusal(tx, delivery()), "SHREF", "made");
    const both = refund(tx, story, [{ sku: "TIE", quantity: 1 }], ", p_shipping => true");
    assert.equal(await refusal(tx, both), "SHREF");
    assert.equal(await refusal(tx, refund(tx, story, [{ sku: "TIE", quantity: 1 }])), null);
    await sound(tx);
  });
});

Deno.test("of exchanged pieces too, all and the delivery together are all of the money, whichever goes back first", async () => {
  const lines = [{ sku: "SHIRT", quantity: 2, price: 2_344 }, { sku: "TIE", quantity: 1, price: 1_999 }];
  const sequences = [["A-SHIRT", "SHIRT", "TIE"], ["TIE", "SHIRT", "A-SHIRT"], ["SHIRT", "TIE", "A-SHIRT"]];
  for (const [discount, shipping, tax] of [[907, 486, 335], [1, 995, 0], [1_000, 333, 777]] as const) {
    for (const sequence of sequences) {
      await undone(sql, async (tx) => {
        const { story, payment } = await paidCart(tx, { discount, shipping, tax }, lines);
        await tx`with v as (
            insert into public.product_variants (product_id, sku, price_amount, currency)
            select id, 'A-SHIRT', 2344, 'usd' from public.products limit 1 returning id
          )
          insert into public.inventory_levels (variant_id, on_hand) select id, 5 from v`;
        await ship(tx, story);
        let sum = 0;
        for (const [n, sku] of sequence.entries()) {
          if (n === 1 || sku === "A-SHIRT") {
            await tx`select public.exchange_return(${story.frame.orderNumber},
              '[{"sku": "SHIRT", "for": "A-SHIRT", "quantity": 1}]')
            where not exists (select 1 from public.order_items where sku = 'A-SHIRT')`;
          }
          sum += Number(answerOf(await refund(tx, story, [{ sku, quantity: 1 }]))["amount"]);
        }
        const delivery = answerOf(await refund(tx, story, null, ", p_shipping => true"));
        assert.deepEqual([sum + Number(delivery["amount"]), delivery["left"]], [payment.amount, 0]);
        await sound(tx);
      });
    }
  }
});

Deno.test("receive_return() says of an order that has shipped that all has come back, not that it has not shipped", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    await assert.rejects(receive(tx, story, null), /has not shipped/);
  });
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx);
    await ship(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    await receive(tx, story, null);
    await assert.rejects(receive(tx, story, null), /all that was sent has come back already/);
  });
});

Deno.test("a refund of the dashboard's that came back is assigned to no pieces: the shop has its money", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    const made = story.refunded(payment, "1", 10_000);
    await tell(tx, story);
    const assign = () =>
      tx`select public.assign_refund(${
        story.id("re", "1")
      }, '[{"sku": "SHIRT", "quantity": 1, "restock": true}]')`;
    assert.equal(await refusal(tx, assign()), null);
    made.settled("failed");
    await tell(tx, story);
    assert.equal(await refusal(tx, assign()), "SHREF");
  });
});

Deno.test("damaged pieces of a cancelled order are on the shelf already, and receive_return() says so", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx);
    await succeed(tx, story, payment, answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 2 }])));
    await tx`select public.cancel_order(${story.frame.orderNumber})`;
    const said = async (restock: boolean) =>
      answerOf(await receive(tx, story, [{ sku: "SHIRT", quantity: 1, restock }]))["notice"];
    assert.equal(await said(true), undefined);
    assert.match(String(await said(false)), /adjust_inventory/);
    assert.deepEqual(await shelf(tx, "SHIRT"), [10, 0]);
    await sound(tx);
  });
});
