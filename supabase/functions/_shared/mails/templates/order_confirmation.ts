import { withoutLinks } from "../../text/outside_text.ts";
import type { Content } from "../content.ts";
import { addressesOf, billOf, cardName, factOf, type Mail, orderButton } from "../mail.ts";

/** The money is here and the order stands: the shopper's receipt. */
export function orderConfirmation(mail: Mail): Content {
  const { order, shop, texts, presented } = mail;
  const t = texts.order_confirmation;
  const paid = order.amount_paid > 0;
  const card = paid ? cardName(mail) : null;
  const received = paid ? t.received(order.number) : t.free(order.number);
  return {
    subject: t.subject(order.number),
    preheader: received,
    heading: t.heading,
    paragraphs: [received],
    button: orderButton(mail),
    facts: [
      ...factOf(texts.order, order.number),
      ...factOf(texts.orderDate, mail.date(order.paid_at ?? order.created_at)),
      ...factOf(texts.payment, card),
      ...factOf(texts.chargedAs, presented(order.presentment)),
      ...factOf(texts.onStatement, card === null ? null : shop.statement_descriptor),
      ...factOf(texts.shippingMethod, order.shipping_method),
      ...factOf(texts.company, withoutLinks(order.business?.name ?? "")),
      ...factOf(
        texts.taxId,
        order.business?.tax_ids.map(({ value }) => withoutLinks(value)).join(", ") ?? null,
      ),
    ],
    bill: billOf(mail),
    addresses: addressesOf(mail),
    closing: [t.next],
  };
}
