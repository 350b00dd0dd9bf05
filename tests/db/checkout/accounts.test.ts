import assert from "node:assert/strict";
import { createTestDatabase } from "../../support/database.ts";
import { asRole, customer } from "../../support/role.ts";
import {
  addVariants,
  applyFacts,
  attachSession,
  beginCheckout,
  type Begun,
  sessionFact,
  violations,
} from "./cart_support.ts";
import type postgres from "postgres";

const items = [{ sku: "TIE", quantity: 1 }];

async function addUser(sql: postgres.Sql, email: string, confirmed: boolean): Promise<string> {
  const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email, email_confirmed_at)
    values (gen_random_uuid(), ${email}, ${confirmed ? new Date() : null}) returning id`;
  if (user === undefined) throw new Error("no user");
  return user.id;
}

/** Pays an order as a guest whom Stripe calls `customerId`, under the address typed on Stripe's page. */
async function payAsGuest(
  sql: postgres.Sql,
  begun: Begun,
  email: string,
  customerId: string | null = null,
): Promise<void> {
  await applyFacts(sql, [
    sessionFact(begun, {
      status: "complete",
      payment_status: "paid",
      payment_id: `pi_${crypto.randomUUID()}`,
      email,
      customer_id: customerId,
    }),
  ]);
}

async function customerOf(sql: postgres.Sql, orderId: string) {
  const [row] = await sql<{ id: string; user_id: string | null; stripe_customer_id: string | null }[]>`
    select c.id, c.user_id, c.stripe_customer_id
    from public.orders o join public.customers c on c.id = o.customer_id where o.id = ${orderId}`;
  return row ?? null;
}

Deno.test("begin_checkout() makes one customers row for an account's parallel first checkouts", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await addVariants(sql, [{ sku: "TIE", onHand: 50 }]);
  const userId = await addUser(sql, "ada@example.com", true);
  const begun = await Promise.all(
    Array.from({ length: 12 }, (_, at) => beginCheckout(sql, { items, userId, key: `k${at}` })),
  );
  assert.equal(new Set(begun.map((one) => one.customer?.id)).size, 1);
  assert.deepEqual(new Set(begun.map((one) => one.customer?.generation)), new Set([0]));

  await Promise.all(begun.map((one) => attachSession(sql, one, { customer_id: "cus_one" })));
  const next = await beginCheckout(sql, { items, userId, key: "later", supersede: false });
  assert.deepEqual([next.stripe_customer_id, next.customer], ["cus_one", null]);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("begin_checkout() takes an account's address from Auth, not from the cart", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await addVariants(sql, [{ sku: "TIE", onHand: 5 }]);
  const userId = await addUser(sql, "ada@example.com", true);
  await beginCheckout(sql, { items, userId, email: "a.gift@example.com" });
  const [row] = await sql`select email from public.customers where user_id = ${userId}`;
  assert.equal(row?.["email"], "ada@example.com");
});

Deno.test("forget_stripe_customer() makes the next checkout ask for another Stripe customer", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await addVariants(sql, [{ sku: "TIE", onHand: 5 }]);
  const userId = await addUser(sql, "ada@example.com", true);
  const first = await beginCheckout(sql, { items, userId, key: "1" });
  await attachSession(sql, first, { customer_id: "cus_gone" });

  const [row] = await sql<{ answer: Begun }[]>`
    select public.forget_stripe_customer(${first.order_id}, 'cus_gone') as answer`;
  assert.equal(row?.answer.stripe_customer_id, null);
  assert.ok((row?.answer.customer?.generation ?? 0) > 0, "another generation, hence another key at Stripe");
  await attachSession(sql, first, { customer_id: "cus_gone" });
  assert.equal(
    (await customerOf(sql, first.order_id))?.stripe_customer_id,
    null,
    "a deleted one is not linked again",
  );
  await attachSession(sql, first, { customer_id: "cus_next" });
  assert.equal((await customerOf(sql, first.order_id))?.stripe_customer_id, "cus_next");
});

Deno.test("a customer.deleted event makes the next checkout ask for another Stripe customer", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await addVariants(sql, [{ sku: "TIE", onHand: 5 }]);
  const userId = await addUser(sql, "ada@example.com", true);
  const first = await beginCheckout(sql, { items, userId, key: "1" });
  await attachSession(sql, first, { customer_id: "cus_gone" });
  await applyFacts(sql, [{
    fact: "customer",
    id: "cus_gone",
    livemode: false,
    email: null,
    name: null,
    deleted: true,
  }]);
  const next = await beginCheckout(sql, { items, userId, key: "2", supersede: false });
  assert.equal(next.stripe_customer_id, null);
  assert.ok((next.customer?.generation ?? 0) > 0);
});

Deno.test("a paid guest order is linked by Stripe's customer and moves to the account that later confirms the address", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await addVariants(sql, [{ sku: "TIE", onHand: 9 }]);
  const [paid, again, other, unpaid] = await Promise.all(
    ["Guest@Example.com", "guest@example.com", "other@example.com", "guest@example.com"].map((email, at) =>
      beginCheckout(sql, { items, email, key: `k${at}` })
    ),
  );
  assert.ok(paid && again && other && unpaid);
  await payAsGuest(sql, paid, "Guest@Example.com", "cus_guest");
  await payAsGuest(sql, again, "guest@example.com", "cus_guest");
  await payAsGuest(sql, other, "other@example.com", "cus_other");
  const guest = await customerOf(sql, paid.order_id);
  assert.deepEqual([guest?.user_id, guest?.stripe_customer_id], [null, "cus_guest"]);
  assert.equal((await customerOf(sql, again.order_id))?.id, guest?.id);

  const userId = await addUser(sql, "guest@example.com", false);
  assert.equal(
    (await customerOf(sql, paid.order_id))?.user_id,
    null,
    "an unconfirmed address proves nothing",
  );
  await sql`update auth.users set email_confirmed_at = now() where id = ${userId}`;
  assert.equal((await customerOf(sql, paid.order_id))?.user_id, userId);
  assert.equal((await customerOf(sql, again.order_id))?.user_id, userId);
  assert.equal((await customerOf(sql, other.order_id))?.user_id, null);
  assert.equal(await customerOf(sql, unpaid.order_id), null, "nobody has paid under this address");

  const seen = await asRole(
    sql,
    customer(userId),
    (tx) => tx<{ id: string }[]>`select id from public.orders`,
  );
  assert.deepEqual(seen.map(({ id }) => id).sort(), [paid.order_id, again.order_id].sort());
  const [event] = await sql`
    select count(*)::int as count from public.order_events where kind = 'attached_to_account'`;
  assert.equal(event?.["count"], 2);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("orders of one account never move to another", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await addVariants(sql, [{ sku: "TIE", onHand: 9 }]);
  const owner = await addUser(sql, "owner@example.com", true);
  const begun = await beginCheckout(sql, { items, userId: owner, key: "1" });
  await payAsGuest(sql, begun, "shared@example.com", "cus_owner");
  await addUser(sql, "shared@example.com", true);
  assert.equal((await customerOf(sql, begun.order_id))?.user_id, owner);
});

Deno.test("signing up goes through although attaching orders fails", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await sql`alter function private.attach_guest_orders(uuid, text) rename to attach_guest_orders_gone`;
  const userId = await addUser(sql, "ada@example.com", true);
  const [user] = await sql`select email from auth.users where id = ${userId}`;
  assert.equal(user?.["email"], "ada@example.com");
});

Deno.test("begin_checkout() freezes the account that ordered, so that a repeat sends Stripe the same", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await addVariants(sql, [{ sku: "TIE", onHand: 50 }]);
  const userId = await addUser(sql, "ada@example.com", true);
  const first = await beginCheckout(sql, { items, userId, key: "k" });
  assert.equal(first.account_id, userId);
  await sql`delete from auth.users where id = ${userId}`;
  const again = await beginCheckout(sql, { items, userId, key: "k" });
  assert.deepEqual([again.order_id, again.account_id], [first.order_id, userId]);
  // Whose token still runs goes on as a guest.
  const guest = await beginCheckout(sql, { items, userId, key: "another" });
  assert.equal(guest.account_id, null);
  assert.equal((await beginCheckout(sql, { items, key: "guest" })).account_id, null);
});
