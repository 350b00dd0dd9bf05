import type { Notification } from "../database/notifications.ts";
import { greeting, renderBlocks, type Rendered } from "./layout.ts";

/** One order was paid twice, and Stripe has taken the refund of the second payment. */
export function duplicatePaymentRefunded({ order }: Notification): Rendered {
  return renderBlocks(`Your second payment for order ${order.number}`, [
    greeting(order),
    `Your order ${order.number} was paid twice.`,
    ...(order.fulfillment_status === "cancelled" ? [] : ["We keep one payment, and you get the goods once."]),
    "The second payment goes back to the payment method that you used for it. Banks usually show it within 5 to 10 days.",
  ]);
}
