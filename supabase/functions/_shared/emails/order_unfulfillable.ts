import type { Notification } from "../rpc.ts";
import { greeting, itemLines, type Links, renderBlocks, type Rendered } from "./layout.ts";

/** The payment came when the stock was gone; its refund is queued. */
export function orderUnfulfillable({ order }: Notification, { siteUrl }: Links): Rendered {
  return renderBlocks(`We cannot fulfil your order ${order.number}`, [
    greeting(order),
    `we are sorry: when your payment for order ${order.number} arrived, the last piece had been sold.`,
    itemLines(order),
    "You get all your money back, to the payment method that you paid with. Banks usually show it within 5 to 10 days.",
    `Perhaps something else suits you: ${siteUrl}`,
  ]);
}
