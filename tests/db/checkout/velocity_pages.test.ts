import assert from "node:assert/strict";
import { applyFacts, attachSession, beginCheckout, type Begun, sessionFact } from "./cart_support.ts";
import { alerts, checkout, closing, decline, items, pay, signals, world } from "./velocity_support.ts";

Deno.test("a payment page that tries card after card is closed within ten, with one alert, and its key opens no other", async () => {
  await using database = await world();
  const { sql } = database;
  const open = async (key: string) => await beginCheckout(sql, { items, key, velocityMode: "enforce" });
  const begun = await open("tester");
  const session = await attachSession(sql, begun);
  for (let at = 0; at < 7; at++) await decline(sql, begun, `card-${at}`);
  assert.deepEqual(await closing(sql), [], "seven refusals are a shopper in trouble");
  for (let at = 7; at < 20; at++) await decline(sql, begun, `card-${at}`);
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

Deno.test("pages opened beforehand from rotating addresses are closed with the sixth refused card, but only those with the testers' cart", async () => {
  for (const somebodyPaid of [false, true]) {
    await using database = await world();
    const { sql } = database;
    const honest = await attachSession(sql, await checkout(sql, { cart: [{ sku: "SUIT", quantity: 1 }] }));
    const pages: { begun: Begun; id: string }[] = [];
    for (let at = 0; at < 30; at++) {
      const begun = await checkout(sql, { ip: `198.51.100.${at}`, email: `x${at}@example.com` });
      pages.push({ begun, id: (await attachSession(sql, begun)).id });
    }
    if (somebodyPaid) await pay(sql, await checkout(sql, { ip: "192.0.2.9" }), "good", "succeeded");
    for (const [at, { begun }] of pages.slice(0, 7).entries()) await decline(sql, begun, `card-${at}`);
    const closed = await closing(sql);
    assert.ok(!closed.includes(honest.id));
    // What honest shoppers buy as well is no mark of testers: only the pages of refused cards go.
    if (somebodyPaid) assert.ok(closed.every((id) => pages.slice(0, 7).some((page) => page.id === id)));
    else assert.deepEqual(closed, pages.map(({ id }) => id).sort());
    assert.equal((await alerts(sql)).length, 1);
  }
});
