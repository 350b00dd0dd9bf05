import type { Content } from "../content.ts";
import { type Mail, payButton } from "../mail.ts";

/** A slow payment method did not deliver after all. */
export function paymentFailed(mail: Mail): Content {
  const { order, texts, links } = mail;
  const t = texts.payment_failed;
  const told = t.told(order.number);
  const pay = payButton(mail);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, pay === null ? t.anew : t.again],
    button: pay ?? { label: texts.visitShop, url: links.siteUrl },
  };
}
