import type { Content } from "../content.ts";
import { factOf, type Mail, piecesOf, refundAmount } from "../mail.ts";

/** A refund was returned by the bank, or was stopped: the money has not reached the customer. */
export function refundFailed(mail: Mail): Content {
  const { order, data, texts } = mail;
  const t = texts.refund_failed;
  const amount = refundAmount(mail);
  const told = amount === null ? t.toldWithoutAmount(order.number) : t.told(amount, order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, t.next],
    facts: factOf(texts.refundFor, piecesOf(data["items"])),
  };
}
