import type { Content } from "../content.ts";
import type { Mail } from "../mail.ts";

/** One order was paid twice, and Stripe has taken the refund of the second payment. */
export function duplicatePaymentRefunded({ order, texts }: Mail): Content {
  const t = texts.duplicate_payment_refunded;
  const told = t.told(order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, ...(order.fulfillment_status === "cancelled" ? [] : [t.once]), t.refund],
  };
}
