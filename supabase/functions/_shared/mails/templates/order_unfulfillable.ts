import type { Content } from "../content.ts";
import { billOf, type Mail } from "../mail.ts";

/** The order was completed when its goods were gone. Money is promised by `refund_issued` only. */
export function orderUnfulfillable(mail: Mail): Content {
  const { order, texts, links } = mail;
  const t = texts.order_unfulfillable;
  const paid = order.amount_paid > 0;
  const told = paid ? t.paid(order.number) : t.free(order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, ...(paid ? [t.refund] : []), t.instead],
    button: { label: texts.visitShop, url: links.siteUrl },
    bill: billOf(mail),
  };
}
