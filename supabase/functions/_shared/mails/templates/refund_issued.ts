import type { Content } from "../content.ts";
import { cardName, factOf, type Mail, orderButton, piecesOf, refundAmount } from "../mail.ts";

/** Money is on its way back, all of it or a part. */
export function refundIssued(mail: Mail): Content {
  const { order, data, texts, money } = mail;
  const t = texts.refund_issued;
  const amount = typeof data["amount"] === "number" ? data["amount"] : order.amount_refunded;
  const shown = refundAmount(mail) ?? money(amount);
  const told = amount < order.amount_paid
    ? t.part(shown, money(order.amount_paid), order.number)
    : t.whole(shown, order.number);
  const card = cardName(mail);
  const way = data["details_needed"] === true
    ? t.detailsNeeded
    : `${card === null ? t.where : t.whereCard(card)} ${t.when}`;
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: data["details_needed"] === true ? t.headingDetails : t.heading,
    paragraphs: [told, way],
    button: orderButton(mail),
    facts: factOf(texts.refundFor, piecesOf(data["items"])),
  };
}
