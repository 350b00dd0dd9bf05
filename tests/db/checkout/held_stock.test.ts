/** What unpaid orders may hold: nobody keeps the stock from everybody else, and no wedding party is turned away. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
import { addVariants, applyFacts, attachSession, levels, sessionFact } from "./cart_support.ts";
import { checkout, pay, signals } from "./velocity_support.ts";

const articles = ["SUIT-NAVY", "SUIT-GREY", "SUIT-BLACK", "SHIRT", "TIE", "SHOE"];
const sizes = ["S", "M", "L", "XL", "XXL", "3XL"];

/** A shop like the one this is made for: 36 SKUs of 12, which is 432 pieces. */
async function shop() {
  const database = await createTestDatabase();
  const skus = articles.flatMap((article) => sizes.map((size) => `${article}-${size}`));
  await addVariants(database.sql, skus.map((sku) => ({ sku, onHand: 12, price: 5_000 })));
  return { database, sql: database.sql, skus, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

const each = (skus: string[], quantity: number) => skus.map((sku) => ({ sku, quantity }));

async function heldAlerts(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ kind: string }[]>`select kind from public.alerts order by kind`;
  return rows.map(({ kind }) => kind);
}

async function soldOut(sql: postgres.Sql): Promise<number> {
  return [...(await levels(sql)).values()].filter(({ available }) => available === 0).length;
}

Deno.test("one guest without an e-mail address cannot take the shop off sale, at once or piece by piece, and staff are told", async () => {
  await using world = await shop();
  const { sql, skus } = world;
  const all = await checkout(sql, { ip: "198.51.100.9", cart: each(skus, 12) });
  assert.equal(all.outcome, "velocity_exceeded");
  assert.ok((all.retry_after_seconds ?? 0) > 0);
  assert.equal(await soldOut(sql), 0);
  assert.deepEqual(await heldAlerts(sql), ["velocity"]);

  let refused = 0;
  for (const sku of skus) {
    const begun = await checkout(sql, { ip: "198.51.100.9", cart: [{ sku, quantity: 12 }] });
    if (begun.outcome === "velocity_exceeded") refused += 1;
    else await attachSession(sql, begun);
  }
  assert.ok(refused > skus.length / 2, `${refused} refused`);
  assert.ok(await soldOut(sql) <= skus.length / 4, `${await soldOut(sql)} SKUs sold out`);
  const held = (await signals(sql)).map(({ data }) => data["rule"]);
  assert.ok(held.includes("address_held_share"), held.join());
  assert.equal((await checkout(sql, { ip: "192.0.2.1", cart: each(skus.slice(-2), 2) })).outcome, "created");
});

Deno.test("the limits count an account that comes from everywhere, and parallel requests of one network", async () => {
  await using world = await shop();
  const { sql, skus } = world;
  const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email) values (gen_random_uuid(), 'hoarder@example.com') returning id`;
  const userId = user?.id ?? assert.fail();
  const bursts = [
    (at: number) => ({ ip: `198.51.101.${at}`, userId }),
    (at: number) => ({ ip: "198.51.102.1", email: `h${at}@example.com` }),
    (at: number) => ({ ip: `2001:db8:7:a${at.toString(16).padStart(2, "0")}::1` }),
  ];
  for (const who of bursts) {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, at) => checkout(sql, { ...who(at), cart: each(skus, 1) })),
    );
    const created = answers.filter(({ outcome }) => outcome === "created");
    // 36 pieces each: a quarter of the stock is three of them, for the /56 with its larger share four.
    assert.ok(created.length >= 2 && created.length <= 4, `${created.length} of 12`);
    for (const begun of created) {
      const session = await attachSession(sql, begun);
      await applyFacts(sql, [sessionFact(begun, { id: session.id, status: "expired" })]);
    }
    assert.equal((await checkout(sql, { ...who(1), cart: each(skus, 1) })).outcome, "created", "free again");
    await sql`update public.inventory_reservations set status = 'released' where status = 'active'`;
    await sql`update public.inventory_levels set reserved = 0`;
  }
});

Deno.test("much held under one mailbox from everywhere asks for 3D Secure and tells staff, but locks nobody out who has that address", async () => {
  await using world = await shop();
  const { sql, skus } = world;
  const asked: (string | null)[] = [];
  for (let at = 0; at < 5; at++) {
    const begun = await checkout(sql, {
      ip: `198.51.100.${at}`,
      email: `hoarder+${at}@gmail.com`,
      cart: each(skus, 1),
    });
    assert.equal(begun.outcome, "created");
    asked.push(begun.three_d_secure);
  }
  assert.deepEqual(asked, [null, null, "any", "any", "any"]);
  assert.ok((await heldAlerts(sql)).includes("velocity"));
});

Deno.test("a wedding party is not hit: twelve suits of one colour by one buyer, its guests from one network, in a small shop", async () => {
  await using world = await shop();
  const { sql } = world;
  const groom = await checkout(sql, {
    email: "groom@example.com",
    cart: [
      ...each(sizes.map((size) => `SUIT-NAVY-${size}`), 2),
      ...each(sizes.map((size) => `SHIRT-${size}`), 2),
      ...each(sizes.map((size) => `TIE-${size}`), 2),
    ],
  });
  assert.deepEqual([groom.outcome, groom.three_d_secure], ["created", null]);
  await attachSession(sql, groom);
  for (let at = 0; at < 8; at++) {
    const guest = await checkout(sql, {
      email: `guest${at}@example.com`,
      cart: [{ sku: `SUIT-GREY-${sizes[at % 6]}`, quantity: 1 }, {
        sku: `SHOE-${sizes[at % 6]}`,
        quantity: 1,
      }],
    });
    assert.deepEqual([guest.outcome, guest.three_d_secure], ["created", null], `guest ${at}`);
    await attachSession(sql, guest);
  }
  const second = await checkout(sql, { email: "groom@example.com", cart: each(["SHOE-L", "SHOE-M"], 6) });
  assert.equal(second.outcome, "created", "and what was forgotten");
  // What is paid is no hold any more.
  await pay(sql, groom, "card", "succeeded");
  assert.deepEqual(
    [...(await signals(sql))].map(({ data }) => data["rule"]).filter((rule) => rule !== "email_amount"),
    [],
  );
  assert.deepEqual(await heldAlerts(sql), []);
});

Deno.test("a heap of one article is a share of the stock as well", async () => {
  await using world = await shop();
  const { sql } = world;
  await addVariants(sql, [{ sku: "SOCKS", onHand: 400, price: 500 }]);
  const cart = [{ sku: "SOCKS", quantity: 99 }];
  const outcomes: string[] = [];
  for (let at = 0; at < 4; at++) {
    outcomes.push((await checkout(sql, { ip: "198.51.100.9", email: `h${at}@example.com`, cart })).outcome);
  }
  // 832 pieces: a quarter are 208.
  assert.deepEqual(outcomes, ["created", "created", "velocity_exceeded", "velocity_exceeded"]);
});

Deno.test("many who hold two fifths of the stock together are let in, and staff are told once", async () => {
  await using world = await shop();
  const { sql, skus } = world;
  for (let at = 0; at < 8; at++) {
    const begun = await checkout(sql, {
      ip: `192.0.2.${at}`,
      email: `b${at}@example.com`,
      cart: each(skus.slice(0, 24), 1),
    });
    assert.deepEqual([begun.outcome, begun.three_d_secure], ["created", null], `buyer ${at}`);
  }
  assert.deepEqual(await heldAlerts(sql), []);
  for (let at = 8; at < 12; at++) {
    const begun = await checkout(sql, {
      ip: `192.0.2.${at}`,
      email: `b${at}@example.com`,
      cart: each(skus.slice(12), 1),
    });
    assert.equal(begun.outcome, "created");
  }
  assert.deepEqual(await heldAlerts(sql), ["stock_held"]);
});

Deno.test("opening an old order again counts what it takes, and not twice what it holds already", async () => {
  await using world = await shop();
  const { sql, skus } = world;
  const resume = async (orderId: string) => {
    const [row] = await sql<{ answer: { outcome: string } }[]>`
      select public.resume_checkout(${orderId}, 1860, 3660, 'enforce', '198.51.100.9') as answer`;
    return row?.answer.outcome;
  };
  const orders = [];
  for (let at = 0; at < 5; at++) {
    const begun = await checkout(sql, { ip: "198.51.100.9", cart: each(skus, 2) });
    assert.equal(begun.outcome, "created");
    const session = await attachSession(sql, begun);
    await applyFacts(sql, [sessionFact(begun, { id: session.id, status: "expired" })]);
    orders.push(begun.order_id);
  }
  const first = orders[0] ?? assert.fail();
  assert.equal(await resume(first), "existing");
  assert.equal(await resume(first), "existing", "its own hold does not count against it");
  assert.equal(await resume(orders[1] ?? ""), "velocity_exceeded");
});
