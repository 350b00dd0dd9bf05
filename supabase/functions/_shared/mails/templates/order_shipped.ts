import { withoutLinks } from "../../text/outside_text.ts";
import { trackingUrl } from "../carriers.ts";
import type { Content } from "../content.ts";
import { addressesOf, factOf, type Mail, orderButton } from "../mail.ts";

/** The parcel has left, or goes by another number than the customer was told. */
export function orderShipped(mail: Mail): Content {
  const { order, data, texts } = mail;
  const t = texts.order_shipped;
  const corrected = data["corrected"] === true;
  const told = corrected ? t.corrected(order.number) : t.told(order.number);
  const [carrier, number] = [data["carrier"], data["tracking_number"]].map((part) =>
    typeof part === "string" ? part : ""
  );
  const tracking = [carrier, number].map((part) => withoutLinks(part ?? "")).join(" ").trim();
  const url = trackingUrl(carrier ?? "", number ?? "");
  return {
    subject: corrected ? t.correctedSubject(order.number) : t.subject(order.number),
    preheader: told,
    heading: corrected ? t.correctedHeading : t.heading,
    paragraphs: [told],
    button: url === null ? orderButton(mail) : { label: texts.trackParcel, url },
    facts: factOf(texts.tracking, tracking),
    addresses: addressesOf(mail).filter(({ title }) => title === texts.shipTo),
  };
}
