/** Attempts of one order: the next one, the one that is given up, the one that is resumed. */
import assert from "node:assert/strict";
import {
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
import { expire, items, restart, world } from "./attempt_support.ts";

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

Deno.test("a session that was paid before anybody noted it is dated when it was seen, not at time zero", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "k" });
  const session = await attachSession(sql, begun, {
    status: "complete",
    payment_status: "paid",
    payment_id: "pi_1",
  });
  const dated = async () => {
    const [row] = await sql`
      select o.status, o.paid_at > now() - interval '1 hour' as paid_lately,
        s.completed_at > now() - interval '1 hour' as completed_lately
      from public.orders o join public.checkout_sessions s on s.id = o.session_id
      where o.id = ${begun.order_id}`;
    return { ...row };
  };
  assert.deepEqual(await dated(), { status: "paid", paid_lately: true, completed_lately: true });
  await attachSession(sql, begun, { id: session.id });
  assert.deepEqual(await dated(), { status: "paid", paid_lately: true, completed_lately: true });
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
  assert.deepEqual(refusal, { sqlstate: "SHSTK", detail: [{ sku: "SUIT", requested: 1, available: 0 }] });
  const unknown = await resume(crypto.randomUUID()).catch(refusalOf);
  assert.equal((unknown as { sqlstate: string }).sqlstate, "SHORD");
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

for (const table of ["products", "product_variants"]) {
  Deno.test(`an expired order is not opened again for goods of ${table} that are no longer sold`, async () => {
    await using database = await world();
    const { sql } = database;
    const call = { items, key: "guest:a-long-key-of-a-guest-0001", email: "ada@example.com" };
    const begun = await beginCheckout(sql, call);
    await expire(sql, begun, await attachSession(sql, begun));
    await sql.unsafe(`update public.${table} set active = false`);
    const refused = await tryCheckout(sql, call);
    assert.ok(isRefusal(refused));
    assert.deepEqual(refused, {
      sqlstate: "SHSTK",
      detail: [{ sku: "SUIT", requested: 1, available: 0 }],
    });
  });
}
