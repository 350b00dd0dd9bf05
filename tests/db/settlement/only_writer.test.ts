import assert from "node:assert/strict";
import { searchDatabase } from "./search.ts";
import { nonEmpty } from "../../support/non_empty.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

interface Source {
  name: string;
  /** Body in lower case, comments and strings removed, white space made single. */
  body: string;
}

/** The bodies of all functions, as Postgres runs them. */
async function sources(): Promise<Source[]> {
  const rows = await sql`select n.nspname || '.' || p.proname as name, p.prosrc as body
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('public', 'private', 'reporting')`;
  return rows.map((row) => ({ name: row["name"], body: stripped(row["body"]) }));
}

function stripped(body: string): string {
  return body.replaceAll(/--[^\n]*/g, "").replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(
    /'(?:[^']|'')*'/g,
    "''",
  )
    .replaceAll(/\s+/g, " ").toLowerCase();
}

/** Columns that the updates of `table` in this body assign. */
function assigned(body: string, table: string): string[] {
  const columns: string[] = [];
  const update = new RegExp(
    `update (?:only )?(?:public\\.)?${table}\\b(?: as)?(?: \\w+)? set (.*?)(?: where | from | returning |;|$)`,
    "g",
  );
  for (const match of body.matchAll(update)) {
    let depth = 0;
    let part = "";
    for (const character of `${match[1]},`) {
      if (character === "," && depth === 0) {
        columns.push(part.split("=")[0]?.trim().replace(/^\w+\./, "") ?? "");
        part = "";
        continue;
      }
      depth += character === "(" ? 1 : character === ")" ? -1 : 0;
      part += character;
    }
  }
  return columns;
}

async function writersOf(table: string, column: string): Promise<string[]> {
  return (await sources()).filter((source) => assigned(source.body, table).includes(column))
    .map((source) => source.name).sort();
}

async function callersOf(name: string): Promise<string[]> {
  return (await sources()).filter((source) => source.body.includes(`${name}(`)).map((source) => source.name);
}

Deno.test("write_order() is the only function that writes an order's status, and settle_order() alone calls it", async () => {
  assert.deepEqual(await writersOf("orders", "status"), ["private.write_order"]);
  assert.deepEqual(await callersOf("write_order"), ["private.settle_order"]);
});

Deno.test("write_order() is the only function that writes what settle_order() derives", async () => {
  for (
    const column of [
      "fulfillment_status",
      "amount_paid",
      "amount_refunded",
      "session_id",
      "payment_id",
      "paid_at",
      "oversold_at",
      "fulfilled_at",
    ]
  ) {
    assert.deepEqual(await writersOf("orders", column), ["private.write_order"], column);
  }
  assert.deepEqual(await writersOf("order_risk", "review_reasons"), ["private.write_order"]);
});

Deno.test("committed stock is written by settle_stock(), settle_returns() and settle_exchanges() only, and settle_order() alone calls them", async () => {
  assert.deepEqual(await writersOf("inventory_levels", "committed"), [
    "private.settle_exchanges",
    "private.settle_returns",
    "private.settle_stock",
  ]);
  assert.deepEqual(await callersOf("settle_returns"), ["private.settle_order"]);
  assert.deepEqual(await callersOf("settle_exchanges"), ["private.settle_order"]);
  assert.deepEqual(await callersOf("settle_stock"), ["private.settle_order"]);
});

Deno.test("no function makes an order with a status of its own choice", async () => {
  const inserts = (await sources()).flatMap(({ name, body }) =>
    [...body.matchAll(/insert into public\.orders(?: as \w+)? ?\(([^)]*)\)/g)].map(([, list = ""]) => ({
      name,
      columns: list.split(",").map((column) => column.trim()),
    }))
  );
  for (const { name, columns } of nonEmpty(inserts)) {
    assert(!columns.includes("status") && !columns.includes("fulfillment_status"), name);
  }
});

Deno.test("side effects of settling are fired by settle_order() only", async () => {
  const all = await sources();
  const callersOf = (callee: string) =>
    all.filter((source) => source.body.includes(`${callee}(`)).map((source) => source.name);
  assert.deepEqual(callersOf("private.settle_effects"), ["private.settle_order"]);
  assert.deepEqual(callersOf("private.settle_paid_effects"), ["private.settle_effects"]);
  for (const effects of ["settle_refund_effects", "settle_dispute_effects", "settle_fraud_effects"]) {
    assert.deepEqual(callersOf(`private.${effects}`), ["private.settle_effects"]);
  }
});

Deno.test("no role may write orders or stock past the functions, the service role included", async () => {
  const grants = await sql`select grantee, table_name, privilege_type from information_schema.table_privileges
    where table_schema = 'public' and table_name in ('orders', 'order_items', 'inventory_levels', 'inventory_reservations')
      and grantee in ('anon', 'authenticated', 'service_role', 'PUBLIC') and privilege_type <> 'SELECT'`;
  assert.deepEqual([...grants], []);
  const executable = await sql`select r.role, p.oid::regprocedure::text as function
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
      unnest(array['anon', 'authenticated', 'service_role']) as r (role)
    where n.nspname = 'private' and p.proname like 'settle%' and has_function_privilege(r.role, p.oid, 'execute')`;
  assert.deepEqual([...executable], []);
});

Deno.test("the search for writers finds one that is added", async () => {
  await sql`create function private.sneak() returns void language sql set search_path = '' as
    'update public.orders o set amount_paid = greatest(o.amount_paid, 1), status = ''paid'' where false'`;
  try {
    assert.deepEqual(await writersOf("orders", "status"), ["private.sneak", "private.write_order"]);
  } finally {
    await sql`drop function private.sneak()`;
  }
});
