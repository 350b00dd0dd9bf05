import type { Notification } from "../database/notifications.ts";
import { greeting, renderBlocks, type Rendered } from "./layout.ts";

/** The shop cancelled an order. Money is promised by `refund_issued` only, once Stripe has taken the refund. */
export function orderCancelled({ order }: Notification): Rendered {
  return renderBlocks(`Your order ${order.number} was cancelled`, [
    greeting(order),
    `Your order ${order.number} was cancelled, and nothing will be sent.`,
    ...(order.amount_paid > 0 ? ["We will write to you separately about the money."] : []),
  ]);
}
