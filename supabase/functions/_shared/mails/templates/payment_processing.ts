import type { Content } from "../content.ts";
import { billOf, type Mail, orderButton } from "../mail.ts";

/** The order is complete, and its slow payment is under way. */
export function paymentProcessing(mail: Mail): Content {
  const { order, texts } = mail;
  const t = texts.payment_processing;
  const told = t.told(order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, t.next],
    button: orderButton(mail),
    bill: billOf(mail),
  };
}
