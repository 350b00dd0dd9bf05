import type { Notification } from "../database/notifications.ts";
import { greeting, money, renderBlocks, type Rendered } from "./layout.ts";

/** Money is on its way back, all of it or a part. */
export function refundIssued({ order, data }: Notification): Rendered {
  const amount = typeof data["amount"] === "number" ? data["amount"] : order.amount_refunded;
  return renderBlocks(`Refund for your order ${order.number}`, [
    greeting(order),
    `We have refunded ${money(amount, order)} for your order ${order.number}.`,
    "It goes back to the payment method that you paid with. Banks usually show it within 5 to 10 days.",
  ]);
}
