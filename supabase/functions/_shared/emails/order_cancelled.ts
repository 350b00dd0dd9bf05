import type { Notification } from "../rpc.ts";
import { greeting, renderBlocks, type Rendered } from "./layout.ts";

/** The shop cancelled a paid order; its refund is queued. */
export function orderCancelled({ order }: Notification): Rendered {
  return renderBlocks(`Your order ${order.number} was cancelled`, [
    greeting(order),
    `your order ${order.number} was cancelled, and nothing will be sent.`,
    "What you paid goes back to the payment method that you paid with. Banks usually show it within 5 to 10 days.",
  ]);
}
