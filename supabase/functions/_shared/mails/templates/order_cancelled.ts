import type { Content } from "../content.ts";
import type { Mail } from "../mail.ts";

/** The shop cancelled an order. Money is promised by `refund_issued` only, once Stripe has taken the refund. */
export function orderCancelled({ order, texts }: Mail): Content {
  const t = texts.order_cancelled;
  const told = t.told(order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, ...(order.amount_paid > 0 ? [t.money] : [])],
  };
}
