import type { Content } from "../content.ts";
import { factOf, type Mail, piecesOf } from "../mail.ts";

/** A refund was returned by the bank, or was stopped: the money has not reached the customer. */
export function refundFailed({ order, data, texts, money }: Mail): Content {
  const t = texts.refund_failed;
  const amount = typeof data["amount"] === "number" ? data["amount"] : null;
  const told = amount === null ? t.toldWithoutAmount(order.number) : t.told(money(amount), order.number);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, t.next],
    facts: factOf(texts.refundFor, piecesOf(data["items"])),
  };
}
