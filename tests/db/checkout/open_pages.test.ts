/** Carts without a key, and pages that are open when another cart comes. */
import assert from "node:assert/strict";
import { sqlstateOf } from "../../support/role.ts";
import {
  applyFacts,
  attachSession,
  beginCheckout,
  type Begun,
  holdSeconds,
  isRefusal,
  levels,
  sessionFact,
  sessionSeconds,
  tryCheckout,
  violations,
} from "./cart_support.ts";
import { addUser, countOrders, expire, items, world } from "./attempt_support.ts";

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
  assert.ok(isRefusal(misused) && misused.sqlstate === "SHIDC");
  const back = { items, userId, key: "one" };
  assert.deepEqual(await beginCheckout(sql, back), { outcome: "superseded", session_ids: [session.id] });
  await expire(sql, second, session);
  const again = await beginCheckout(sql, { ...back, supersede: false });
  assert.deepEqual([again.order_id, again.attempt], [first.order_id, 2]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("resume_checkout() asks to end an account's open page as well, since that may hold what the order needs", async () => {
  await using database = await world();
  const { sql } = database;
  const userId = await addUser(sql);
  const first = await beginCheckout(sql, { items, userId, key: "one" });
  await expire(sql, first, await attachSession(sql, first));
  const changed = [...items, { sku: "TIE", quantity: 1 }];
  const second = await beginCheckout(sql, { items: changed, userId, key: "two" });
  const session = await attachSession(sql, second);
  const resume = async (supersede: boolean) => {
    const [row] = await sql<{ answer: Begun }[]>`
      select public.resume_checkout(
        ${first.order_id}, ${sessionSeconds}, ${holdSeconds}, p_supersede => ${supersede}
      ) as answer`;
    return row?.answer;
  };
  assert.deepEqual(await resume(true), { outcome: "superseded", session_ids: [session.id] });
  await expire(sql, second, session);
  const again = await resume(false);
  assert.deepEqual([again?.outcome, again?.order_id, again?.attempt], ["existing", first.order_id, 2]);
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

Deno.test("begin_checkout() without a key makes the cart of a guest who signs in an order of the account", async () => {
  await using database = await world(5);
  const { sql } = database;
  const session = await attachSession(sql, await beginCheckout(sql, { items }));
  const call = { items, userId: await addUser(sql), previousSessionId: session.id };
  assert.deepEqual(await beginCheckout(sql, call), { outcome: "superseded", session_ids: [session.id] });
  const own = await beginCheckout(sql, { ...call, supersede: false });
  assert.deepEqual([own.outcome, own.account_id], ["created", call.userId]);
});

Deno.test("begin_checkout() without a key takes another address for another order, in any case for the same", async () => {
  await using database = await world(5);
  const { sql } = database;
  const first = await beginCheckout(sql, { items, email: "ada@exmaple.com" });
  const { id: previousSessionId } = await attachSession(sql, first);
  const again = await beginCheckout(sql, { items, email: "Ada@Exmaple.com", previousSessionId });
  assert.deepEqual([again.outcome, again.order_id], ["existing", first.order_id]);
  const corrected = await beginCheckout(sql, { items, email: "ada@example.com", previousSessionId });
  assert.deepEqual(corrected, { outcome: "superseded", session_ids: [previousSessionId] });
});

for (const key of ["kept", null]) {
  Deno.test(`begin_checkout() repeated ${key === null ? "without a" : "with its"} key has the last word about reminders`, async () => {
    await using database = await world(5);
    const { sql } = database;
    const call = { items, userId: await addUser(sql), key };
    const first = await beginCheckout(sql, { ...call, acceptsMarketing: true });
    for (const [said, kept] of [[null, true], [false, false], [null, false], [true, true]] as const) {
      const again = await beginCheckout(sql, { ...call, acceptsMarketing: said });
      const [order] = await sql`select accepts_marketing from public.orders where id = ${first.order_id}`;
      assert.deepEqual([again.order_id, order?.["accepts_marketing"]], [first.order_id, kept]);
    }
  });
}

Deno.test("begin_checkout() leaves the open page alone when the changed cart cannot be had anyway", async () => {
  await using database = await world();
  const { sql } = database;
  const userId = await addUser(sql);
  const expired = await beginCheckout(sql, { items: [{ sku: "TIE", quantity: 9 }], userId, key: "zero" });
  await expire(sql, expired, await attachSession(sql, expired));
  const session = await attachSession(sql, await beginCheckout(sql, { items, userId, key: "one" }));

  const tooMany = { items: [...items, { sku: "TIE", quantity: 10 }], userId, key: "two" };
  assert.deepEqual(await tryCheckout(sql, tooMany), {
    sqlstate: "SHSTK",
    detail: [{ sku: "TIE", requested: 10, available: 9 }],
  });
  const twoSuits = await tryCheckout(sql, { ...tooMany, items: [{ sku: "SUIT", quantity: 2 }] });
  assert.deepEqual(twoSuits, { sqlstate: "SHSTK", detail: [{ sku: "SUIT", requested: 2, available: 1 }] });
  // What the page holds counts: it is free for the new cart once the page is closed.
  const possible = await beginCheckout(sql, { ...tooMany, items: [...items, { sku: "TIE", quantity: 9 }] });
  assert.deepEqual(possible, { outcome: "superseded", session_ids: [session.id] });

  // An expired order that is gone on with is such a cart as well.
  await beginCheckout(sql, { items: [{ sku: "TIE", quantity: 1 }], key: "stranger" });
  const again = await tryCheckout(sql, { items: [{ sku: "TIE", quantity: 9 }], userId, key: "zero" });
  assert.deepEqual(again, { sqlstate: "SHSTK", detail: [{ sku: "TIE", requested: 9, available: 8 }] });
  const byLink = sql`
    select public.resume_checkout(${expired.order_id}, ${sessionSeconds}, ${holdSeconds}, p_supersede => true)`;
  assert.equal(await sqlstateOf(byLink), "SHSTK");
});
