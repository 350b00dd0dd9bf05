import type { Notification } from "../rpc.ts";
import { withoutLinks } from "../outside_text.ts";
import { addressLines, type Block, greeting, renderBlocks, type Rendered } from "./layout.ts";

/** The parcel has left. */
export function orderShipped({ order }: Notification): Rendered {
  const address = addressLines(order.shipping_name, order.shipping_address);
  const tracking = [order.carrier, order.tracking_number].map((part) => withoutLinks(part ?? "")).join(" ")
    .trim();
  const details: Block[] = [
    ...(tracking === "" ? [] : [`Tracking: ${tracking}`]),
    ...(address === null ? [] : ["It goes to:", address]),
  ];
  return renderBlocks(`Your order ${order.number} is on its way`, [
    greeting(order),
    `your order ${order.number} has left our house.`,
    ...details,
  ]);
}
