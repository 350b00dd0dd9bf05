import type { Content } from "../content.ts";
import { factOf, type Mail, orderButton, piecesOf, refundAmount } from "../mail.ts";

/** A refund that took its time has reached the bank. */
export function refundSettled(mail: Mail): Content {
  const { order, data, texts, money } = mail;
  const t = texts.refund_settled;
  const told = t.told(refundAmount(mail) ?? money(order.amount_refunded), order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, t.when],
    button: orderButton(mail),
    facts: factOf(texts.refundFor, piecesOf(data["items"])),
  };
}
