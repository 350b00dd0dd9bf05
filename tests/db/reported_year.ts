/** A year of a shop in New York, in a database for each file that imports it, and its bare rows. */
import { createTestDatabase } from "../../scripts/local/test_database.ts";
import { fillYear } from "../../scripts/quality/year/year.ts";
import { nonEmpty } from "../support/non_empty.ts";

const zone = "America/New_York";
export const database = await createTestDatabase();
export const { sql } = database;
await fillYear(sql, { orders: 500, seed: 7, ends: new Date() });
await sql`update private.settings set value = '"KCT-"' where key = 'order_number_prefix'`;
await sql`update private.settings set value = ${sql.json(zone)} where key = 'shop_time_zone'`;

/** A row as it stands: whole numbers as numbers, dates of days as text. */
export type Row = Record<string, unknown>;
export async function rowsOf(from: string): Promise<Row[]> {
  const rows = await sql.unsafe(`select to_jsonb(x) as row from (${from}) x`);
  return rows.map(({ row }) => row);
}
export const table = (name: string) => rowsOf(`select * from public.${name}`);

export const [orders, items, payments, refunds, disputes, attempts, levels, variants, shipments, shipped] =
  await Promise
    .all([
      table("orders"),
      table("order_items"),
      table("payments"),
      table("refunds"),
      table("disputes"),
      table("payment_attempts"),
      table("inventory_levels"),
      table("product_variants"),
      table("shipments"),
      table("shipment_lines"),
    ]);
export const orderOf = new Map(orders.map((order) => [order["id"], order]));
export const paidOrders = nonEmpty(orders.filter((order) => order["paid_at"] !== null));

const days = new Intl.DateTimeFormat("en-CA", {
  timeZone: zone,
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
});
export const dayOf = (at: unknown) => days.format(new Date(String(at)));
export const at = (value: unknown) => new Date(String(value)).getTime();

/** Sums of columns by a key, as rows that sort the same however they come. */
export function sums(rows: [string, Record<string, number>][]): string[] {
  const found = new Map<string, Record<string, number>>();
  for (const [key, values] of rows) {
    const sum = found.get(key) ?? {};
    for (const [name, value] of Object.entries(values)) sum[name] = (sum[name] ?? 0) + value;
    found.set(key, sum);
  }
  return [...found].map(([key, sum]) => `${key} ${JSON.stringify(sum)}`).sort();
}

export function columns(rows: Row[], key: string[], values: string[]): string[] {
  return sums(
    rows.map((row) => [
      key.map((name) => row[name]).join(" "),
      Object.fromEntries(values.map((name) => [name, Number(row[name])])),
    ]),
  );
}
