import { withoutLinks } from "../../text/outside_text.ts";
import type { Content } from "../content.ts";
import { addressesOf, factOf, type Mail, orderButton, piecesOf } from "../mail.ts";

/** A parcel has left, or goes by another number than the customer was told. */
export function orderShipped(mail: Mail): Content {
  const { data, texts } = mail;
  const { subject, heading, told } = wording(mail);
  const tracking = [data["carrier"], data["tracking_number"]]
    .map((part) => typeof part === "string" ? withoutLinks(part) : "").join(" ").trim();
  // Made by the database from the carrier's own address and the number, not typed by anybody.
  const url = data["tracking_url"];
  return {
    subject,
    preheader: told,
    heading,
    paragraphs: [told],
    button: typeof url === "string" ? { label: texts.trackParcel, url } : orderButton(mail),
    facts: [
      ...factOf(texts.order_shipped.contents, data["part"] === true ? piecesOf(data["items"]) : null),
      ...factOf(texts.tracking, tracking),
    ],
    addresses: addressesOf(mail).filter(({ title }) => title === texts.shipTo),
  };
}

function wording(
  { order: { number }, data, texts }: Mail,
): { subject: string; heading: string; told: string } {
  const t = texts.order_shipped;
  if (data["corrected"] === true) {
    return { subject: t.correctedSubject(number), heading: t.correctedHeading, told: t.corrected(number) };
  }
  const { heading } = t;
  if (data["part"] !== true) return { subject: t.subject(number), heading, told: t.told(number) };
  return data["more_to_come"] === true
    ? { subject: t.partSubject(number), heading, told: t.part(number) }
    : { subject: t.restSubject(number), heading, told: t.rest(number) };
}
