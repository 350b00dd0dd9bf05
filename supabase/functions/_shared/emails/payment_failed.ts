import type { Notification } from "../rpc.ts";
import { greeting, renderBlocks, type Rendered } from "./layout.ts";

/** A slow payment method did not deliver after all. */
export function paymentFailed({ order }: Notification, siteUrl: string): Rendered {
  return renderBlocks(`Your payment for order ${order.number} did not go through`, [
    greeting(order),
    `your payment for order ${order.number} did not go through, so nothing was charged and nothing will be sent.`,
    `You are welcome to order again with another payment method: ${siteUrl}`,
  ]);
}
