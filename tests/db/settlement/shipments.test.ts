import assert from "node:assert/strict";
import type postgres from "postgres";
import { assertInvariants } from "../../support/invariants.ts";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endingOf } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginCart } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Db = postgres.ReservedSql | postgres.Sql;

const cart = [{ sku: "SHIRT-M", quantity: 3, price: 8_900 }, { sku: "TIE", quantity: 1, price: 5_900 }];

/** Three shirts and a tie, paid. */
async function paidCart(db: Db, tag = "T"): Promise<Story> {
  const story = new Story(await beginCart(db, cart), 60, tag);
  await attachSession(db, story, "a");
  story.paid("a");
  await deliver(db, story.moves);
  story.events.length = 0;
  return story;
}

function mark(db: Db, story: Story, lines: unknown, number: string | null = null) {
  return db`select public.mark_fulfilled(${story.frame.orderNumber}, 'ups', ${number},
    ${lines === null ? null : JSON.stringify(lines)}::text::jsonb) as answer`;
}

async function refusal(tx: postgres.ReservedSql, statement: PromiseLike<unknown>): Promise<string | null> {
  await tx`savepoint refused`;
  const state = await sqlstateOf(statement);
  await tx`rollback to savepoint refused`;
  return state;
}

async function mails(db: Db) {
  const rows = await db`select n.data, private.notification_problem(n, o) as problem
    from public.notifications n join public.orders o on o.id = n.order_id
    where n.template = 'order_shipped' order by n.created_at, n.dedupe_key`;
  return rows.map(({ data, problem }) => ({ ...data, problem }));
}

Deno.test("an order goes in parcels: unfulfilled until the last piece has left, each parcel with its mail", async () => {
  await undone(sql, async (tx) => {
    const story = await paidCart(tx);
    const [first] = await mark(tx, story, [{ sku: "SHIRT-M", quantity: 2 }], "1Z999");
    assert.deepEqual([first?.["answer"]["parcel"], first?.["answer"]["to_ship"]], [1, [
      { sku: "SHIRT-M", quantity: 1 },
      { sku: "TIE", quantity: 1 },
    ]]);
    assert.deepEqual([(await endingOf(tx, story)).fulfillment, (await mails(tx)).length], ["unfulfilled", 1]);

    await mark(tx, story, null, "1Z000");
    assert.equal((await endingOf(tx, story)).fulfillment, "fulfilled");
    const [one, two] = await mails(tx);
    assert.deepEqual(one, {
      parcel: 1,
      carrier: "ups",
      tracking_number: "1Z999",
      tracking_url: "https://www.ups.com/track?tracknum=1Z999",
      items: [{ name: "SHIRT-M", quantity: 2 }],
      part: true,
      more_to_come: true,
      problem: null,
    });
    assert.deepEqual([two?.["part"], two?.["more_to_come"], two?.["items"]], [true, false, [
      { name: "SHIRT-M", quantity: 1 },
      { name: "TIE", quantity: 1 },
    ]]);
    const [order] = await tx`select o.fulfilled_at = s.shipped_at as last from public.orders o
      join public.shipments s on s.order_id = o.id and s.parcel = 2`;
    assert.equal(order?.["last"], true);
    assert.deepEqual([...await tx`select * from public.check_invariants()`], []);
  });
});

Deno.test("nothing is sent that was not sold, twice, or under a number that the order has", async () => {
  await undone(sql, async (tx) => {
    const story = await paidCart(tx);
    await mark(tx, story, [{ sku: "SHIRT-M", quantity: 2 }], "1Z999");
    const odd: [unknown, string | null, string][] = [
      [[{ sku: "SHIRT-M", quantity: 2 }], null, "SHINV"],
      [[{ sku: "TIE", quantity: 1 }], "1Z999", "SHINV"],
      [[{ sku: "SHIRT-M", quantity: 0 }], null, "SHINV"],
      [[{ sku: "SHIRT-M", quantity: 1.5 }], null, "SHINV"],
      [[{ sku: "SHIRT-M", quantity: 1 }, { sku: "SHIRT-M", quantity: 1 }], null, "SHINV"],
      [[{ sku: "SHIRT-M", quantity: 1, restock: true }], null, "SHINV"],
      [[{ sku: "COAT-GRY-L", quantity: 1 }], null, "SHSKU"],
      [[], null, "SHINV"],
      [["SHIRT-M"], null, "SHINV"],
    ];
    for (const [lines, number, state] of odd) {
      assert.equal(await refusal(tx, mark(tx, story, lines, number)), state, JSON.stringify(lines));
    }
    assert.equal((await tx`select 1 from public.shipments`).length, 1);
  });
});

Deno.test("a part does not ship while the order is held, in review, or all of its money on its way back", async () => {
  const holds: Record<string, (tx: postgres.ReservedSql, story: Story) => Promise<unknown>> = {
    "a dispute": (tx, story) => {
      story.disputed(story.payment("a"), "d", "needs_response");
      return deliver(tx, story.moves);
    },
    "a review": (tx, story) => {
      story.reviewed(story.payment("a"), "1");
      return deliver(tx, story.moves);
    },
    "a full refund": (tx, story) => tx`select public.request_refund(${story.frame.orderNumber})`.execute(),
  };
  for (const [name, hold] of Object.entries(holds)) {
    await undone(sql, async (tx) => {
      const story = await paidCart(tx);
      await mark(tx, story, [{ sku: "TIE", quantity: 1 }]);
      await hold(tx, story);
      const lines = [{ sku: "SHIRT-M", quantity: 1 }];
      assert.equal(await refusal(tx, mark(tx, story, lines)), "SHINV", name);
      assert.equal(await refusal(tx, mark(tx, story, null)), "SHINV", name);
    });
  }
});

Deno.test("of an order that has shipped in part nothing is cancelled, and no fraud warning gives all of it back", async () => {
  await undone(sql, async (tx) => {
    const story = await paidCart(tx);
    await mark(tx, story, [{ sku: "TIE", quantity: 1 }]);
    const cancel = tx`select public.cancel_order(${story.frame.orderNumber})`;
    assert.equal(await refusal(tx, cancel), "SHINV");
    story.warned(story.payment("a"), "1");
    await deliver(tx, story.moves);
    const end = await endingOf(tx, story);
    assert.deepEqual([end.status, end.jobs], ["needs_review", []]);
  });
});

Deno.test("correct_shipment() gives one parcel another number, and mails that once", async () => {
  await undone(sql, async (tx) => {
    const story = await paidCart(tx);
    await mark(tx, story, [{ sku: "TIE", quantity: 1 }], "1Z-WRONG");
    await mark(tx, story, null, "1Z-OTHER");
    const { orderNumber } = story.frame;
    assert.equal(await refusal(tx, mark(tx, story, null, "1Z-RIGHT")), "SHINV", "which of the two?");
    await tx`select public.correct_shipment(${orderNumber}, 1, null, '1Z-RIGHT')`;
    const repeat = tx`select public.correct_shipment(${orderNumber}, 1, null, '1Z-RIGHT')`;
    assert.equal(await refusal(tx, repeat), "SHINV", "nothing to correct");
    assert.equal(await refusal(tx, tx`select public.correct_shipment(${orderNumber}, 3, 'dhl')`), "SHINV");
    const told = (await mails(tx)).map((mail) => [mail["tracking_number"], mail["problem"] === null]);
    assert.deepEqual(told.sort(), [["1Z-OTHER", true], ["1Z-RIGHT", true], ["1Z-WRONG", false]]);
  });
});

Deno.test("only a number that looks like one becomes part of a carrier's address", async () => {
  const links = await sql`select private.tracking_url(c, n) as url from (values
    ('UPS', '1Z 999 AA1'), (' FedEx', '123456789012'), ('ups', 'https://evil.example'), ('ups', '1Z"><script>'),
    ('The Pony', '1Z999'), ('ups', null)) as x (c, n)`;
  assert.deepEqual(links.map(({ url }) => url), [
    "https://www.ups.com/track?tracknum=1Z999AA1",
    "https://www.fedex.com/fedextrack/?trknbr=123456789012",
    null,
    null,
    null,
    null,
  ]);
});

Deno.test("members of staff who note the same piece at once send it once", async () => {
  await using own = await searchDatabase();
  const story = await paidCart(own.sql);
  const attempts = await Promise.all(
    Array.from({ length: 6 }, () => sqlstateOf(mark(own.sql, story, [{ sku: "SHIRT-M", quantity: 2 }]))),
  );
  assert.deepEqual(attempts.sort(), ["SHINV", "SHINV", "SHINV", "SHINV", "SHINV", null].sort());
  await assertInvariants(own.sql);
});
