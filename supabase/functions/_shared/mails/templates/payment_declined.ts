import { declineAdvice } from "../../stripe/decline_advice.ts";
import type { Content } from "../content.ts";
import { billOf, type Mail, payButton } from "../mail.ts";

/** A card was declined, and the payment page is still open. The advice never says why a bank suspects somebody. */
export function paymentDeclined(mail: Mail): Content {
  const { order, texts } = mail;
  const t = texts.payment_declined;
  const told = t.told(order.number);
  const advice = order.decline === null ? "declined" : declineAdvice(order.decline);
  return {
    subject: t.subject(order.number),
    preheader: told,
    heading: t.heading,
    paragraphs: [told, texts.advice[advice], t.reserved],
    button: payButton(mail),
    bill: billOf(mail),
  };
}
