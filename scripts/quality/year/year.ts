/**
 * A generated year of a shop: orders of every lifecycle in three currencies. The tests of the views read a small
 * one; `deno run -A scripts/quality/year/measure.ts` a large one.
 */
import type postgres from "postgres";

/** What a year is made of; the same three make the same year. */
export interface Year {
  orders: number;
  seed: number;
  /** Its last moment: the last five orders are minutes old then. */
  ends: Date;
}

const script = new URL("./year.sql", import.meta.url);

/** Fills an empty shop, by year.sql or another script. The connection must be a superuser's, the database one to throw away. */
export async function fillYear(
  sql: postgres.Sql,
  { orders, seed, ends }: Year,
  filledBy: URL = script,
): Promise<void> {
  const connection = await sql.reserve();
  try {
    await connection`select set_config('year.orders', ${String(orders)}, false),
      set_config('year.seed', ${String(seed)}, false), set_config('year.ends', ${ends.toISOString()}, false)`;
    await connection.unsafe(await Deno.readTextFile(filledBy)).simple();
    await connection`analyze`;
  } finally {
    connection.release();
  }
}
