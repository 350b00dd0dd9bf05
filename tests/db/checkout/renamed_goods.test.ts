/** What an order is of stays what it was, whatever becomes of its SKUs. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  applyFacts,
  attachSession,
  beginCheckout,
  type Begun,
  holdSeconds,
  levels,
  refusalOf,
  sessionFact,
  sessionSeconds,
  violations,
} from "./cart_support.ts";
import { expire, items, restart, world } from "./attempt_support.ts";

async function resume(sql: postgres.Sql, begun: Begun): Promise<Begun> {
  const [row] = await sql<{ answer: Begun }[]>`
    select public.resume_checkout(${begun.order_id}, ${sessionSeconds}, ${holdSeconds}) as answer`;
  if (row === undefined) throw new Error("no answer");
  return row.answer;
}

/** The goods of an order: variant, what it was asked for as, name and price. */
async function linesOf(sql: postgres.Sql, begun: Begun) {
  return await sql<{ variant_id: string; sku: string; name: string; unit_amount: number }[]>`
    select variant_id, sku, name, unit_amount::int from public.order_items where order_id = ${begun.order_id} order by sku`;
}

async function swapSkus(sql: postgres.Sql): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`update public.product_variants set sku = 'SWAP' where sku = 'SUIT'`;
    await tx`update public.product_variants set sku = 'SUIT' where sku = 'TIE'`;
    await tx`update public.product_variants set sku = 'TIE' where sku = 'SWAP'`;
  });
}

for (
  const { door, reopen } of [
    { door: "a repeat", reopen: (sql: postgres.Sql) => beginCheckout(sql, { items, key: "k" }) },
    { door: "the resume link", reopen: resume },
    { door: "a restart", reopen: restart },
  ]
) {
  Deno.test(`a SKU that is renamed while an order waits: ${door} opens it again with its own goods at today's price`, async () => {
    await using database = await world();
    const { sql } = database;
    const first = await beginCheckout(sql, { items, key: "k" });
    await expire(sql, first, await attachSession(sql, first));
    const [line] = await linesOf(sql, first);
    await sql`update public.product_variants set sku = 'SUIT-FIXED', price_amount = 1500, size = '40' where sku = 'SUIT'`;

    const again = await reopen(sql, first);
    assert.deepEqual([again.order_id, again.attempt, again.amount_subtotal], [first.order_id, 2, 1_500]);
    const [now] = await linesOf(sql, first);
    assert.deepEqual({ ...now }, { ...line, name: "Test shirt – 40", unit_amount: 1_500 });
    assert.equal((await levels(sql)).get("SUIT-FIXED")?.reserved, 1);
    assert.deepEqual(await violations(sql), []);
  });

  Deno.test(`two SKUs that are swapped while an order waits: ${door} keeps the goods that were asked for`, async () => {
    await using database = await world();
    const { sql } = database;
    const first = await beginCheckout(sql, { items, key: "k" });
    await expire(sql, first, await attachSession(sql, first));
    const before = await linesOf(sql, first);
    await swapSkus(sql);

    const again = await reopen(sql, first);
    assert.deepEqual([again.order_id, again.attempt, again.amount_subtotal], [first.order_id, 2, 1_000]);
    assert.deepEqual(await linesOf(sql, first), before);
    assert.equal((await levels(sql)).get("TIE")?.reserved, 1, "held under the name it has now");
    assert.deepEqual(await violations(sql), []);
  });

  Deno.test(`an article that is retired, or sold in another currency, while an order waits: ${door} says so by the name that was asked for`, async () => {
    for (const change of ["active = false", "currency = 'eur'"]) {
      await using database = await world();
      const { sql } = database;
      const first = await beginCheckout(sql, { items, key: "k" });
      await expire(sql, first, await attachSession(sql, first));
      await sql.unsafe(`update public.product_variants set sku = 'SUIT-OLD', ${change} where sku = 'SUIT'`);
      const refusal = await reopen(sql, first).then(() => null, refusalOf);
      assert.deepEqual(refusal, {
        sqlstate: "SHSTK",
        detail: [{ sku: "SUIT", requested: 1, available: 0 }],
      });
      assert.deepEqual(await violations(sql), []);
    }
  });
}

Deno.test("what is sold out is named as the shopper asked for it, also after a rename", async () => {
  await using database = await world();
  const { sql } = database;
  const first = await beginCheckout(sql, { items, key: "k" });
  await expire(sql, first, await attachSession(sql, first));
  await sql`update public.product_variants set sku = 'SUIT-FIXED' where sku = 'SUIT'`;
  await beginCheckout(sql, { items: [{ sku: "SUIT-FIXED", quantity: 1 }], key: "other" });
  const refusal = await resume(sql, first).then(() => null, refusalOf);
  assert.deepEqual(refusal?.detail, [{ sku: "SUIT", requested: 1, available: 0 }]);
});

Deno.test("the same cart without a key seconds later is another one when its SKUs mean other goods by then", async () => {
  await using database = await world(5);
  const { sql } = database;
  await sql`update public.product_variants set price_amount = 1000`;
  const first = await beginCheckout(sql, { items });
  const session = await attachSession(sql, first);
  const call = { items, previousSessionId: session.id, supersede: false };
  assert.equal((await beginCheckout(sql, call)).order_id, first.order_id);
  await swapSkus(sql);
  const second = await beginCheckout(sql, call);
  assert.notEqual(second.order_id, first.order_id);
  const [[was], [is]] = [await linesOf(sql, first), await linesOf(sql, second)];
  assert.notEqual(is?.variant_id, was?.variant_id);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("an open order is paid with its own goods whatever becomes of their SKU, price, name or product", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "k" });
  const session = await attachSession(sql, begun);
  const before = await linesOf(sql, begun);
  await swapSkus(sql);
  await sql`update public.product_variants set price_amount = 7, size = 'XXL', color = 'Red', active = false`;
  await sql`update public.products set name = 'Something else', active = false`;
  await applyFacts(sql, [
    sessionFact(begun, { ...session, status: "complete", payment_status: "paid", payment_id: "pi_1" }),
  ]);
  const [order] =
    await sql`select status, fulfillment_status from public.orders where id = ${begun.order_id}`;
  assert.deepEqual({ ...order }, { status: "paid", fulfillment_status: "unfulfilled" });
  assert.deepEqual(await linesOf(sql, begun), before);
  assert.equal((await levels(sql)).get("TIE")?.committed, 1);
  assert.deepEqual(await violations(sql), []);
});
