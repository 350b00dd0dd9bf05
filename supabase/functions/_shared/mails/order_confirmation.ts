import type { Notification } from "../database/notifications.ts";
import { addressLines, type Block, greeting, itemLines, renderBlocks, type Rendered } from "./layout.ts";

/** The money is here and the order stands. */
export function orderConfirmation({ order }: Notification): Rendered {
  const address = addressLines(order.shipping_name, order.shipping_address);
  const shipping: Block[] = address === null ? [] : ["We will send it to:", address];
  return renderBlocks(`Your order ${order.number}`, [
    greeting(order),
    `Thank you for your order ${order.number}. ${
      order.amount_paid > 0 ? "We have received your payment." : "There is nothing to pay."
    }`,
    itemLines(order),
    ...shipping,
    "We will write again when your parcel is on its way.",
  ]);
}
