/**
 * Who may do what, walked from the catalogue: every role, table, view, column and function. What is found is compared
 * with rights.txt beside this file, which a person can read. After a change that is meant:
 * `WRITE_RIGHTS=1 deno task test tests/db/rights.test.ts`, and look at the difference.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { admin, type ApiIdentity, type ApiRole, asRole, customer } from "../support/role.ts";
import { fillTables, type Relation, relations, routines } from "./rls_fixture.ts";

const shopperId = crypto.randomUUID();
const callers: [string, ApiIdentity | ApiRole][] = [
  ["anonymous", "anon"],
  ["another customer", customer(crypto.randomUUID())],
  ["the customer", customer(shopperId)],
  ["staff", admin("aal2")],
  ["secret key", "service_role"],
];
const roles = ["anon", "authenticated", "service_role"] as const;
const expectedFile = new URL("./rights.txt", import.meta.url);

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** One row in every table, and all that can belong to somebody belongs to the customer. */
async function fill(): Promise<void> {
  await fillTables(sql);
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`update public.customers set user_id = ${shopperId}`;
    await tx`update public.orders set customer_id = (select id from public.customers)`;
    await tx`update public.product_variants set product_id = (select id from public.products)`;
    for (const table of ["inventory_levels", "variant_prices"]) {
      await tx`update public.${tx(table)} set variant_id = (select id from public.product_variants)`;
    }
    await tx`update public.shipment_lines set shipment_id = (select id from public.shipments)`;
    const linked =
      await tx`select c.oid::regclass::text as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where a.attname = 'order_id' and a.atttypid = 'uuid'::regtype and c.relkind = 'r'
        and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)`;
    for (const { name } of linked) {
      await tx.unsafe(
        `update ${name} set order_id = (select id from public.orders) where ctid = (select min(ctid) from ${name})`,
      );
    }
  });
}

async function reads(identity: ApiIdentity | ApiRole, { schema, name }: Relation): Promise<string> {
  try {
    const rows = await asRole(sql, identity, (tx) => tx.unsafe(`select * from ${schema}.${name}`));
    return rows.length > 0 ? "rows" : "none";
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "42501") return "–";
    throw error;
  }
}

async function writes({ schema, name }: Relation): Promise<string> {
  const granted = await sql`
    select r.role, lower(p.privilege) as privilege
    from unnest(${[...roles]}::text[]) as r (role),
      unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as p (privilege)
    where has_table_privilege(r.role, ${`${schema}.${name}`}, p.privilege)
      or (p.privilege in ('INSERT', 'UPDATE') and has_any_column_privilege(r.role, ${`${schema}.${name}`}, p.privilege))
    order by 1, 2`;
  return granted.map(({ role, privilege }) => `${role}: ${privilege}`).join(", ") || "nobody";
}

async function columnsOf({ schema, name }: Relation): Promise<string> {
  const columns = await sql`select attname from pg_attribute where attrelid = ${`${schema}.${name}`}::regclass
    and attnum > 0 and not attisdropped order by attnum`;
  return columns.map(({ attname }) => attname).join(", ");
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

async function functionRows(db: postgres.Sql): Promise<string[][]> {
  const rows: string[][] = [];
  for (const routine of await routines(db)) {
    const may = await db`select r.role from unnest(${[...roles]}::text[]) as r (role)
      where has_function_privilege(r.role, ${routine.oid}::oid, 'execute')`;
    if (may.length === 0) continue;
    const by = may.map(({ role }) => role).join(", ");
    rows.push([`\`${routine.schema}.${routine.name}\``, by, routine.definer ? "its owner" : "the caller"]);
  }
  return rows;
}

async function matrix(): Promise<string> {
  const all = await relations(sql);
  const rows: string[][] = [];
  const open: string[][] = [];
  for (const relation of all) {
    const seen: string[] = [];
    for (const [, identity] of callers) seen.push(await reads(identity, relation));
    rows.push([`\`${relation.schema}.${relation.name}\``, ...seen, await writes(relation)]);
    if (seen.slice(0, 3).includes("rows")) {
      const who = callers.slice(0, 3).filter((_, index) => seen[index] === "rows").map(([name]) => name);
      open.push([`\`${relation.schema}.${relation.name}\``, who.join(", "), await columnsOf(relation)]);
    }
  }
  return `# Who may do what

Generated by rights.test.ts from the catalogue of a database in which every table has a row, and the customer owns
whatever can be owned. rows: reads some; none: may ask and sees nothing; –: refused.

## Tables and views

${table(["table", ...callers.map(([name]) => name), "written by"], rows)}

## Columns that anybody but staff can read

${table(["table", "by", "columns"], open)}

## Functions that an API role may call

All others are refused to all of them. Those of the staff insert into \`staff_commands\`, whose policy decides.

${table(["function", "by", "with the rights of"], await functionRows(sql))}
`;
}

Deno.test("every role's rights on every table, column and function are those of rights.txt", async () => {
  await fill();
  const found = await matrix();
  if (Deno.env.get("WRITE_RIGHTS") === "1") await Deno.writeTextFile(expectedFile, found);
  assert.equal(found, await Deno.readTextFile(expectedFile));
});
