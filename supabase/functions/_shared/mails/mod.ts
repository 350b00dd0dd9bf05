/** The registry of mails to customers: one line and one file per template. */
import type { Notification } from "../database/notifications.ts";
import type { Rendered } from "./content.ts";
import { greeting, mailOf, type Template } from "./mail.ts";
import { render } from "./render.ts";
import type { Links } from "./shop.ts";
import { duplicatePaymentRefunded } from "./templates/duplicate_payment_refunded.ts";
import { orderCancelled } from "./templates/order_cancelled.ts";
import { orderConfirmation } from "./templates/order_confirmation.ts";
import { orderShipped } from "./templates/order_shipped.ts";
import { orderUnfulfillable } from "./templates/order_unfulfillable.ts";
import { paymentDeclined } from "./templates/payment_declined.ts";
import { paymentFailed } from "./templates/payment_failed.ts";
import { paymentProcessing } from "./templates/payment_processing.ts";
import { paymentReminder } from "./templates/payment_reminder.ts";
import { refundFailed } from "./templates/refund_failed.ts";
import { refundIssued } from "./templates/refund_issued.ts";
import { refundSettled } from "./templates/refund_settled.ts";

const templates: Record<string, Template> = {
  order_confirmation: orderConfirmation,
  order_shipped: orderShipped,
  order_cancelled: orderCancelled,
  order_unfulfillable: orderUnfulfillable,
  payment_declined: paymentDeclined,
  payment_processing: paymentProcessing,
  payment_failed: paymentFailed,
  payment_reminder: paymentReminder,
  refund_issued: refundIssued,
  refund_settled: refundSettled,
  refund_failed: refundFailed,
  duplicate_payment_refunded: duplicatePaymentRefunded,
};

/** Names of all templates. */
export const templateNames: readonly string[] = Object.keys(templates);

/**
 * Renders a notification in the language of its order.
 * @throws when there is no such template.
 */
export function renderMail(notification: Notification, links: Links): Rendered {
  const template = Object.hasOwn(templates, notification.template)
    ? templates[notification.template]
    : undefined;
  if (template === undefined) throw new Error(`there is no mail template ${notification.template}`);
  const mail = mailOf(notification, links);
  const content = template(mail);
  return render({ ...content, paragraphs: [greeting(mail), ...content.paragraphs] }, {
    ...mail,
    siteUrl: links.siteUrl,
    unsubscribeUrl: links.unsubscribeUrl,
    forStaff: false,
  });
}
