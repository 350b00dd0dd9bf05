/** Who asks what is stored of them is told of all that an erasure would find. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { admin, asRole } from "../../support/role.ts";
import { deliver } from "./arrange.ts";
import { searchDatabase } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

async function paidOrder(tag: string): Promise<string> {
  const story = new Story(await beginOrder(sql), 60, tag);
  await attachSession(sql, story, "a");
  story.paid("a");
  await deliver(sql, story.moves);
  return story.frame.orderNumber;
}

async function exported(email: string): Promise<Record<string, Record<string, unknown>[]>> {
  return await asRole(sql, admin("aal2"), async (tx) => {
    const [row] = await tx`select public.export_person(${email}) as person`;
    return row?.["person"];
  });
}

Deno.test("a guest who has ordered under two addresses is told of both orders by either, as erasing finds both", async () => {
  const [first = "", second = ""] = [await paidOrder("A"), await paidOrder("B")];
  await sql`update public.orders o set email = 'new@example.com', customer_id = x.customer_id
    from public.orders x where x.number = ${first} and o.number = ${second}`;
  await sql`update public.checkout_sessions set email = 'new@example.com'
    where order_id = (select id from public.orders where number = ${second})`;
  // The address that the guest had first; Stripe's page may have been told another one since.
  await sql`update public.customers set email = 'first@example.com'`;
  for (const email of ["ada@example.com", "new@example.com"]) {
    const [scope] = await sql`select s.order_ids, s.customer_ids from private.scope_of_person(${email}) s`;
    const { orders = [], customers = [] } = await exported(email);
    assert.deepEqual(orders.map(({ number }) => number).sort(), [first, second], email);
    assert.deepEqual(orders.map(({ id }) => id).sort(), scope?.["order_ids"].sort(), email);
    assert.deepEqual(customers.map(({ id }) => id), scope?.["customer_ids"], email);
  }
});

Deno.test("every table that holds something of a person beside an order is exported with the order", async () => {
  const number = await paidOrder("C");
  await sql`select public.request_refund(${number}, p_amount => 100, p_confirm => true)`;
  const { orders = [] } = await exported("ada@example.com");
  const order = orders.find((order) => order["number"] === number) ?? {};
  const tables = await sql<{ table: string }[]>`
    select distinct r.table_name as table from private.retention_rules r
    join pg_attribute a on a.attrelid = r.table_name::regclass and a.attname = 'order_id'
    where r.holds in ('person', 'text') and starts_with(r.table_name, 'public.') order by 1`;
  const json = JSON.stringify(order);
  for (const { table } of tables) {
    const rows = await sql.unsafe<postgres.Row[]>(
      `select to_jsonb(t) ->> 'id' as id from ${table} t where order_id = $1`,
      [String(order["id"])],
    );
    for (const { id } of rows) assert(id === null || json.includes(id), `${table} ${id}`);
  }
  for (const part of ["history", "refund_requests"]) {
    assert.notEqual((order[part] as unknown[] | null)?.length ?? 0, 0, part);
  }
});
