import assert from "node:assert/strict";
import { itemLines } from "../../supabase/functions/_shared/emails/layout.ts";
import type { NotificationOrder } from "../../supabase/functions/_shared/rpc.ts";

/** The number in a line such as "Shipping: $9.95"; a discount is negative. */
function amountOf(line: string): number {
  const text = line.slice(line.lastIndexOf(":") + 1);
  return Math.round(Number(text.replaceAll(/[^\d.-]/g, "")) * 100);
}

function order(discount: number, shipping: number, tax: number, inclusive: boolean): NotificationOrder {
  const subtotal = 25_800;
  return {
    number: "1",
    status: "paid",
    fulfillment_status: "unfulfilled",
    currency: "usd",
    amount_subtotal: subtotal,
    amount_discount: discount,
    amount_shipping: shipping,
    amount_tax: tax,
    amount_total: subtotal - discount + shipping + (inclusive ? 0 : tax),
    amount_refunded: 0,
    amount_paid: 0,
    customer_name: null,
    shipping_name: null,
    shipping_address: null,
    carrier: null,
    tracking_number: null,
    locale: "en",
    paid_at: null,
    items: [{ sku: "A", name: "Coat", quantity: 2, unit_amount: 12_900 }],
  };
}

for (const discount of [0, 800]) {
  for (const shipping of [0, 995]) {
    for (const tax of [0, 2_100]) {
      for (const inclusive of [false, true]) {
        Deno.test(`the lines of a mail add up: discount ${discount}, shipping ${shipping}, tax ${tax}, inside ${inclusive}`, () => {
          const block = itemLines(order(discount, shipping, tax, inclusive));
          assert(typeof block !== "string" && "lines" in block);
          const total = block.lines.findIndex((line) => line.startsWith("Total"));
          const above = block.lines.slice(0, total).reduce((sum, line) => sum + amountOf(line), 0);
          assert.equal(above, amountOf(block.lines[total] ?? ""));
          const below = block.lines.slice(total + 1);
          assert.deepEqual(below, inclusive && tax > 0 ? ["Includes tax: $21.00"] : []);
        });
      }
    }
  }
}
