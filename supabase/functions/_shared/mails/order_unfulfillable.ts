import type { Notification } from "../database/notifications.ts";
import { greeting, itemLines, type Links, renderBlocks, type Rendered } from "./layout.ts";

/** The order was completed when its goods were gone. Money is promised by `refund_issued` only. */
export function orderUnfulfillable({ order }: Notification, { siteUrl }: Links): Rendered {
  const paid = order.amount_paid > 0;
  return renderBlocks(`We cannot fulfil your order ${order.number}`, [
    greeting(order),
    `We are sorry: when your ${
      paid ? "payment for " : ""
    }order ${order.number} arrived, the last piece had been sold.`,
    itemLines(order),
    ...(paid
      ? ["You do not have to do anything: we will write to you as soon as your refund is on its way."]
      : []),
    `Perhaps something else suits you: ${siteUrl}`,
  ]);
}
