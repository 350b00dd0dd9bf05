import assert from "node:assert/strict";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { admin, type ApiIdentity, type ApiRole, asRole, customer, sqlstateOf } from "../support/role.ts";
import { fillTables, type Relation, relations } from "./rls_fixture.ts";
import { nonEmpty } from "../support/non_empty.ts";

/** What anybody may read, signed in or not: the catalogue and what delivery costs. */
const forEverybody = ["products", "product_variants", "variant_prices", "shipping_rates"];
/** What customers read of their own. Everything else in public is for staff, new tables included. */
const ownRows = ["customers", "orders", "order_items", "refunds"];
/** The one table that API roles may write: a row is a command, and its policy says whose. */
const writable = ["staff_commands"];

const shopperId = crypto.randomUUID();
const otherId = crypto.randomUUID();
const shopper = customer(shopperId);

const database = await createTestDatabase();
const { sql } = database;
await fillTables(sql);
await sql.begin(async (tx) => {
  await tx`set local session_replication_role = replica`;
  await tx`update public.customers set user_id = ${shopperId}`;
  await tx`update public.orders set customer_id = (select id from public.customers)`;
  await tx`update public.order_items set order_id = (select id from public.orders)`;
  await tx`update public.refunds set order_id = (select id from public.orders)`;
  await tx`update public.product_variants set product_id = (select id from public.products)`;
  await tx`update public.variant_prices set variant_id = (select id from public.product_variants)`;
  await tx`update public.inventory_levels set variant_id = (select id from public.product_variants)`;
});
const all = await relations(sql);
const publicTables = nonEmpty(
  all.filter((relation) => relation.schema === "public" && relation.kind === "r"),
);

Deno.test.afterAll(() => database.drop());

/** Rows that a caller sees, or null when even asking is refused. */
async function visible(identity: ApiIdentity | ApiRole, { schema, name }: Relation): Promise<number | null> {
  try {
    const rows = await asRole(sql, identity, (tx) => tx.unsafe(`select 1 from ${schema}.${name}`));
    return rows.length;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "42501") return null;
    throw error;
  }
}

async function rowCount({ schema, name }: Relation): Promise<number> {
  return (await sql.unsafe(`select 1 from ${schema}.${name}`)).length;
}

async function requireSecondFactor(required: boolean): Promise<void> {
  await sql`update private.settings set value = ${sql.json(required)} where key = 'admin_require_mfa'`;
}

Deno.test("every table has row security", () => {
  const without = all.filter((relation) => "rp".includes(relation.kind) && !relation.row_security);
  assert.deepEqual(without, []);
});

Deno.test("every table has a row, so that seeing none means being denied", async () => {
  for (const table of nonEmpty(all.filter((relation) => relation.kind === "r"))) {
    assert(await rowCount(table) > 0, `${table.schema}.${table.name}`);
  }
});

Deno.test("an anonymous caller sees the catalogue and no other table", async () => {
  for (const table of publicTables) {
    const rows = await visible("anon", table);
    if (forEverybody.includes(table.name)) assert(rows !== null && rows > 0, table.name);
    else assert(rows === null || rows === 0, `${table.name} shows ${rows} rows to anybody`);
  }
});

Deno.test("a customer sees their own customer row, orders, items and refunds, and no other table", async () => {
  for (const table of publicTables) {
    const rows = await visible(shopper, table);
    if (forEverybody.includes(table.name) || ownRows.includes(table.name)) {
      assert(rows !== null && rows > 0, table.name);
    } else {
      assert(rows === null || rows === 0, `${table.name} shows ${rows} rows to customers`);
    }
  }
});

Deno.test("another customer sees nothing of the first one's", async () => {
  for (const table of nonEmpty(publicTables.filter((table) => !forEverybody.includes(table.name)))) {
    const rows = await visible(customer(otherId), table);
    assert(rows === null || rows === 0, `${table.name} shows ${rows} rows to another customer`);
  }
});

Deno.test("a role in user metadata makes nobody staff: users write that themselves", async () => {
  const pretender: ApiIdentity = {
    role: "authenticated",
    claims: { sub: otherId, user_metadata: { role: "admin" }, role: "admin", app_metadata: {} },
  };
  for (const table of nonEmpty(publicTables.filter((table) => !forEverybody.includes(table.name)))) {
    const rows = await visible(pretender, table);
    assert(rows === null || rows === 0, `${table.name} shows ${rows} rows`);
  }
});

Deno.test("staff see every row of every public table", async () => {
  for (const table of publicTables) {
    assert.equal(await visible(admin(), table), await rowCount(table), table.name);
  }
});

Deno.test("where a second factor is required, staff without one see no more than a customer", async () => {
  await requireSecondFactor(true);
  try {
    for (const table of publicTables) {
      if (!forEverybody.includes(table.name)) {
        const rows = await visible(admin("aal1"), table);
        assert(rows === null || rows === 0, `${table.name} shows ${rows} rows to staff at aal1`);
      }
      assert.equal(await visible(admin("aal2"), table), await rowCount(table), `${table.name} at aal2`);
    }
  } finally {
    await requireSecondFactor(false);
  }
});

Deno.test("hidden products, their variants and their stock are hidden from all but staff", async () => {
  await sql`update public.products set active = false`;
  try {
    for (const name of ["products", "product_variants", "variant_prices", "availability"]) {
      const table = { schema: "public", name, kind: "r", row_security: true };
      assert.equal(await visible("anon", table), 0, name);
      assert.equal(await visible(shopper, table), 0, name);
      assert.equal(await visible(admin(), table), 1, name);
    }
  } finally {
    await sql`update public.products set active = true`;
  }
});

Deno.test("shoppers see how many pieces they can buy, up to stock_shown_max, and no other figure of the stock", async () => {
  await sql`update public.inventory_levels set on_hand = 45, reserved = 5`;
  const seen = (identity: ApiIdentity | ApiRole) =>
    asRole(
      sql,
      identity,
      async (tx) => [...await tx`select * from public.availability`].map((row) => ({ ...row })),
    );
  const [shown] = await sql`select id as variant_id, product_id from public.product_variants`;
  for (const identity of ["anon" as const, shopper]) {
    assert.deepEqual(await seen(identity), [{ ...shown, available: 20, or_more: true }]);
  }
  await sql`update public.inventory_levels set reserved = 42`;
  assert.deepEqual((await seen("anon")).map(({ available }) => available), [3]);
  assert.equal(
    await sqlstateOf(asRole(sql, "anon", (tx) => tx`select available from public.inventory_levels`)),
    "42501",
  );
});

Deno.test("a customer reads their orders with every column, and finds nothing that the shop thinks of them", async () => {
  const risk = "three_d_secure|velocity|declined|review|reason|risk|cancel_reason|score|fraud|note";
  const seen = new Set<string>();
  for (const name of ownRows) {
    const [row] = await asRole(sql, shopper, (tx) => tx.unsafe(`select * from public.${name}`));
    assert(row !== undefined, name);
    for (const column of Object.keys(row)) if (new RegExp(risk).test(column)) seen.add(`${name}.${column}`);
  }
  // What a refund's column says to customers: see merge_refund().
  assert.deepEqual([...seen].sort(), ["refunds.failure_reason", "refunds.reason"]);
  for (const name of ["order_risk", "refund_reasons"]) {
    const table = { schema: "public", name, kind: "r", row_security: true };
    assert.equal(await visible(shopper, table), 0, name);
    assert.equal(await visible(admin(), table), 1, name);
  }
});

/** Views in private that reporting reads with the rights of its reader: they show what public.refunds shows them. */
const viewsOfRefunds = ["refund_states", "refunded_amounts"];

/** Tables in private that reporting reads with the rights of its reader. */
const forReports = ["jobs", "job_kinds"];

Deno.test("what reporting reads of private is for staff alone, a second factor included where it is required", async () => {
  const staff = { anon: null, shopper: 0, admin: 1 };
  const seen = async (name: string) => {
    const table = { schema: "private", name, kind: "r", row_security: true };
    const rows = Math.min(await visible(admin("aal1"), table) ?? -1, 1);
    return { anon: await visible("anon", table), shopper: await visible(shopper, table), admin: rows };
  };
  for (const name of forReports) assert.deepEqual(await seen(name), staff, name);
  await requireSecondFactor(true);
  for (const name of forReports) assert.deepEqual(await seen(name), { ...staff, admin: 0 }, name);
  await requireSecondFactor(false);
});

Deno.test("nothing else in private can be read by an anonymous caller, a customer or staff", async () => {
  const opened = [...viewsOfRefunds, ...forReports];
  const closed = all.filter(({ schema, name }) => schema === "private" && !opened.includes(name));
  for (const relation of nonEmpty(closed)) {
    for (const identity of ["anon" as const, shopper, admin("aal2")]) {
      assert.equal(await visible(identity, relation), null, `${relation.schema}.${relation.name}`);
    }
  }
});

const reports = nonEmpty(all.filter(({ schema }) => schema === "reporting"));

Deno.test("reporting is for staff: all of it to them, nothing to anybody else, an owner of orders included", async () => {
  // The customer's order is such that every view has something to say, and some say it of the customer's own rows.
  await sql`update public.orders set paid_at = now(), status = 'needs_review', fulfillment_status = 'unfulfilled',
    email = 'shopper@example.com', payment_id = (select id from public.payments)`;
  await sql`update public.order_risk set order_id = (select id from public.orders), review_reasons = '{oversold}'`;
  await sql`update public.refunds set succeeded_at = now(), payment_id = (select id from public.payments)`;
  await sql`update public.disputes set status = 'needs_response'`;
  await sql`update public.webhook_events set delivery_count = 1, delivered_at = now(), received_at = now()`;
  await sql`update public.notifications set template = 'payment_reminder', sent_at = now(),
    order_id = (select id from public.orders)`;
  for (const view of reports) {
    assert.equal(await visible("anon", view), null, view.name);
    for (const identity of [shopper, customer(otherId)]) {
      assert.equal(await visible(identity, view), 0, view.name);
    }
    const rows = await rowCount(view);
    assert.equal(await visible(admin("aal2"), view), rows, view.name);
    assert.equal(await visible("service_role", view), rows, view.name);
    if (view.name !== "abandoned_checkouts") assert(rows > 0, `${view.name} has nothing to hide`);
  }
  const found = (identity: ApiIdentity | ApiRole) =>
    asRole(
      sql,
      identity,
      async (tx) => (await tx`select 1 from reporting.find_order('shopper@example.com')`).length,
    );
  assert.equal(await found(shopper), 0);
  assert.equal(await found(admin()), 1);
  assert.equal(await sqlstateOf(found("anon")), "42501");
});

Deno.test("a token outlives neither the role of its account, nor its session: they count at once", async () => {
  const sees = async (claims: Record<string, unknown> = {}) => {
    const identity = { ...admin(), claims: { ...admin().claims, ...claims } };
    return await asRole(sql, identity, async (tx) => {
      const [row] = await tx`select private.is_admin() and exists (select from public.alerts) as sees`;
      return row?.["sees"];
    });
  };
  const account = admin().claims?.["sub"] as string;
  const [session] = await sql`insert into auth.sessions (user_id) values (${account}) returning id`;
  assert.equal(await sees({ session_id: session?.["id"] }), true);
  await sql`delete from auth.sessions where id = ${session?.["id"]}`;
  assert.equal(await sees({ session_id: session?.["id"] }), false, "signed out everywhere");
  const gone = [
    ["banned_until = now() + interval '1 hour'", "banned_until = null"],
    ["deleted_at = now()", "deleted_at = null"],
    [
      `raw_app_meta_data = raw_app_meta_data - 'role'`,
      `raw_app_meta_data = raw_app_meta_data || '{"role": "admin"}'`,
    ],
  ];
  for (const [taken = "", given = ""] of gone) {
    await sql.unsafe(`update auth.users set ${taken} where id = '${account}'`);
    assert.equal(await sees(), false, taken);
    await sql.unsafe(`update auth.users set ${given} where id = '${account}'`);
    assert.equal(await sees(), true, given);
  }
  const [customerAccount] = await sql`insert into auth.users (id) values (gen_random_uuid()) returning id`;
  assert.equal(await sees({ sub: customerAccount?.["id"] }), false, "the role is the account's");
  const unknown = crypto.randomUUID();
  assert.equal(await sees({ sub: unknown }), true, "another issuer vouches for whom it knows");
  const ended = { sub: unknown, session_id: crypto.randomUUID() };
  assert.equal(await sees(ended), false, "of a deleted account neither it nor its session is left");
});

Deno.test("where a second factor is required, staff without one see nothing of reporting", async () => {
  await requireSecondFactor(true);
  try {
    for (const view of reports) assert.equal(await visible(admin("aal1"), view), 0, view.name);
  } finally {
    await requireSecondFactor(false);
  }
});

Deno.test("the views of refunds show nobody more than the refunds do", async () => {
  const refunds = all.find(({ schema, name }) => schema === "public" && name === "refunds");
  assert(refunds !== undefined);
  for (const name of viewsOfRefunds) {
    const view = all.find((relation) => relation.schema === "private" && relation.name === name);
    assert(view !== undefined, name);
    assert.equal(await visible("anon", view), null, name);
    for (const identity of [shopper, customer(crypto.randomUUID()), admin("aal2")]) {
      assert.equal(await visible(identity, view), await visible(identity, refunds), name);
    }
  }
});

Deno.test("no API role may write a table, except that staff commands are inserted", async () => {
  const granted = await sql`
    select r.role, n.nspname || '.' || c.relname as table, p.privilege
    from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      unnest(array['anon', 'authenticated', 'service_role']) as r (role),
      unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) as p (privilege)
    where n.nspname in ('public', 'private', 'reporting') and c.relkind in ('r', 'p', 'v', 'm')
      and (has_table_privilege(r.role, c.oid, p.privilege)
        or (p.privilege in ('INSERT', 'UPDATE', 'REFERENCES') and has_any_column_privilege(r.role, c.oid, p.privilege)))
    order by 1, 2`;
  const unexpected = granted.filter((grant) =>
    !(writable.includes(String(grant["table"]).replace("public.", "")) && grant["privilege"] === "INSERT" &&
      grant["role"] !== "anon")
  );
  assert.deepEqual(unexpected.map((grant) => ({ ...grant })), []);
});

Deno.test("writing is refused to callers of every kind, table by table", async () => {
  for (const table of nonEmpty(publicTables.filter((table) => !writable.includes(table.name)))) {
    for (const identity of ["anon" as const, shopper, admin("aal2"), "service_role" as const]) {
      for (
        const statement of [
          `delete from public.${table.name}`,
          `insert into public.${table.name} default values`,
        ]
      ) {
        const state = await sqlstateOf(asRole(sql, identity, (tx) => tx.unsafe(statement)));
        assert.equal(state, "42501", statement);
      }
    }
  }
});

Deno.test("a staff command can be inserted by staff only, and never changed or removed", async () => {
  const insert = (identity: ApiIdentity | ApiRole) =>
    sqlstateOf(
      asRole(sql, identity, (tx) =>
        tx`insert into public.staff_commands (command, args) values ('cancel_order', '{"order_number":"none"}')`),
    );
  assert.equal(await insert("anon"), "42501");
  assert.equal(await insert(shopper), "42501");
  assert.equal(await insert(admin()), "SHORD", "staff get as far as the command itself");
  await requireSecondFactor(true);
  assert.equal(await insert(admin("aal1")), "42501");
  await requireSecondFactor(false);
  for (
    const statement of ["update public.staff_commands set actor = 'me'", "delete from public.staff_commands"]
  ) {
    assert.equal(await sqlstateOf(asRole(sql, admin("aal2"), (tx) => tx.unsafe(statement))), "42501");
  }
  const forged = asRole(
    sql,
    admin(),
    (tx) =>
      tx`insert into public.staff_commands (command, args, actor) values ('cancel_order', '{}', 'somebody else')`,
  );
  assert.equal(await sqlstateOf(forged), "42501", "the actor is who is signed in");
});

Deno.test("who is not staff is told so by every staff command, in words", async () => {
  const refusal = async (identity: ApiIdentity) => {
    const asked = asRole(sql, identity, (tx) => tx`select public.cancel_order('KCT-1', 'x')`);
    return await asked.then(() => null, ({ code, message, hint }) => [code, message, hint]);
  };
  const hint =
    "Staff have app_metadata.role = admin and, where ADMIN_REQUIRE_MFA is set, have signed in with a second factor.";
  assert.deepEqual(await refusal(shopper), ["42501", "cancel_order is for staff only", hint]);
  await requireSecondFactor(true);
  assert.deepEqual(await refusal(admin("aal1")), ["42501", "cancel_order is for staff only", hint]);
  await requireSecondFactor(false);
  assert.equal((await refusal(admin()))?.[0], "SHORD");
});

Deno.test("views run with the rights of who reads them", async () => {
  const views = await sql`
    select n.nspname || '.' || c.relname as view from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'private', 'reporting') and c.relkind = 'v'
      and not coalesce(c.reloptions @> '{security_invoker=true}', false)`;
  assert.deepEqual([...views], []);
});

Deno.test("no API role may use a sequence", async () => {
  const usable = await sql`
    select r.role, n.nspname || '.' || c.relname as sequence
    from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      unnest(array['anon', 'authenticated']) as r (role)
    where n.nspname in ('public', 'private', 'reporting') and c.relkind = 'S'
      and has_sequence_privilege(r.role, c.oid, 'USAGE, SELECT, UPDATE')`;
  assert.deepEqual([...usable], []);
});

Deno.test("policies name their roles and one operation each", async () => {
  const loose = await sql`
    select schemaname || '.' || tablename as table, policyname, cmd, roles from pg_policies
    where schemaname in ('public', 'private', 'reporting') and ('public' = any (roles) or cmd = 'ALL')`;
  assert.deepEqual([...loose], []);
});
