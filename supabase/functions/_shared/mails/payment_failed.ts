import type { Notification } from "../database/notifications.ts";
import { greeting, type Links, renderBlocks, type Rendered } from "./layout.ts";

/** A slow payment method did not deliver after all. */
export function paymentFailed({ order }: Notification, { resumeUrl, siteUrl }: Links): Rendered {
  return renderBlocks(`Your payment for order ${order.number} did not go through`, [
    greeting(order),
    `Your payment for order ${order.number} did not go through, so nothing was charged and nothing will be sent.`,
    resumeUrl === null
      ? { label: "You are welcome to order again with another payment method", url: siteUrl }
      : { label: "Pay with another payment method, as long as everything is in stock", url: resumeUrl },
  ]);
}
