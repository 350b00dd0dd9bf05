import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  applyFacts,
  attachSession,
  beginCheckout,
  type Begun,
  holdSeconds,
  sessionFact,
  sessionSeconds,
} from "./cart_support.ts";
import { alerts, checkout, closing, decline, items, signals, world } from "./velocity_support.ts";

Deno.test("a payment page that tries card after card is closed within ten, with one alert, and its key opens no other", async () => {
  await using database = await world();
  const { sql } = database;
  const open = async (key: string) => await beginCheckout(sql, { items, key, velocityMode: "enforce" });
  const begun = await open("tester");
  const session = await attachSession(sql, begun);
  for (let at = 0; at < 7; at++) await decline(sql, begun, `card-${at}`);
  assert.deepEqual(await closing(sql), [], "seven refusals are a shopper in trouble");
  for (let at = 7; at < 9; at++) await decline(sql, begun, `card-${at}`);
  assert.deepEqual(await closing(sql), [session.id]);
  assert.deepEqual((await alerts(sql)).map(({ severity, count }) => [severity, count]), [["critical", 1]]);
  assert.deepEqual(
    (await signals(sql)).map(({ order_id, data }) => [order_id, data["rule"], data["action"]]),
    [[begun.order_id, "order_declines", "block"]],
  );
  await applyFacts(sql, [sessionFact(begun, { id: session.id, status: "expired" })]);
  assert.equal((await open("tester")).outcome, "velocity_exceeded");
  assert.equal((await open("somebody else")).outcome, "created");
});

Deno.test("whoever turns back at a bank or wallet time and again, or whose debits bounce, is no card tester", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "undecided", velocityMode: "enforce" });
  await attachSession(sql, begun);
  const turned = "payment_intent_authentication_failure";
  for (const method of ["ideal", "bancontact", "klarna", "paypal"]) {
    for (let at = 0; at < 4; at++) await decline(sql, begun, `${method}-${at}`, turned, method);
  }
  for (let at = 0; at < 10; at++) {
    await decline(sql, begun, `debit-${at}`, "insufficient_funds", "sepa_debit");
  }
  assert.deepEqual([await closing(sql), [...await signals(sql)]], [[], []]);
  for (let at = 0; at < 9; at++) await decline(sql, begun, `link-${at}`, "generic_decline", "link");
  assert.equal((await closing(sql)).length, 1, "a card behind Link is a card");
});

Deno.test("payment pages opened beforehand do not help card testers: at the eighth refused order all of their address are closed", async () => {
  await using database = await world();
  const { sql } = database;
  const honest = await attachSession(sql, await checkout(sql, { ip: "192.0.2.1" }));
  const pages: { begun: Begun; id: string }[] = [];
  for (let at = 0; at < 30; at++) {
    const begun = await checkout(sql, { ip: "198.51.100.9", email: `x${at}@example.com` });
    assert.equal(begun.outcome, "created");
    pages.push({ begun, id: (await attachSession(sql, begun)).id });
  }
  for (const [at, { begun }] of pages.slice(0, 7).entries()) await decline(sql, begun, `card-${at}`);
  assert.deepEqual(await closing(sql), []);
  for (const { begun } of pages.slice(7, 8)) await decline(sql, begun, "card-7");
  assert.deepEqual(await closing(sql), pages.map(({ id }) => id).sort());
  assert.ok(!(await closing(sql)).includes(honest.id));
  assert.equal((await alerts(sql)).length, 1);
});

Deno.test("pages opened beforehand from rotating addresses take one card each once the rule has hit, and nobody else's is ended", async () => {
  await using database = await world();
  const { sql } = database;
  const sameCart = await attachSession(sql, await checkout(sql, { ip: "192.0.2.1" }));
  const otherCart = await attachSession(
    sql,
    await checkout(sql, { ip: "192.0.2.2", cart: [{ sku: "SUIT", quantity: 1 }] }),
  );
  const pages: { begun: Begun; id: string }[] = [];
  for (let at = 0; at < 20; at++) {
    const begun = await checkout(sql, { ip: `198.51.100.${at}`, email: `x${at}@example.com` });
    pages.push({ begun, id: (await attachSession(sql, begun)).id });
  }
  const used = (upTo: number) => pages.slice(0, upTo).map(({ id }) => id).sort();
  for (const [at, { begun }] of pages.slice(0, 5).entries()) await decline(sql, begun, `card-${at}`);
  assert.deepEqual(await closing(sql), []);
  for (const [at, { begun }] of pages.slice(5, 12).entries()) {
    await decline(sql, begun, `card-${at + 5}`);
    assert.deepEqual(await closing(sql), used(at + 6));
  }
  assert.ok(![sameCart.id, otherCart.id].some((id) => used(20).includes(id)));
  assert.equal((await alerts(sql)).filter(({ severity }) => severity === "critical").length, 1);
});

Deno.test("a new page of an order is held to the rules like the first, however often it was opened", async () => {
  await using database = await world();
  const { sql } = database;
  const open = async () => await beginCheckout(sql, { items, key: "tester", velocityMode: "enforce" });
  for (let round = 1; round <= 3; round++) {
    const begun = await open();
    assert.equal(begun.attempt, round);
    const session = await attachSession(sql, begun);
    for (let at = 0; at < 7; at++) await decline(sql, begun, `card-${round}-${at}`);
    assert.ok(!(await closing(sql)).includes(session.id));
    await decline(sql, begun, `card-${round}-7`);
    assert.ok((await closing(sql)).includes(session.id), `page ${round}`);
    await applyFacts(sql, [sessionFact(begun, { id: session.id, status: "expired" })]);
    assert.equal((await open()).outcome, "velocity_exceeded");
    await sql`update public.payment_attempts set created_at = created_at - interval '2 hours'`;
  }
  assert.deepEqual(
    (await signals(sql)).filter(({ data }) => data["rule"] === "order_declines").map(({ data }) =>
      data["attempt"]
    ),
    [1, 2, 3],
    "one per attempt, counting the refused try to open another",
  );
});

/** Every way to the payment page of an order that exists. */
const doors: [string, (sql: postgres.Sql, begun: Begun) => Promise<Begun>][] = [
  ["the same key", async (sql, { order_id }) => {
    const [order] = await sql<{ key: string }[]>`
      select substr(idempotency_key, 7) as key from public.orders where id = ${order_id}`;
    return await beginCheckout(sql, {
      items,
      key: order?.key ?? "",
      velocityMode: "enforce",
      email: "door@example.com",
    });
  }],
  ["the resume link", async (sql, { order_id }) => {
    const [row] = await sql<{ answer: Begun }[]>`
      select public.resume_checkout(${order_id}, ${sessionSeconds}, ${holdSeconds}, 'enforce', '192.0.2.77') as answer`;
    return row?.answer ?? assert.fail();
  }],
  ["a restarted attempt", async (sql, { order_id, attempt }) => {
    const [row] = await sql<{ answer: Begun }[]>`
      select public.restart_checkout_attempt(${order_id}, ${attempt}, ${sessionSeconds}, ${holdSeconds}) as answer`;
    return row?.answer ?? assert.fail();
  }],
];

for (const [name, door] of doors) {
  for (const pageIs of ["open", "over"] as const) {
    if (name === "a restarted attempt" && pageIs === "open") continue;
    Deno.test(`${name} to a page that is ${pageIs} passes the rules: refused buyers are turned away, others asked for more`, async () => {
      await using database = await world();
      const { sql } = database;
      const order = async (ip: string) => {
        const begun = await checkout(sql, { ip, email: "door@example.com" });
        const session = await attachSession(sql, begun);
        if (pageIs === "over") {
          await applyFacts(sql, [sessionFact(begun, { id: session.id, status: "expired" })]);
        }
        return { begun, session };
      };
      const honest = await order("192.0.2.50");
      for (let at = 0; at < 6; at++) {
        const tester = await checkout(sql, { ip: `198.51.100.${at}`, email: `x${at}@example.com` });
        await attachSession(sql, tester);
        await decline(sql, tester, `card-${at}`);
      }
      const asked = await door(sql, honest.begun);
      if (pageIs === "open") {
        assert.deepEqual({ ...asked }, { outcome: "superseded", session_ids: [honest.session.id] });
        await applyFacts(sql, [sessionFact(honest.begun, { id: honest.session.id, status: "expired" })]);
      }
      const page = pageIs === "open" ? await door(sql, honest.begun) : asked;
      assert.deepEqual([page.outcome, page.attempt, page.three_d_secure], ["existing", 2, "challenge"]);
      // The page asks enough now: it is handed out again as it is.
      const again = await attachSession(sql, page);
      if (name !== "a restarted attempt") assert.equal((await door(sql, page)).session?.id, again.id);

      for (let at = 0; at < 8; at++) await decline(sql, page, `more-${at}`, "incorrect_cvc");
      assert.ok((await closing(sql)).includes(again.id));
      if (name === "a restarted attempt") {
        await applyFacts(sql, [sessionFact(page, { id: again.id, status: "expired" })]);
      }
      assert.equal((await door(sql, page)).outcome, "velocity_exceeded");
    });
  }
}

Deno.test("a page that is being ended is no door's answer any more, and its own event says which to end at once", async () => {
  await using database = await world();
  const { sql } = database;
  const begun = await checkout(sql, { ip: "198.51.100.1", email: "x@example.com" });
  const session = await attachSession(sql, begun);
  for (let at = 0; at < 7; at++) await decline(sql, begun, `card-${at}`);
  const event = async (id: string, card: string) => {
    const fact = {
      fact: "payment_attempt",
      id: `ch_${id}`,
      payment_id: `pi_${begun.order_id}`,
      order_id: begun.order_id,
      livemode: false,
      outcome: "failed",
      amount: begun.amount_subtotal,
      currency: "usd",
      card_fingerprint: card,
      created: Math.floor(Date.now() / 1000),
    };
    const [row] = await sql<{ answer: { outcome: string; closing_sessions: string[] } }[]>`
      select to_jsonb(public.receive_stripe_event(
        ${id}, 'charge.failed', false, 'x', now(), null, '{}', ${
      sql.json([fact])
    }, null, null, '[]')) as answer`;
    return row?.answer;
  };
  assert.deepEqual((await event("evt_8", "card-7"))?.closing_sessions, [session.id]);
  assert.deepEqual((await event("evt_9", "card-8"))?.closing_sessions, [], "told once");
  await sql`update public.payment_attempts set created_at = created_at - interval '2 hours'`;
  const [row] = await sql<{ answer: Begun }[]>`
    select public.resume_checkout(${begun.order_id}, ${sessionSeconds}, ${holdSeconds}, 'enforce') as answer`;
  assert.deepEqual([row?.answer.outcome, row?.answer.session_ids], ["superseded", [session.id]]);
});

Deno.test("shoppers who fail the challenge are not why the whole shop goes on asking for it", async () => {
  await using database = await world();
  const { sql } = database;
  for (let at = 0; at < 30; at++) {
    const begun = await checkout(sql, { ip: `198.51.100.${at}`, email: `x${at}@example.com` });
    assert.deepEqual([begun.outcome, begun.three_d_secure], ["created", null], `shopper ${at}`);
    await applyFacts(sql, [{
      fact: "payment_attempt",
      id: `pi_${at}:1`,
      payment_id: `pi_${at}`,
      order_id: begun.order_id,
      livemode: false,
      outcome: "failed",
      failure_code: "payment_intent_authentication_failure",
      card_fingerprint: `card-${at}`,
      created: Math.floor(Date.now() / 1000),
    }]);
  }
  assert.deepEqual([...await alerts(sql)], []);
});
