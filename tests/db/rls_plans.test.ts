/**
 * What a policy costs. Staff and customers are one role of the database, so each policy says "staff, or the owner":
 * written carelessly, that reads the whole table for somebody with one order.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { admin, type ApiIdentity, asRole, customer } from "../support/role.ts";
import { fillTables } from "./rls_fixture.ts";

const shopperId = crypto.randomUUID();
const shopper = customer(shopperId);
const others = 5_000;
/** What customers may read of their own. */
const tables = ["customers", "orders", "order_items", "refunds", "shipments", "shipment_lines"];

const database = await createTestDatabase();
const { sql } = database;
await fillTables(sql);
await sql.begin(async (tx) => {
  await tx`set local session_replication_role = replica`;
  await tx`update public.customers set user_id = ${shopperId}`;
  await tx`update public.orders set customer_id = (select id from public.customers)`;
  await tx`update public.order_items set order_id = (select id from public.orders)`;
  await tx`update public.refunds set order_id = (select id from public.orders)`;
  await tx`update public.shipments set order_id = (select id from public.orders)`;
  await tx`update public.shipment_lines set shipment_id = (select id from public.shipments)`;
  await tx`
    create temporary table others on commit drop as
    select n, gen_random_uuid() as customer_id, gen_random_uuid() as order_id
    from generate_series(1, ${others}::integer) n`;
  await tx`
    insert into public.customers (id, user_id, created_at)
    select customer_id, gen_random_uuid(), now() - n * interval '1 minute' from others`;
  await tx`
    insert into public.orders
    select r.* from public.orders o, others t, lateral jsonb_populate_record(o, jsonb_build_object(
      'id', t.order_id, 'number', 'other-' || n, 'idempotency_key', 'other-' || n, 'customer_id', t.customer_id,
      'created_at', now() - n * interval '1 minute'
    )) r`;
  await tx`
    insert into public.order_items
    select r.* from public.order_items i, others t, lateral jsonb_populate_record(i, jsonb_build_object(
      'id', gen_random_uuid(), 'order_id', t.order_id)) r`;
  await tx`
    insert into public.refunds
    select r.* from public.refunds f, others t, lateral jsonb_populate_record(f, jsonb_build_object(
      'id', 're_other_' || n, 'order_id', t.order_id)) r`;
  await tx`
    insert into public.shipments
    select r.* from public.shipments s, others t, lateral jsonb_populate_record(s, jsonb_build_object(
      'id', t.order_id, 'order_id', t.order_id)) r`;
  await tx`
    insert into public.shipment_lines
    select r.* from public.shipment_lines l, others t, lateral jsonb_populate_record(l, jsonb_build_object(
      'shipment_id', t.order_id)) r`;
});
await sql.unsafe(`vacuum analyze ${tables.map((table) => `public.${table}`).join(", ")}`);

Deno.test.afterAll(() => database.drop());

interface Plan {
  "Node Type": string;
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  "Rows Removed by Index Recheck"?: number;
  Plans?: Plan[];
}

/** Rows that a plan took in its hands: those it passed on, and those it read and left out. */
function rowsRead(plan: Plan): number {
  const left = (plan["Rows Removed by Filter"] ?? 0) + (plan["Rows Removed by Index Recheck"] ?? 0);
  const own = (plan["Actual Rows"] + left) * plan["Actual Loops"];
  return own + (plan.Plans ?? []).map(rowsRead).reduce((sum, rows) => sum + rows, 0);
}

async function planOf(identity: ApiIdentity, query: string): Promise<Plan> {
  return await asRole(sql, identity, async (tx) => {
    // As in projects: a plan for each question.
    await tx`set local plan_cache_mode = auto`;
    const [row] = await tx.unsafe<{ "QUERY PLAN": [{ Plan: Plan }] }[]>(
      `explain (analyze, format json) ${query}`,
    );
    assert(row !== undefined);
    return row["QUERY PLAN"][0].Plan;
  });
}

/** What the page of an account asks, as PostgREST puts it. */
const accountPage = `select o.id, o.number, i.lines from public.orders o left join lateral (
  select jsonb_agg(i.*) as lines from public.order_items i where i.order_id = o.id) i on true
  order by o.created_at desc limit 50`;

for (const query of [...tables.map((table) => `select * from public.${table}`), accountPage]) {
  Deno.test(`a customer's rows are found, not searched for: ${query.split(",")[0]}`, async () => {
    const plan = await planOf(shopper, query);
    assert.equal(plan["Actual Rows"], 1);
    assert(rowsRead(plan) < 50, JSON.stringify(plan, null, 1));
  });
}

Deno.test("the newest orders are for staff the first of an index, not the whole table sorted", async () => {
  const plan = await planOf(admin(), "select * from public.orders order by created_at desc limit 20");
  assert.equal(plan["Actual Rows"], 20);
  assert(rowsRead(plan) < 100, JSON.stringify(plan, null, 1));
});

Deno.test("staff who read a whole table do not pay for a function call in each row", async () => {
  for (const table of tables) {
    const calls = await sql.begin(async (tx) => {
      await tx`set local track_functions = 'all'`;
      await tx`set local plan_cache_mode = auto`;
      await assume(tx, admin());
      assert.equal((await tx.unsafe(`select * from public.${table}`)).length, others + 1, table);
      const [row] = await tx<{ calls: number }[]>`
        select pg_stat_get_xact_function_calls('private.first_for_staff'::regproc)::int as calls`;
      return row?.calls ?? 0;
    });
    assert(calls > 0 && calls < 50, `${table}: ${calls} calls`);
  }
});

Deno.test("a plan made for a customer shows staff everything, and one made for staff shows customers their own", async () => {
  for (const table of tables) {
    for (const [first, second] of [[shopper, admin()], [admin(), shopper]] as const) {
      const rows = await sql.begin(async (tx) => {
        await assume(tx, first);
        await tx.unsafe(`prepare kept as select * from public.${table}`);
        await tx.unsafe("execute kept");
        await assume(tx, second);
        const rows = await tx.unsafe("execute kept");
        await tx.unsafe("deallocate kept");
        return rows.length;
      });
      assert.equal(rows, second === shopper ? 1 : others + 1, table);
    }
  }
});

async function assume(tx: postgres.TransactionSql, { role, claims }: ApiIdentity): Promise<void> {
  await tx`select set_config('role', ${role}, true),
    set_config('request.jwt.claims', ${JSON.stringify({ ...claims, role })}, true)`;
}
