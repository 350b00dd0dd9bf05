import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";
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

/** Signs up as Auth does with "Confirm email": a mail is sent, and with `confirmed` its link is opened. */
async function addUser(sql: postgres.Sql, email: string, confirmed: boolean): Promise<string> {
  const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email, confirmation_sent_at)
    values (gen_random_uuid(), ${email}, now() - interval '1 minute') returning id`;
  if (user === undefined) throw new Error("no user");
  if (confirmed) await sql`update auth.users set email_confirmed_at = now() where id = ${user.id}`;
  return user.id;
}

/** Signs up as Auth does without "Confirm email": the address counts as confirmed at once, and no mail goes out. */
async function addUnproven(sql: postgres.Sql, email: string): Promise<string> {
  const [user] = await sql<{ id: string }[]>`
    insert into auth.users (id, email) values (gen_random_uuid(), ${email}) returning id`;
  if (user === undefined) throw new Error("no user");
  await sql`update auth.users set email_confirmed_at = now() where id = ${user.id}`;
  return user.id;
}

/** A guest's order, paid under this address. */
async function paidOrder(sql: postgres.Sql, email: string): Promise<Begun> {
  const begun = await beginCheckout(sql, { items, key: crypto.randomUUID() });
  await payAsGuest(sql, begun, email, `cus_${crypto.randomUUID()}`);
  return begun;
}

async function ownerOf(sql: postgres.Sql, begun: Begun): Promise<string | null> {
  return (await customerOf(sql, begun.order_id))?.user_id ?? null;
}

async function shopWith(onHand = 20) {
  const database = await createTestDatabase();
  await addVariants(database.sql, [{ sku: "TIE", onHand }]);
  return database;
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

Deno.test("a confirmation that nobody sent gives nobody a stranger's orders", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const before = await paidOrder(sql, "victim@example.com");
  const stranger = await addUnproven(sql, "victim@example.com");
  const after = await paidOrder(sql, "victim@example.com");
  assert.deepEqual([await ownerOf(sql, before), await ownerOf(sql, after)], [null, null]);
  const seen = await asRole(sql, customer(stranger), (tx) => tx`select id from public.orders`);
  assert.equal(seen.length, 0);
  await sql`update auth.users set confirmation_sent_at = now() + interval '1 hour' where id = ${stranger}`;
  await sql`update auth.users set email_confirmed_at = now() where id = ${stranger}`;
  assert.equal(await ownerOf(sql, before), null, "a mail that was sent later has proven nothing");
});

const identities: [string, Record<string, unknown>, boolean][] = [
  ["google", { email: "Ada@example.com", email_verified: true }, true],
  ["google", { email: "ada@example.com", email_verified: false }, false],
  ["google", { email: "other@example.com", email_verified: true }, false],
  ["google", { email: "ada@example.com" }, false],
  ["email", { email: "ada@example.com", email_verified: true }, false],
  ["sso:5e7a", { email: "ada@example.com", email_verified: true }, false],
];

for (const [provider, data, proven] of identities) {
  Deno.test(`${provider} with ${JSON.stringify(data)} proves ${proven ? "the" : "no"} address`, async () => {
    await using database = await shopWith();
    const { sql } = database;
    const order = await paidOrder(sql, "ada@example.com");
    const [user] = await sql`
      insert into auth.users (id, email) values (gen_random_uuid(), 'ada@example.com') returning id`;
    await sql`insert into auth.identities (provider_id, user_id, identity_data, provider)
      values ('1', ${user?.["id"]}, ${sql.json(data as postgres.JSONValue)}, ${provider})`;
    await sql`update auth.users set email_confirmed_at = now() where id = ${user?.["id"]}`;
    assert.equal(await ownerOf(sql, order), proven ? user?.["id"] : null);
  });
}

Deno.test("an order that a member pays while signed out reaches the account", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const member = await addUser(sql, "member@example.com", true);
  const order = await paidOrder(sql, "Member@Example.com");
  assert.equal(await ownerOf(sql, order), member);
  assert.equal(await ownerOf(sql, await paidOrder(sql, "someone@example.com")), null);
  const [event] = await sql`
    select count(*)::int as count from public.order_events
    where kind = 'attached_to_account' and order_id = ${order.order_id}`;
  assert.equal(event?.["count"], 1);
  assert.deepEqual(await violations(sql), []);
});

Deno.test("an address that is changed without a mail is not proven, one with a mail is", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const account = await addUser(sql, "first@example.com", true);
  const [unproven, proven] = [
    await paidOrder(sql, "victim@example.com"),
    await paidOrder(sql, "second@example.com"),
  ];
  await sql`update auth.users set email = 'victim@example.com' where id = ${account}`;
  assert.equal(await ownerOf(sql, unproven), null);
  assert.equal(await ownerOf(sql, await paidOrder(sql, "victim@example.com")), null);

  await sql`update auth.users set email_change = 'Second@example.com', email_change_sent_at = now() where id = ${account}`;
  await sql`update auth.users set email = 'second@example.com', email_change = '' where id = ${account}`;
  assert.equal(await ownerOf(sql, proven), account);
});

Deno.test("an address that was changed without a mail is not proven, whatever fails after it", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const account = await addUser(sql, "first@example.com", true);
  await beginCheckout(sql, { items, userId: account, key: "1" });
  const proofs = () => sql`select 1 from private.proven_accounts where user_id = ${account}`;
  assert.equal((await proofs()).length, 1);
  // No row of customers takes an address as long as this.
  await sql`update auth.users set email = ${`${"a".repeat(330)}@example.com`} where id = ${account}`;
  assert.equal((await proofs()).length, 0);
});

Deno.test("an account that had no address proves one by the mail about the change", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const order = await paidOrder(sql, "phone@example.com");
  const [user] = await sql`insert into auth.users (id, email_change, email_change_sent_at)
    values (gen_random_uuid(), 'phone@example.com', now()) returning id`;
  await sql`update auth.users set email = 'phone@example.com', email_change = '' where id = ${user?.["id"]}`;
  assert.equal(await ownerOf(sql, order), null, "not confirmed yet");
  await sql`update auth.users set email_confirmed_at = now() where id = ${user?.["id"]}`;
  assert.equal(await ownerOf(sql, order), user?.["id"]);
});

Deno.test("begin_checkout() says once that an account's address has changed since Stripe was told", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const account = await addUser(sql, "old@example.com", true);
  const begin = (key: string) => beginCheckout(sql, { items, userId: account, key, supersede: false });
  const attach = (begun: Begun) => attachSession(sql, begun, { customer_id: "cus_one" });
  const first = await begin("1");
  assert.deepEqual([first.customer?.email, first.customer_email], ["old@example.com", null]);
  await attach(first);
  assert.equal((await begin("2")).customer_email, null);

  await sql`update auth.users set email = 'new@example.com' where id = ${account}`;
  const told = await begin("3");
  assert.equal(told.customer_email, "new@example.com");
  await sql`update auth.users set email = 'newest@example.com' where id = ${account}`;
  await attach(told);
  const again = await begin("4");
  assert.equal(again.customer_email, "newest@example.com", "changed while Stripe was told of the one before");
  await attach(again);
  assert.equal((await begin("5")).customer_email, null);
});

async function recipientOf(sql: postgres.Sql, orderId: string, template = "test"): Promise<string | null> {
  await sql`select private.queue_notification(${orderId}, ${template})`;
  const [row] = await sql<{ mail: { recipient: string | null } }[]>`
    select public.get_notification(n.id) as mail from public.notifications n
    where n.order_id = ${orderId} and n.template = ${template}`;
  return row?.mail.recipient ?? null;
}

Deno.test("a mail goes to the account's address of the day, unless another was typed", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const account = await addUser(sql, "old@example.com", true);
  const own = await beginCheckout(sql, { items, userId: account, email: "old@example.com", key: "1" });
  const typed = await beginCheckout(sql, {
    items,
    userId: account,
    email: "office@example.com",
    key: "2",
    supersede: false,
  });
  const attached = await paidOrder(sql, "old@example.com");
  await payAsGuest(sql, own, "old@example.com", "cus_own");
  await payAsGuest(sql, typed, "office@example.com", "cus_own");
  await sql`update auth.users set email = 'new@example.com' where id = ${account}`;
  assert.equal(await recipientOf(sql, own.order_id), "new@example.com");
  assert.equal(await recipientOf(sql, typed.order_id), "office@example.com");
  assert.equal(await recipientOf(sql, attached.order_id), "new@example.com");
});

Deno.test("a mail to a guest goes to the address as corrected at Stripe, also after one that failed", async () => {
  await using database = await shopWith();
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "1" });
  await payAsGuest(sql, begun, "gest@example.com", "cus_guest");
  assert.equal(await recipientOf(sql, begun.order_id), "gest@example.com");
  await sql`select public.record_notification_result(n.id, 'failed', 'gest@example.com', null, 'refused')
    from public.notifications n where n.template = 'test'`;
  await applyFacts(sql, [{
    fact: "customer",
    id: "cus_guest",
    livemode: false,
    email: "guest@example.com",
    name: null,
    deleted: false,
  }]);
  assert.equal(await recipientOf(sql, begun.order_id), "guest@example.com");
  await sql`select public.record_notification_result(n.id, 'sent', 'guest@example.com', 'm1', null)
    from public.notifications n where n.template = 'test'`;
  await sql`select public.erase_customer('guest@example.com'), public.erase_customer('gest@example.com')`;
  assert.equal(await recipientOf(sql, begun.order_id, "later"), null);
});

Deno.test("signing up goes through although attaching orders fails", async () => {
  await using database = await createTestDatabase();
  const { sql } = database;
  await sql`alter function private.attach_guest_orders(uuid, text, uuid) rename to attach_guest_orders_gone`;
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
