import type { Notification } from "../database/notifications.ts";
import { withoutLinks } from "../text/outside_text.ts";
import { addressLines, type Block, greeting, renderBlocks, type Rendered } from "./layout.ts";

/** A parcel has left, or goes by another number than the customer was told. */
export function orderShipped({ order, data }: Notification): Rendered {
  const address = addressLines(order.shipping_name, order.shipping_address);
  const tracking = [data["carrier"], data["tracking_number"]]
    .map((part) => typeof part === "string" ? withoutLinks(part) : "").join(" ").trim();
  const details: Block[] = [
    ...(tracking === "" ? [] : [`Tracking: ${tracking}`]),
    // Made from the carrier's own address and the number by the database, not typed by anybody.
    ...(typeof data["tracking_url"] === "string"
      ? [{ label: "Follow your parcel", url: data["tracking_url"] }]
      : []),
    ...(address === null ? [] : ["It goes to:", address]),
  ];
  if (data["corrected"] === true) {
    return renderBlocks(`Corrected tracking of your order ${order.number}`, [
      greeting(order),
      `The tracking number that we sent you for your order ${order.number} was wrong. This is the right one:`,
      ...details,
    ]);
  }
  if (data["part"] !== true) {
    return renderBlocks(`Your order ${order.number} is on its way`, [
      greeting(order),
      `Your order ${order.number} is on its way.`,
      ...details,
    ]);
  }
  const more = data["more_to_come"] === true;
  return renderBlocks(`${more ? "Part" : "The rest"} of your order ${order.number} is on its way`, [
    greeting(order),
    `${more ? "A part" : "The rest"} of your order ${order.number} is on its way:`,
    { lines: pieces(data["items"]) },
    ...(more ? ["The rest follows; we write again when it leaves."] : []),
    ...details,
  ]);
}

/** "2 × Shirt – White, M", one line each. */
function pieces(items: unknown): string[] {
  if (!Array.isArray(items)) return [];
  return items.map((item: { name?: unknown; quantity?: unknown }) =>
    `${Number(item.quantity)} × ${withoutLinks(String(item.name))}`
  );
}
