import type { Notification } from "../database/notifications.ts";
import { withoutLinks } from "../text/outside_text.ts";
import { addressLines, type Block, greeting, renderBlocks, type Rendered } from "./layout.ts";

/** The parcel has left, or goes by another number than the customer was told. */
export function orderShipped({ order, data }: Notification): Rendered {
  const address = addressLines(order.shipping_name, order.shipping_address);
  const tracking = [data["carrier"], data["tracking_number"]]
    .map((part) => typeof part === "string" ? withoutLinks(part) : "").join(" ").trim();
  const details: Block[] = [
    ...(tracking === "" ? [] : [`Tracking: ${tracking}`]),
    ...(address === null ? [] : ["It goes to:", address]),
  ];
  if (data["corrected"] === true) {
    return renderBlocks(`Corrected tracking of your order ${order.number}`, [
      greeting(order),
      `The tracking number that we sent you for your order ${order.number} was wrong. This is the right one:`,
      ...details,
    ]);
  }
  return renderBlocks(`Your order ${order.number} is on its way`, [
    greeting(order),
    `Your order ${order.number} is on its way.`,
    ...details,
  ]);
}
