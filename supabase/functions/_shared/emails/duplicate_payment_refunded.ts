import type { Notification } from "../rpc.ts";
import { greeting, renderBlocks, type Rendered } from "./layout.ts";

/** One order was paid twice; the refund of the second payment is queued. */
export function duplicatePaymentRefunded({ order }: Notification): Rendered {
  return renderBlocks(`Your second payment for order ${order.number}`, [
    greeting(order),
    `your order ${order.number} was paid twice. We keep one payment and send the goods once.`,
    "The second payment goes back to the payment method that you used for it. Banks usually show it within 5 to 10 days.",
  ]);
}
