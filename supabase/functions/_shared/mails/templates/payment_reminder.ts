import type { Content } from "../content.ts";
import { billOf, type Mail, payButton } from "../mail.ts";

/** An order was begun and never paid. */
export function paymentReminder(mail: Mail): Content {
  const { order, texts } = mail;
  const t = texts.payment_reminder;
  const told = t.told(order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told],
    button: payButton(mail),
    bill: billOf(mail),
  };
}
