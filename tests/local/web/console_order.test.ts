import assert from "node:assert/strict";
import type { Database, Row } from "../../../scripts/local/web/console/database.ts";
import { orderBody } from "../../../scripts/local/web/console/orders.ts";

/** A database that knows one order and nothing that belongs to it. */
function holding(order: Row): Database {
  const query = (sql: string) => Promise.resolve(sql.includes("from public.orders where") ? [order] : []);
  return { query } as unknown as Database;
}

/** The facts of an order's page, in their order. */
async function facts(amounts: Record<string, string>): Promise<[string, string][]> {
  const order = {
    id: "o",
    number: "KCT-1",
    currency: "usd",
    status: "paid",
    fulfillment_status: "unfulfilled",
    ...amounts,
  };
  const body = await orderBody(holding(order), "KCT-1");
  const page = [body].flat().map((part) => (part as { text: string }).text).join("");
  return [...page.matchAll(/<dt>([^<]*)<\/dt>\s*<dd>([^<]*)<\/dd>/g)].map((
    found,
  ) => [found[1] ?? "", found[2] ?? ""]);
}

Deno.test("the console's sums of an order add up, and say whether tax is part of them", async () => {
  const amounts = {
    amount_subtotal: "10000",
    amount_discount: "1000",
    amount_shipping: "500",
    amount_tax: "760",
  };
  const paid = { amount_paid: "9500", amount_refunded: "0" };
  const shown = async (amount_total: string) =>
    (await facts({ ...amounts, ...paid, amount_total })).filter(([, value]) => value.includes("$"))
      .map(([name, value]) => `${name} ${value}`);
  assert.deepEqual(await shown("9500"), [
    "Subtotal $100.00",
    "Discount -$10.00",
    "Shipping $5.00",
    "Total $95.00",
    "Includes tax $7.60",
    "Paid $95.00",
    "Refunded $0.00",
  ]);
  assert.deepEqual((await shown("10260")).slice(1, 5), [
    "Discount -$10.00",
    "Shipping $5.00",
    "Tax $7.60",
    "Total $102.60",
  ]);
});
