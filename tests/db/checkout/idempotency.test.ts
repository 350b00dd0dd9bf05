/** One key, one order: whatever is repeated, and whoever repeats it. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  applyFacts,
  attachSession,
  beginCheckout,
  isRefusal,
  levels,
  sessionFact,
  tryCheckout,
  violations,
} from "./cart_support.ts";
import { addUser, countOrders, expire, items, world } from "./attempt_support.ts";

Deno.test("begin_checkout() makes one order and one hold from 20 parallel requests with one key, of the last unit", async () => {
  await using database = await world();
  const { sql } = database;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => beginCheckout(sql, { items, key: "double-click" })),
  );
  assert.equal(new Set(answers.map((answer) => answer.order_id)).size, 1);
  assert.equal(answers.filter((answer) => answer.outcome === "created").length, 1);
  assert.equal(new Set(answers.map((answer) => `${answer.attempt} ${answer.session_expires_at}`)).size, 1);
  assert.equal((await levels(sql)).get("SUIT")?.reserved, 1);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("begin_checkout() finds a crashed attempt again: same attempt, same parameters", async () => {
  await using database = await world();
  const { sql } = database;
  const first = await beginCheckout(sql, { items, key: "crash" });
  const again = await beginCheckout(sql, { items, key: "crash" });
  assert.deepEqual({ ...again, outcome: "created" }, first);
  assert.equal(again.session, null);

  const session = await attachSession(sql, first);
  const repeat = await beginCheckout(sql, { items: [...items].reverse(), key: "crash" });
  assert.deepEqual([repeat.outcome, repeat.session?.id, repeat.session?.status], [
    "existing",
    session.id,
    "open",
  ]);
});

Deno.test("attach_checkout_session() twice is once, also after the event has come first", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "k" });
  const fact = sessionFact(begun);
  await applyFacts(sql, [{
    ...fact,
    status: "complete",
    payment_status: "paid",
    payment_id: "pi_1",
    url: null,
  }]);
  for (const _ of [1, 2]) {
    await sql`select public.attach_checkout_session(${begun.order_id}, 1, ${
      sql.json(fact as postgres.JSONValue)
    })`;
    const [order] = await sql`select status from public.orders where id = ${begun.order_id}`;
    assert.equal(order?.["status"], "paid");
  }
  const repeat = await beginCheckout(sql, { items, key: "k" });
  assert.deepEqual([repeat.session?.id, repeat.session?.status], [fact["id"], "complete"]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("begin_checkout() refuses a key with another cart, another kind of page, and another guest's address", async () => {
  await using database = await world(5);
  const { sql } = database;
  await beginCheckout(sql, { items, key: "k", email: "ada@example.com" });
  for (
    const other of [
      { items: [{ sku: "SUIT", quantity: 2 }], email: "ada@example.com" },
      { items: [{ sku: "TIE", quantity: 1 }], email: "ada@example.com" },
      { items, email: "eve@example.com" },
      { items, email: "ada@example.com", uiMode: "elements" as const },
      { items },
    ]
  ) {
    const answer = await tryCheckout(sql, { ...other, key: "k" });
    assert.ok(isRefusal(answer) && answer.sqlstate === "SHIDC", JSON.stringify(answer));
  }
  assert.equal(await countOrders(sql), 1);
});

Deno.test("begin_checkout() shows nobody a stranger's page for a key that can be guessed", async () => {
  await using database = await world(5);
  const { sql } = database;
  const random = crypto.randomUUID();
  for (const key of ["my-cart-1", random]) {
    await beginCheckout(sql, { items, key, ip: "203.0.113.7" });
    assert.equal((await beginCheckout(sql, { items, key, ip: "203.0.113.7" })).outcome, "existing");
    const elsewhere = await tryCheckout(sql, { items, key, ip: "198.51.100.1" });
    if (key === random) assert.equal(isRefusal(elsewhere), false, "a phone that changes its network goes on");
    else assert.ok(isRefusal(elsewhere) && elsewhere.sqlstate === "SHIDC", JSON.stringify(elsewhere));
  }
  const account = await addUser(sql);
  await beginCheckout(sql, { items, key: "1", userId: account, ip: "203.0.113.7" });
  const moved = await beginCheckout(sql, { items, key: "1", userId: account, ip: "198.51.100.1" });
  assert.equal(moved.outcome, "existing", "an account is known by its token");
});

Deno.test("begin_checkout() keeps the keys of a guest and of each account apart", async () => {
  await using database = await world(5);
  const { sql } = database;
  const users = [await addUser(sql), await addUser(sql)];
  const orders = await Promise.all(
    [null, ...users].map((userId) => beginCheckout(sql, { items, key: "1", userId })),
  );
  assert.equal(new Set(orders.map((order) => order.order_id)).size, 3);
});

Deno.test("begin_checkout() does not take a price change for another cart", async () => {
  await using database = await world();
  const { sql } = database;
  const first = await beginCheckout(sql, { items, key: "k" });
  await sql`update public.product_variants set price_amount = 9999 where sku = 'SUIT'`;
  const again = await beginCheckout(sql, { items, key: "k" });
  assert.deepEqual([again.order_id, again.amount_subtotal], [first.order_id, 1_000]);
});

Deno.test("begin_checkout() opens an expired order again under its key, at today's price", async () => {
  await using database = await world();
  const { sql } = database;
  const first = await beginCheckout(sql, { items, key: "k" });
  await expire(sql, first, await attachSession(sql, first));
  assert.equal((await levels(sql)).get("SUIT")?.reserved, 0);
  await sql`update public.product_variants set price_amount = 1500 where sku = 'SUIT'`;

  const again = await beginCheckout(sql, { items, key: "k" });
  assert.deepEqual(
    [again.order_id, again.attempt, again.amount_subtotal, again.items[0]?.unit_amount, again.session],
    [first.order_id, 2, 1_500, 1_500, null],
  );
  assert.notEqual(again.cart_hash, first.cart_hash);
  assert.equal((await levels(sql)).get("SUIT")?.reserved, 1);

  const session = await attachSession(sql, again);
  await applyFacts(sql, [
    sessionFact(again, { id: session.id, status: "complete", payment_status: "paid", payment_id: "pi_2" }),
  ]);
  const [order] = await sql`select status, amount_paid from public.orders where id = ${again.order_id}`;
  assert.deepEqual({ ...order }, { status: "paid", amount_paid: "1500" });
  assert.deepEqual(await violations(sql), []);
});

Deno.test("begin_checkout() says what is left when an expired order's stock is gone, or its product no longer sold", async () => {
  await using database = await world();
  const { sql } = database;
  const first = await beginCheckout(sql, { items, key: "k" });
  await expire(sql, first, await attachSession(sql, first));
  const rival = await beginCheckout(sql, { items, key: "rival" });
  assert.equal(rival.outcome, "created");
  const shortage = { sqlstate: "SHSTK", detail: [{ sku: "SUIT", requested: 1, available: 0 }] };
  assert.deepEqual(await tryCheckout(sql, { items, key: "k" }), shortage);
  await expire(sql, rival, await attachSession(sql, rival));
  await sql`update public.product_variants set active = false where sku = 'SUIT'`;
  assert.deepEqual(await tryCheckout(sql, { items, key: "k" }), shortage);
});

Deno.test("begin_checkout() opens nothing for an order that staff have cancelled", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "k" });
  await sql`select public.cancel_order(${begun.order_number}, 'test')`;
  const answer = await tryCheckout(sql, { items, key: "k" });
  assert.ok(isRefusal(answer) && answer.sqlstate === "SHSTA", JSON.stringify(answer));
});

Deno.test("begin_checkout() takes the token of a deleted account for a guest's", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, userId: crypto.randomUUID(), key: "k" });
  assert.deepEqual([begun.outcome, begun.customer, begun.stripe_customer_id], ["created", null, null]);
});
