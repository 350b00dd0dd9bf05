/** Testers among honest shoppers, and honest shoppers who look a little like testers. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { attachSession, type Begun } from "./cart_support.ts";
import {
  alerts,
  attack,
  checkout,
  closing,
  decline,
  isStopped,
  pay,
  type Try,
  world,
} from "./velocity_support.ts";

const failed = () => "failed" as const;
const tester = (at: number): Try => ({ ip: `198.51.100.${at}`, email: `x${at}@example.com` });

async function honestOrder(sql: postgres.Sql, at: number, outcome: "succeeded" | "failed" = "succeeded") {
  const begun = await checkout(sql, { ip: `192.0.2.${at}`, email: `buyer${at}@example.com` });
  assert.equal(begun.outcome, "created", `buyer ${at}`);
  await pay(sql, begun, `good-${at}`, outcome);
}

Deno.test("good orders right before card testing from rotating addresses do not hide it", async () => {
  await using database = await world();
  const { sql } = database;
  for (let at = 0; at < 40; at++) await honestOrder(sql, at);
  const { passed } = await attack(sql, 100, tester, failed);
  assert.ok(passed <= 10, `${passed} got through`);
  assert.equal((await alerts(sql)).length, 1);
});

Deno.test("card testing from rotating addresses is stopped within ten while one order in three is an honest one", async () => {
  await using database = await world();
  const { sql } = database;
  const { passed } = await attack(
    sql,
    150,
    (at) => at % 3 === 0 ? { ip: `192.0.2.${at}`, email: `buyer${at}@example.com` } : tester(at),
    (at) => at % 3 === 0 ? "succeeded" : "failed",
  );
  assert.ok(passed <= 15, `${passed} orders, two thirds of them of testers`);
});

Deno.test("a network that is refused is told when that ends, good orders between the refusals or not", async () => {
  for (const honestEach of [100, 3]) {
    await using database = await world();
    const { sql } = database;
    const ip = "198.51.100.9";
    await sql`update private.velocity_rules set enabled = false where subject = 'shop'`;
    const later = async (seconds: number) => {
      await sql`update public.payment_attempts set created_at = created_at - make_interval(secs => ${seconds})`;
      return await checkout(sql, { ip, email: "late@example.com" });
    };
    const { stop } = await attack(
      sql,
      100,
      (at) => ({ ip, email: `x${at}@example.com` }),
      (at) => at % honestEach === honestEach - 1 ? "succeeded" : "failed",
    );
    const wait = stop?.retry_after_seconds ?? 0;
    assert.equal((await later(wait - 10)).outcome, "velocity_exceeded", `${wait} s is too long`);
    assert.equal((await later(10)).outcome, "created", `${wait} s is too short`);
  }
});

Deno.test("three cards on each page from rotating addresses are counted as cards, not as pages", async () => {
  await using database = await world();
  const { sql } = database;
  let cards = 0;
  for (let at = 0; at < 30; at++) {
    const begun = await checkout(sql, tester(at));
    if (isStopped(begun)) break;
    await attachSession(sql, begun);
    for (let card = 0; card < 3; card++) await decline(sql, begun, `card-${cards++}`);
  }
  assert.ok(cards <= 10, `${cards} got through`);
});

for (
  const [name, one] of [
    ["one network address", (at: number): Try => ({ ip: "198.51.100.9", email: `x${at}@example.com` })],
    ["one guest address", (at: number): Try => ({ ip: `198.51.100.${at}`, email: "x@example.com" })],
  ] as const
) {
  Deno.test(`card testing from ${name} in a quiet shop closes the shop to nobody else`, async () => {
    await using database = await world();
    const { sql } = database;
    const { passed } = await attack(sql, 100, one, failed);
    assert.ok(passed <= 10, `${passed} got through`);
    await honestOrder(sql, 1);
    assert.equal((await alerts(sql)).length, 1);
  });
}

Deno.test("a family of six whose banks all refuse the first card, before anybody pays, is left alone", async () => {
  await using database = await world();
  const { sql } = database;
  const pages: Begun[] = [];
  for (let at = 0; at < 6; at++) {
    const begun = await checkout(sql, { email: `relative${at}@example.com` });
    assert.equal(begun.outcome, "created", `relative ${at}`);
    await attachSession(sql, begun);
    await decline(sql, begun, `refused-${at}`);
    pages.push(begun);
  }
  assert.deepEqual(await closing(sql), []);
  for (const [at, begun] of pages.entries()) await pay(sql, begun, `card-${at}`, "succeeded");
  assert.deepEqual([...(await alerts(sql))], []);
});

Deno.test("a flash sale in which every tenth order is refused and never paid turns nobody away and is no attack", async () => {
  await using database = await world();
  const { sql } = database;
  for (let at = 0; at < 200; at++) await honestOrder(sql, at, at % 10 === 9 ? "failed" : "succeeded");
  // Twenty refusals in an hour are told of, and ask for more; they are no attack.
  assert.deepEqual((await alerts(sql)).filter(({ severity }) => severity === "critical"), []);
});
