import type { Notification } from "../database/notifications.ts";
import { greeting, money, renderBlocks, type Rendered } from "./layout.ts";

/** A refund was returned by the bank, or was stopped: the money has not reached the customer. */
export function refundFailed({ order, data }: Notification): Rendered {
  const amount = typeof data["amount"] === "number" ? data["amount"] : null;
  const what = amount === null ? "The refund" : `The refund of ${money(amount, order)}`;
  return renderBlocks(`The refund for your order ${order.number} did not go through`, [
    greeting(order),
    `${what} for your order ${order.number} could not be completed, so you have not received this money.`,
    "You do not have to do anything: we are looking into it and will write to you again.",
  ]);
}
