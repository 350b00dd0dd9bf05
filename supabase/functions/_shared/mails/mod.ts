/** The registry of mails to customers: one line and one file per template. */
import type { Notification } from "../database/notifications.ts";
import { duplicatePaymentRefunded } from "./duplicate_payment_refunded.ts";
import type { Links, Rendered } from "./layout.ts";
import { orderCancelled } from "./order_cancelled.ts";
import { orderConfirmation } from "./order_confirmation.ts";
import { orderShipped } from "./order_shipped.ts";
import { orderUnfulfillable } from "./order_unfulfillable.ts";
import { paymentFailed } from "./payment_failed.ts";
import { refundFailed } from "./refund_failed.ts";
import { refundIssued } from "./refund_issued.ts";

type Template = (notification: Notification, links: Links) => Rendered;

const templates: Record<string, Template> = {
  order_confirmation: orderConfirmation,
  order_shipped: orderShipped,
  order_cancelled: orderCancelled,
  order_unfulfillable: orderUnfulfillable,
  payment_failed: paymentFailed,
  refund_issued: refundIssued,
  refund_failed: refundFailed,
  duplicate_payment_refunded: duplicatePaymentRefunded,
};

/** Names of all templates. */
export const templateNames: readonly string[] = Object.keys(templates);

/**
 * Renders a notification.
 * @throws when there is no such template.
 */
export function renderMail(notification: Notification, links: Links): Rendered {
  const template = Object.hasOwn(templates, notification.template)
    ? templates[notification.template]
    : undefined;
  if (template === undefined) throw new Error(`there is no mail template ${notification.template}`);
  return template(notification, links);
}
