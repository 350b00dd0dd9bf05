/** exchange_return(): a piece comes back, another of the same price goes out, and the money stays as it is. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { assertInvariants } from "../../support/invariants.ts";
import { sqlstateOf } from "../../support/role.ts";
import { endingOf } from "./arrange.ts";
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
import type { CartLine } from "./shop.ts";
import type { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

interface ExchangeLine {
  sku: string;
  for: string;
  quantity: number;
}

function exchange(db: Db, story: Story, lines: ExchangeLine[]) {
  return db.unsafe("select public.exchange_return($1, $2::text::jsonb, 'too small') as answer", [
    story.frame.orderNumber,
    JSON.stringify(lines),
  ]);
}

const one: ExchangeLine[] = [{ sku: "SHIRT", for: "SHIRT-L", quantity: 1 }];
const cart: CartLine[] = [{ sku: "SHIRT", quantity: 3, price: 10_000 }];

/** The next size of the shirt. */
async function addVariant(db: Db, sku: string, onHand: number, price = 10_000): Promise<void> {
  await db`with v as (
      insert into public.product_variants (product_id, sku, price_amount, currency)
      select id, ${sku}, ${price}, 'usd' from public.products limit 1 returning id
    )
    insert into public.inventory_levels (variant_id, on_hand) select id, ${onHand} from v`;
}

/** Where the pieces of each line are: [bought and come, shipped, returned, to ship]. */
async function positions(db: Db, story: Story): Promise<Record<string, number[]>> {
  const rows = await db`select p.* from private.line_positions(${story.frame.orderId}) p`;
  return Object.fromEntries(rows.map((row) => [
    row["sku"],
    [row["quantity"], row["shipped"], row["returned"], row["to_ship"]],
  ]));
}

/** All that anybody is shown of what was bought. */
async function shown(db: Db, story: Story): Promise<unknown> {
  const id = story.frame.orderId;
  const [row] = await db`select private.mail_order(o) -> 'items' as mail, private.hash_of_order(o.id) as hash,
      private.order_lines(o.id) as asked, private.checkout_snapshot(o.id, 'existing') -> 'items' as checkout,
      private.share_of_goods(o) as goods, o.amount_total, o.amount_paid, o.amount_refunded,
      public.get_order_status(o.session_id) -> 'items' as status,
      (select jsonb_agg(public.get_dispute_evidence(d.id) #> '{order,items}') from public.disputes d
        where d.order_id = o.id) as evidence
    from public.orders o where o.id = ${id}`;
  return { ...row };
}

Deno.test("a shirt is exchanged for the next size: announced, sent, received, and no money moves", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx, { shipping: 995, discount: 333 }, cart);
    await addVariant(tx, "SHIRT-L", 2);
    await ship(tx, story);
    story.disputed(story.payment("a"), "d", "needs_response").closed("won");
    await tell(tx, story);
    const before = await shown(tx, story);

    const answer = answerOf(await exchange(tx, story, one));
    assert.deepEqual((answer["stock"] as unknown[]).at(-1), { sku: "SHIRT-L", change: -1 });
    assert.deepEqual([await shelf(tx, "SHIRT-L"), await shelf(tx, "SHIRT")], [[1, 1], [7, 3]]);
    assert.deepEqual(await positions(tx, story), { SHIRT: [3, 3, 0, 0], "SHIRT-L": [1, 0, 0, 1] });
    assert.equal((await endingOf(tx, story)).fulfillment, "unfulfilled", "a piece is to be sent");
    await sound(tx);

    await ship(tx, story);
    const [mail] = await tx`select data from public.notifications where template = 'order_shipped'
      order by (data ->> 'parcel')::int desc limit 1`;
    assert.deepEqual(mail?.["data"].items.map((item: { quantity: number }) => item.quantity), [1]);
    assert.equal((await endingOf(tx, story)).fulfillment, "fulfilled");
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    assert.deepEqual([await shelf(tx, "SHIRT-L"), await shelf(tx, "SHIRT")], [[1, 1], [8, 2]]);
    assert.deepEqual((await tx`select status from public.returns`).map(({ status }) => status), ["closed"]);
    assert.deepEqual(await shown(tx, story), before, "what was bought, and for how much, is what it was");
    await sound(tx);
  });
});

Deno.test("an exchange that is called off gives the new piece back, until that has been sent", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx, {}, cart);
    await addVariant(tx, "SHIRT-L", 1);
    await ship(tx, story);
    const called = answerOf(await exchange(tx, story, one));
    await tx`select public.close_return(${`${called["return_id"]}`})`;
    assert.deepEqual(await shelf(tx, "SHIRT-L"), [1, 0]);
    assert.equal((await endingOf(tx, story)).fulfillment, "fulfilled");
    await sound(tx);

    const sent = answerOf(await exchange(tx, story, one));
    await ship(tx, story);
    assert.equal(await refusal(tx, tx`select public.close_return(${`${sent["return_id"]}`})`), "SHINV");
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1, restock: false }]);
    assert.deepEqual([await shelf(tx, "SHIRT-L"), await shelf(tx, "SHIRT")], [[0, 1], [7, 2]]);
    await sound(tx);
  });
});

Deno.test("a piece that has not been sent is exchanged on the shelf, and a broken one for one of its kind", async () => {
  await undone(sql, async (tx) => {
    const { story } = await paidCart(tx, {}, cart);
    await addVariant(tx, "SHIRT-L", 2);
    await ship(tx, story, [{ sku: "SHIRT", quantity: 2 }]);
    await exchange(tx, story, [{ sku: "SHIRT", for: "SHIRT", quantity: 2 }]);
    assert.deepEqual(await positions(tx, story), { SHIRT: [5, 2, 0, 3] });
    await receive(tx, story, [{ sku: "SHIRT", quantity: 2, restock: false }]);
    await exchange(tx, story, one);
    assert.deepEqual(await positions(tx, story), { SHIRT: [5, 2, 3, 2], "SHIRT-L": [1, 0, 0, 1] });
    assert.deepEqual([await shelf(tx, "SHIRT-L"), await shelf(tx, "SHIRT")], [[1, 1], [6, 2]]);
    await sound(tx);
    await ship(tx, story);
    assert.equal((await endingOf(tx, story)).fulfillment, "fulfilled");
    await sound(tx);
  });
});

Deno.test("what was exchanged is exchanged again, and then refunded: all of the money goes with the pieces", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx, { discount: 3_333, tax: 2_701 }, cart);
    for (const sku of ["SHIRT-L", "SHIRT-XL"]) await addVariant(tx, sku, 3);
    await ship(tx, story);
    await exchange(tx, story, one);
    await ship(tx, story);
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    await exchange(tx, story, [{ sku: "SHIRT-L", for: "SHIRT-XL", quantity: 1 }]);
    await ship(tx, story);
    await receive(tx, story, [{ sku: "SHIRT-L", quantity: 1 }]);
    assert.equal(
      await refusal(tx, refund(tx, story, [{ sku: "SHIRT-L", quantity: 1 }])),
      "SHREF",
      "the customer has none",
    );
    assert.equal(await refusal(tx, refund(tx, story, [{ sku: "SHIRT", quantity: 3 }])), "SHREF");
    let sum = 0;
    for (const [n, line] of [{ sku: "SHIRT-XL", quantity: 1 }, { sku: "SHIRT", quantity: 2 }].entries()) {
      const answer = answerOf(await refund(tx, story, [{ ...line, restock: true }]));
      sum += Number(answer["amount"]);
      await succeed(tx, story, payment, answer, `${n}`);
      await sound(tx);
    }
    assert.equal(sum, 30_000 - 3_333 + 2_701);
    for (const [sku, there] of [["SHIRT", 10], ["SHIRT-L", 3], ["SHIRT-XL", 3]] as const) {
      assert.deepEqual(await shelf(tx, sku), [there, 0], sku);
    }
    assert.equal((await endingOf(tx, story)).status, "refunded");
  });
});

Deno.test("a refund of other pieces leaves an exchange alone", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx, {}, cart);
    await addVariant(tx, "SHIRT-L", 3);
    await ship(tx, story);
    await exchange(tx, story, one);
    const answer = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1, restock: true }]));
    await succeed(tx, story, payment, answer);
    assert.deepEqual(await shelf(tx, "SHIRT"), [8, 2], "one of the two that are not exchanged");
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [9, 1]);
    await sound(tx);
    const second = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 1 }]));
    const [awaited] = await tx`select l.quantity from public.return_lines l
      join public.returns r on r.id = l.return_id where r.status = 'requested'`;
    assert.equal(
      awaited?.["quantity"],
      1,
      "the third shirt is awaited: the one that came back was exchanged",
    );
    await succeed(tx, story, payment, second, "2");
    await receive(tx, story, [{ sku: "SHIRT", quantity: 1 }]);
    assert.deepEqual(await shelf(tx, "SHIRT"), [10, 0]);
    await sound(tx);
  });
});

Deno.test("an exchange is refused in words: another price, sold out, more than there is, no such SKU, held", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidCart(tx, {}, cart);
    await addVariant(tx, "SHIRT-L", 1);
    await addVariant(tx, "COAT", 5, 12_000);
    const told = async (lines: ExchangeLine[]) => {
      await tx`savepoint refused`;
      try {
        await exchange(tx, story, lines);
        return assert.fail("it was not refused");
      } catch (error) {
        const { code, message, hint, detail } = error as postgres.PostgresError;
        return `${code} ${message}; ${hint ?? detail}`;
      } finally {
        await tx`rollback to savepoint refused`;
      }
    };
    await ship(tx, story);
    const line = { sku: "SHIRT", for: "SHIRT-L", quantity: 1 };
    assert.match(
      await told([{ ...line, for: "COAT" }]),
      /^SHINV COAT does not cost.*12000 and 10000.*request_refund\(\), and let the customer order COAT/,
    );
    assert.match(await told([{ ...line, quantity: 2 }]), /^SHSTK .*"requested": 2/);
    assert.match(await told([{ ...line, quantity: 4 }]), /^SHINV of SHIRT only 3 can be exchanged/);
    assert.match(await told([{ ...line, for: "NONE" }]), /^SHSKU/);
    assert.match(await told([{ sku: "SHIRT", quantity: 1 } as ExchangeLine]), /^SHINV for which SKU/);

    // All prices go up: they are equal, and the customer has paid the old one.
    await tx`update public.product_variants set price_amount = 11000 where sku in ('SHIRT', 'SHIRT-L')`;
    await tx`savepoint raised`;
    await exchange(tx, story, one);
    await tx`rollback to savepoint raised`;

    const answer = answerOf(await refund(tx, story, [{ sku: "SHIRT", quantity: 3 }]));
    assert.match(await told([line]), /^SHINV of order .* nothing can be exchanged.*refund_under_way/);
    await succeed(tx, story, payment, answer);
    assert.match(await told([line]), /^SHINV of order .* nothing can be exchanged \(status refunded/);
    assert.equal((await tx`select 1 from public.order_items where quantity = 0`).length, 0);
  });
});

Deno.test("two exchanges for the last piece at once: one has it", async () => {
  await using own = await searchDatabase();
  const stories = [
    (await paidCart(own.sql, {}, [{ sku: "SHIRT", quantity: 1, price: 10_000 }], "A")).story,
    (await paidCart(own.sql, {}, [{ sku: "SHIRT", quantity: 1, price: 10_000 }], "B")).story,
  ];
  await addVariant(own.sql, "SHIRT-L", 1);
  for (const story of stories) await ship(own.sql, story);
  const states = await Promise.all(stories.map((story) => sqlstateOf(exchange(own.sql, story, one))));
  assert.deepEqual(states.filter((state) => state === null).length, 1);
  assert(states.includes("SHSTK"), `${states}`);
  assert.deepEqual(await shelf(own.sql, "SHIRT-L"), [0, 1]);
  await assertInvariants(own.sql);
});
