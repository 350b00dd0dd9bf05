import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import {
  addVariants,
  applyFacts,
  attachSession,
  beginCheckout,
  type Begun,
  holdSeconds,
  isRefusal,
  levels,
  refusalOf,
  sessionFact,
  sessionSeconds,
  tryCheckout,
  violations,
} from "./cart_support.ts";

const items = [{ sku: "SUIT", quantity: 1 }];

async function world(onHand = 1) {
  const database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "SUIT", onHand }, { sku: "TIE", onHand: 9, price: 500 }]);
  return database;
}

async function addUser(sql: postgres.Sql): Promise<string> {
  const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email) values (gen_random_uuid(), ${`${crypto.randomUUID()}@example.com`}) returning id`;
  if (user === undefined) throw new Error("no user");
  return user.id;
}

async function expire(sql: postgres.Sql, begun: Begun, session: { id: string }): Promise<void> {
  await applyFacts(sql, [sessionFact(begun, { ...session, status: "expired" })]);
}

async function restart(sql: postgres.Sql, begun: Begun): Promise<Begun> {
  const [row] = await sql<{ answer: Begun }[]>`
    select public.restart_checkout_attempt(${begun.order_id}, ${begun.attempt}, ${sessionSeconds}, ${holdSeconds}) as answer`;
  if (row === undefined) throw new Error("no answer");
  return row.answer;
}

async function countOrders(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from public.orders`;
  return row?.count ?? -1;
}

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

Deno.test("begin_checkout() refuses a key with another cart, and with another guest's address", async () => {
  await using database = await world(5);
  const { sql } = database;
  await beginCheckout(sql, { items, key: "k", email: "ada@example.com" });
  for (
    const other of [
      { items: [{ sku: "SUIT", quantity: 2 }], email: "ada@example.com" },
      { items: [{ sku: "TIE", quantity: 1 }], email: "ada@example.com" },
      { items, email: "eve@example.com" },
      { items },
    ]
  ) {
    const answer = await tryCheckout(sql, { ...other, key: "k" });
    assert.ok(isRefusal(answer) && answer.sqlstate === "KCIDC", JSON.stringify(answer));
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
    else assert.ok(isRefusal(elsewhere) && elsewhere.sqlstate === "KCIDC", JSON.stringify(elsewhere));
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
  const shortage = { sqlstate: "KCSTK", detail: [{ sku: "SUIT", requested: 1, available: 0 }] };
  assert.deepEqual(await tryCheckout(sql, { items, key: "k" }), shortage);
  await expire(sql, rival, await attachSession(sql, rival));
  await sql`update public.product_variants set active = false where sku = 'SUIT'`;
  assert.deepEqual(await tryCheckout(sql, { items, key: "k" }), shortage);
});

Deno.test("begin_checkout() without a key returns an account's identical cart of a moment ago, also side by side", async () => {
  await using database = await world();
  const { sql } = database;
  const userId = await addUser(sql);
  const answers = await Promise.all(Array.from({ length: 10 }, () => beginCheckout(sql, { items, userId })));
  assert.equal(new Set(answers.map((answer) => answer.order_id)).size, 1);
  const [first] = answers;
  assert.ok(first);
  const session = await attachSession(sql, first);
  const repeat = await beginCheckout(sql, { items, userId });
  assert.deepEqual([repeat.outcome, repeat.session?.id], ["existing", session.id]);
});

Deno.test("begin_checkout() without a key keeps two guests apart, whatever address they name", async () => {
  await using database = await world(5);
  const { sql } = database;
  const email = "ada@example.com";
  const first = await beginCheckout(sql, { items, email });
  await attachSession(sql, first);
  const second = await beginCheckout(sql, { items, email });
  assert.equal(second.outcome, "created");
  assert.notEqual(second.order_id, first.order_id);
});

Deno.test("begin_checkout() asks to end an account's open page before another cart takes its last unit", async () => {
  await using database = await world();
  const { sql } = database;
  const userId = await addUser(sql);
  const first = await beginCheckout(sql, { items, userId, key: "one" });
  const session = await attachSession(sql, first);

  const changed = { items: [...items, { sku: "TIE", quantity: 1 }], userId, key: "two" };
  const superseded = await beginCheckout(sql, changed);
  assert.deepEqual(superseded, { outcome: "superseded", session_ids: [session.id] });
  assert.equal(await countOrders(sql), 1);
  assert.equal(
    (await levels(sql)).get("SUIT")?.reserved,
    1,
    "held until Stripe says that the page is closed",
  );

  await expire(sql, first, session);
  const second = await beginCheckout(sql, { ...changed, supersede: false });
  assert.equal(second.outcome, "created");
  const [old] = await sql`select status from public.orders where id = ${first.order_id}`;
  assert.equal(old?.["status"], "expired");
  assert.equal((await levels(sql)).get("SUIT")?.reserved, 1);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("begin_checkout() asks to end an account's open page before an older cart is opened again, and not before it refuses one", async () => {
  await using database = await world();
  const { sql } = database;
  const userId = await addUser(sql);
  const first = await beginCheckout(sql, { items, userId, key: "one" });
  await expire(sql, first, await attachSession(sql, first));
  const second = await beginCheckout(sql, {
    items: [...items, { sku: "TIE", quantity: 1 }],
    userId,
    key: "two",
  });
  const session = await attachSession(sql, second);

  const misused = await tryCheckout(sql, { items: [{ sku: "TIE", quantity: 3 }], userId, key: "one" });
  assert.ok(isRefusal(misused) && misused.sqlstate === "KCIDC");
  const back = { items, userId, key: "one" };
  assert.deepEqual(await beginCheckout(sql, back), { outcome: "superseded", session_ids: [session.id] });
  await expire(sql, second, session);
  const again = await beginCheckout(sql, { ...back, supersede: false });
  assert.deepEqual([again.order_id, again.attempt], [first.order_id, 2]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("begin_checkout() without keys ends the page of a changed cart as well", async () => {
  await using database = await world(5);
  const { sql } = database;
  const userId = await addUser(sql);
  const session = await attachSession(sql, await beginCheckout(sql, { items, userId }));
  const changed = await beginCheckout(sql, { items: [{ sku: "TIE", quantity: 1 }], userId });
  assert.deepEqual(changed, { outcome: "superseded", session_ids: [session.id] });
});

Deno.test("begin_checkout() opens nothing for an order that staff have cancelled", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "k" });
  await sql`select public.cancel_order(${begun.order_number}, 'test')`;
  const answer = await tryCheckout(sql, { items, key: "k" });
  assert.ok(isRefusal(answer) && answer.sqlstate === "KCSTA", JSON.stringify(answer));
});

Deno.test("begin_checkout() takes the token of a deleted account for a guest's", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, userId: crypto.randomUUID(), key: "k" });
  assert.deepEqual([begun.outcome, begun.customer, begun.stripe_customer_id], ["created", null, null]);
});

Deno.test("begin_checkout() recognises a guest by the session they were sent to, and only by that", async () => {
  await using database = await world(5);
  const { sql } = database;
  const first = await beginCheckout(sql, { items, email: "ada@example.com", key: "one" });
  const session = await attachSession(sql, first);
  const changed = { items: [{ sku: "TIE", quantity: 1 }], email: "ada@example.com", key: "two" };

  const superseded = await beginCheckout(sql, { ...changed, previousSessionId: session.id });
  assert.deepEqual(superseded.session_ids, [session.id]);
  const stranger = await beginCheckout(sql, { ...changed, previousSessionId: "cs_test_guess" });
  assert.equal(stranger.outcome, "created");

  const userId = await addUser(sql);
  const owned = await beginCheckout(sql, { items, userId, key: "mine" });
  const ownedSession = await attachSession(sql, owned);
  const thief = await beginCheckout(sql, { ...changed, key: "three", previousSessionId: ownedSession.id });
  assert.equal(thief.outcome, "created", "an account's page is ended by the account only");
});

Deno.test("begin_checkout() leaves a paid order alone when a new cart comes", async () => {
  await using database = await world(5);
  const { sql } = database;
  const userId = await addUser(sql);
  const first = await beginCheckout(sql, { items, userId, key: "one" });
  const session = await attachSession(sql, first);
  await applyFacts(sql, [
    sessionFact(first, { id: session.id, status: "complete", payment_status: "paid", payment_id: "pi_1" }),
  ]);
  const second = await beginCheckout(sql, { items, userId, key: "two" });
  assert.equal(second.outcome, "created");
});

Deno.test("restart_checkout_attempt() moves on once, however many ask", async () => {
  await using database = await world();
  const { sql } = database;
  const first = await beginCheckout(sql, { items, key: "k" });
  const restarted = await Promise.all(Array.from({ length: 8 }, () => restart(sql, first)));
  assert.deepEqual(new Set(restarted.map((one) => one.attempt)), new Set([2]));
  assert.equal((await levels(sql)).get("SUIT")?.reserved, 1);
  const [second] = restarted;
  assert.ok(second);
  await attachSession(sql, second);
  assert.equal((await restart(sql, second)).attempt, 2, "an attempt with an open page stays");
});

Deno.test("abandon_checkout() frees the stock of an attempt without a session, and of no other", async () => {
  await using database = await world();
  const { sql } = database;
  const abandon = async (begun: Begun, attempt = begun.attempt) => {
    const [row] = await sql<{ abandoned: boolean }[]>`
      select public.abandon_checkout(${begun.order_id}, ${attempt}) as abandoned`;
    const [order] = await sql`select status from public.orders where id = ${begun.order_id}`;
    return { abandoned: row?.abandoned, status: order?.["status"] };
  };
  const first = await beginCheckout(sql, { items, key: "k" });
  assert.deepEqual(await abandon(first, 2), { abandoned: false, status: "pending" });
  assert.deepEqual(await abandon(first), { abandoned: true, status: "expired" });
  assert.deepEqual(await abandon(first), { abandoned: false, status: "expired" });
  assert.equal((await levels(sql)).get("SUIT")?.available, 1);

  const again = await beginCheckout(sql, { items, key: "k" });
  assert.equal(again.attempt, 2);
  await attachSession(sql, again);
  assert.deepEqual(await abandon(again), { abandoned: false, status: "pending" });
  assert.deepEqual(await violations(sql), []);
});

Deno.test("abandon_checkout() tells staff what Stripe refuses to sell, once per cause", async () => {
  await using database = await world(5);
  const { sql } = database;
  const refuse = async (begun: Begun, param: string) => {
    const refusal = { code: "parameter_invalid_integer", param, status: 400, message: "Invalid integer" };
    await sql`select public.abandon_checkout(${begun.order_id}, ${begun.attempt}, ${sql.json(refusal)})`;
  };
  for (const [at, line] of [0, 1, 0].entries()) {
    const begun = await beginCheckout(sql, { items, key: `key-${at}` });
    await refuse(begun, `line_items[${line}][price_data][unit_amount]`);
    // A repeat of it that staff hear of too.
    if (at === 2) await refuse(begun, `line_items[${line}][price_data][unit_amount]`);
  }
  await refuse(await beginCheckout(sql, { items, key: "other" }), "shipping_options");
  const alerts = await sql`
    select severity, count, data -> 'skus' as skus, data ->> 'order_number' is not null as numbered
    from public.alerts where kind = 'checkout_refused' order by count desc`;
  assert.deepEqual(
    alerts.map((alert) => [alert["severity"], alert["count"], alert["skus"], alert["numbered"]]),
    [
      ["critical", 4, ["SUIT"], true],
      ["critical", 1, ["SUIT"], true],
    ],
  );
  assert.deepEqual(await violations(sql), []);
});

Deno.test("resume_checkout() leads to the open page, a new attempt, the success page, or says why not", async () => {
  await using database = await world(2);
  const { sql } = database;
  const resume = async (orderId: string) => {
    const [row] = await sql<{ answer: Begun & { session_id?: string } }[]>`
      select public.resume_checkout(${orderId}, ${sessionSeconds}, ${holdSeconds}) as answer`;
    if (row === undefined) throw new Error("no answer");
    return row.answer;
  };
  const begun = await beginCheckout(sql, { items, key: "k" });
  const session = await attachSession(sql, begun);
  assert.equal((await resume(begun.order_id)).session?.id, session.id);

  await expire(sql, begun, session);
  const resumed = await Promise.all([1, 2, 3].map(() => resume(begun.order_id)));
  assert.deepEqual(resumed.map((one) => [one.attempt, one.session]), Array(3).fill([2, null]));
  const next = resumed[0];
  assert.ok(next);
  const second = await attachSession(sql, next);
  await applyFacts(sql, [
    sessionFact(next, { id: second.id, status: "complete", payment_status: "unpaid", payment_id: "pi_1" }),
  ]);
  assert.deepEqual(await resume(begun.order_id), { outcome: "paid", session_id: second.id });
  await applyFacts(sql, [
    sessionFact(next, {
      id: second.id,
      status: "complete",
      payment_status: "unpaid",
      payment_id: "pi_1",
      async_payment_failed: true,
    }),
  ]);
  const third = await resume(begun.order_id);
  assert.deepEqual(
    [third.outcome, third.attempt],
    ["existing", 3],
    "an async payment that failed can be tried again",
  );
  await expire(sql, third, await attachSession(sql, third));

  await beginCheckout(sql, { items: [{ sku: "SUIT", quantity: 2 }], key: "rival" });
  const refusal = await resume(begun.order_id).catch(refusalOf);
  assert.deepEqual(refusal, { sqlstate: "KCSTK", detail: [{ sku: "SUIT", requested: 1, available: 0 }] });
  const unknown = await resume(crypto.randomUUID()).catch(refusalOf);
  assert.equal((unknown as { sqlstate: string }).sqlstate, "KCORD");
  assert.deepEqual(await violations(sql), []);
});

Deno.test("a recovered session settles on the order it was recovered from", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "k" });
  const session = await attachSession(sql, begun);
  await expire(sql, begun, session);
  await applyFacts(sql, [
    sessionFact(begun, {
      status: "complete",
      payment_status: "paid",
      payment_id: "pi_r",
      recovered_from: session.id,
    }),
  ]);
  const [order] = await sql`select status from public.orders where id = ${begun.order_id}`;
  assert.equal(order?.["status"], "paid");
  assert.equal((await levels(sql)).get("SUIT")?.committed, 1);
  assert.deepEqual(await violations(sql), []);
});

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
        sqlstate: "KCSTK",
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
