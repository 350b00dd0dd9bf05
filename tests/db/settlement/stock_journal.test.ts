import assert from "node:assert/strict";
import type postgres from "postgres";
import { assertInvariants } from "../../support/invariants.ts";
import { eventually } from "../../support/poll.ts";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endRefundJob } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder, SKU, stockOf } from "./shop.ts";
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
  story.events.length = 0;
  return story;
}

async function journal(tx: Tx) {
  const rows = await tx`select change, kind, order_id is not null as of_order, actor, note
    from public.inventory_journal order by id`;
  return rows.map(({ change, kind, of_order, note }) => [change, kind, of_order, note]);
}

async function refusal(tx: Tx, statement: PromiseLike<unknown>): Promise<string | null> {
  await tx`savepoint refused`;
  const state = await sqlstateOf(statement);
  await tx`rollback to savepoint refused`;
  return state;
}

Deno.test("every change of on_hand is in the journal with its reason, and on_hand is its sum", async () => {
  await undone(sql, async (tx) => {
    const story = await paidOrder(tx);
    const { orderId, orderNumber } = story.frame;
    const [row] =
      await tx`select public.request_refund(${orderNumber}, null, 'x', true) ->> 'command_id' as id`;
    story.refunded(story.payment("a"), "1", story.frame.amount, "succeeded", row?.["id"]);
    await deliver(tx, story.moves);
    await endRefundJob(tx, row?.["id"], "done");
    await tx`select public.adjust_inventory(${SKU}, 5, 'delivery')`;
    await tx`select public.count_inventory(${tx.json([{ sku: SKU, counted: 12 }])}, 'yearly count')`;
    await tx`select public.import_inventory(${`sku;pieces\r\n"${SKU}";14\r\n`})`;
    await tx`update public.inventory_levels set on_hand = 9`;
    assert.deepEqual(await journal(tx), [
      [10, "opening", false, null],
      [-2, "sale", true, null],
      [2, "release", true, null],
      [5, "adjustment", false, "delivery"],
      [-3, "count", false, "yearly count"],
      [2, "import", false, null],
      [-5, "edit", false, null],
    ]);
    const [sale] = await tx`select order_id, actor from public.inventory_journal where kind = 'sale'`;
    assert.deepEqual([sale?.["order_id"], String(sale?.["actor"]).startsWith("evt_")], [orderId, true]);
    assert.deepEqual(await stockOf(tx), [9, 0, 0]);
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
  await assertInvariants(sql);
});

Deno.test("a reason given for one movement of stock does not stick to the next", async () => {
  await undone(sql, async (tx) => {
    await tx`select public.adjust_inventory(${SKU}, 5, 'delivery')`;
    await tx`update public.inventory_levels set on_hand = on_hand + 1`;
    assert.deepEqual((await journal(tx)).at(-1), [1, "edit", false, null]);
    await paidOrder(tx);
    await tx`update public.inventory_levels set on_hand = on_hand + 1`;
    assert.deepEqual((await journal(tx)).at(-1), [1, "edit", false, null]);
  });
});

Deno.test("the journal is append-only", async () => {
  await undone(sql, async (tx) => {
    assert.equal(await refusal(tx, tx`update public.inventory_journal set note = 'x'`), "SHAPP");
    assert.equal(await refusal(tx, tx`delete from public.inventory_journal`), "SHAPP");
  });
});

Deno.test("a stock count includes what is sold and not sent, and changes nothing when done again", async () => {
  await undone(sql, async (tx) => {
    const { frame: { orderNumber } } = await paidOrder(tx);
    const counting = (counted: number) =>
      tx`select public.count_inventory(${tx.json([{ sku: SKU, counted }])}) as answer`;
    const count = async (counted: number) => (await counting(counted))[0]?.["answer"]["changed"];
    assert.deepEqual(await count(10), [], "eight on the shelf, two in the parcel that waits");
    assert.deepEqual(await count(9), [{ sku: SKU, was: 10, counted: 9 }]);
    assert.deepEqual(await count(9), []);
    assert.deepEqual(await stockOf(tx), [7, 0, 2]);
    await tx`select public.mark_fulfilled(${orderNumber})`;
    assert.deepEqual(await count(7), [], "the parcel has left");
    await beginOrder(tx);
    assert.equal(await refusal(tx, counting(1)), "SHSTK", "a checkout holds two");
    assert.deepEqual(await count(2), [{ sku: SKU, was: 7, counted: 2 }]);
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("a count with a line that is wrong books nothing, and names it", async () => {
  await undone(sql, async (tx) => {
    const before = await journal(tx);
    const odd: [unknown, string][] = [
      [[{ sku: SKU, counted: 3 }, { sku: "NO-SUCH", counted: 1 }], "SHSKU"],
      [[{ sku: SKU, counted: 3 }, { sku: SKU, counted: 4 }], "SHSKU"],
      [[{ sku: SKU, counted: -1 }], "SHINV"],
      [[{ sku: SKU, counted: 1.5 }], "SHINV"],
      [[{ sku: SKU }], "SHINV"],
      [[{ counted: 1 }], "SHINV"],
      [[{ sku: SKU, counted: 1, on_hand: 2 }], "SHINV"],
      [["x"], "SHINV"],
      [[], "SHINV"],
    ];
    for (const [counts, state] of odd) {
      const text = JSON.stringify(counts);
      assert.equal(await refusal(tx, tx`select public.count_inventory(${text}::text::jsonb)`), state, text);
    }
    for (const [csv, state] of [[`${SKU},many`, "SHINV"], [`${SKU}\n`, "SHINV"], [`${SKU},1,2`, "SHINV"]]) {
      assert.equal(await refusal(tx, tx`select public.import_inventory(${csv ?? ""})`), state, csv);
    }
    assert.deepEqual(await journal(tx), before);
  });
});

Deno.test("a count that waits for a sale sees the sale whole", async () => {
  await using own = await searchDatabase();
  const story = new Story(await beginOrder(own.sql), 60, "C");
  await attachSession(own.sql, story, "a");
  story.paid("a");
  const sale = await own.sql.reserve();
  await sale`begin`;
  await deliver(sale, story.moves);
  // Two more than were known of, the two of the sale included.
  const counting = own.sql`select public.count_inventory(${own.sql.json([{ sku: SKU, counted: 12 }])})`
    .execute();
  await eventually("the count waits", async () => {
    const waiting = await own.sql`select 1 from pg_stat_activity
      where wait_event_type = 'Lock' and query like '%count_inventory%' and datname = current_database()`;
    return waiting.length > 0;
  });
  await sale`commit`;
  sale.release();
  await counting;
  assert.deepEqual(await stockOf(own.sql), [10, 0, 2]);
  await assertInvariants(own.sql);
});
