import { declineAdvice } from "../../stripe/decline_advice.ts";
import type { Content } from "../content.ts";
import { billOf, type Mail, payButton } from "../mail.ts";

/**
 * A payment was refused, and the payment page is still open. The advice never says why a bank suspects somebody. Whoever
 * turned back at a bank or wallet was not declined.
 */
export function paymentDeclined(mail: Mail): Content {
  const { order, texts } = mail;
  const t = texts.payment_declined;
  const told = t.told(order.number);
  const advice = order.decline === null ? "declined" : declineAdvice(order.decline);
  const byCard = ["card", "link"].includes(order.decline?.method ?? "card");
  return {
    subject: byCard ? t.subject(order.number) : texts.payment_failed.subject(order.number),
    preheader: told,
    heading: byCard ? t.heading : texts.payment_failed.heading,
    paragraphs: [told, ...(byCard ? [texts.advice[advice]] : []), t.reserved],
    button: payButton(mail),
    bill: billOf(mail),
  };
}
