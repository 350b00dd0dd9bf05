/**
 * The files that go with evidence, put together from what the order holds: of a person name, addresses, e-mail address
 * and the last four digits of the card.
 */
import type { DisputedOrder, Parcel, TwinOrder } from "../database/disputes.ts";
import { currencyRules } from "../stripe/money.ts";
import { oneLine } from "../text/outside_text.ts";
import type { PdfDocument, PdfLine } from "../text/pdf.ts";
import { addressText } from "./dispute_evidence.ts";
import { type Disputed, type EvidenceField, fieldsFor } from "./dispute_fields.ts";

/** A document and the field of evidence that it belongs into. */
export interface EvidenceDocument extends PdfDocument {
  field: EvidenceField;
}

/**
 * The documents that matter for a dispute of this order, as far as there is something to tell. `written`: the fields
 * that a person has filled in, which get none.
 */
export function evidenceDocuments(
  order: DisputedOrder,
  dispute: Disputed,
  written: readonly string[] = [],
): EvidenceDocument[] {
  const fields = fieldsFor(dispute);
  const all: [EvidenceField, PdfDocument | null][] = [
    ["receipt", receipt(order)],
    ["shipping_documentation", shipping(order)],
    ["customer_communication", messages(order)],
    ["refund_policy", policy("Refund policy", order.terms?.refund_policy ?? null, order)],
    ["cancellation_policy", policy("Cancellation policy", order.terms?.cancellation_policy ?? null, order)],
    ["duplicate_charge_documentation", order.twin === null ? null : otherReceipt(order.twin)],
  ];
  return all.flatMap(([field, document]) =>
    document === null || !fields.has(field) || written.includes(field) ? [] : [{ field, ...document }]
  );
}

function receipt(order: DisputedOrder): PdfDocument {
  const { currency, payment } = order;
  const sum = (left: string, amount: number): PdfLine => ({ left, right: money(amount, currency) });
  const optional = (left: string, amount: number) => amount === 0 ? [] : [sum(left, amount)];
  return {
    title: `Receipt of order ${order.number}`,
    lines: [
      `Sold by ${oneLine(order.shop_name)}`,
      `Ordered ${moment(order.created_at)}`,
      `Paid    ${moment(order.paid_at)}${paidWith(payment)}`,
      ...(order.presentment === null
        ? []
        : [`Charged ${money(order.presentment.amount, order.presentment.currency)}`]),
      "",
      ...items(order),
      "",
      sum("Subtotal", order.amount_subtotal),
      ...optional("Discount", -order.amount_discount),
      ...optional("Shipping", order.amount_shipping),
      ...optional("Tax", order.amount_tax),
      sum("Total", order.amount_total),
      ...order.money_back.refunds.map(({ amount, currency, succeeded_at }): PdfLine => ({
        left: `Refunded ${moment(succeeded_at)}`,
        right: money(-amount, currency),
      })),
      ...block("Bill to", addressText(order.billing_address, order.customer_name)),
      ...block("Ship to", addressText(order.shipping_address, order.shipping_name)),
      ...block("E-mail", order.email),
    ],
  };
}

function shipping(order: DisputedOrder): PdfDocument | null {
  if (order.shipments.length === 0) return null;
  return {
    title: `Shipment of order ${order.number}`,
    lines: [
      ...order.shipments.flatMap((parcel, index) => [`Parcel ${index + 1}`, ...parcelLines(parcel), ""]),
      { heading: "Contents of the order" },
      ...items(order),
      ...block("Shipped to", addressText(order.shipping_address, order.shipping_name)),
    ],
  };
}

function parcelLines({ carrier, tracking_number, shipped_at }: Parcel): string[] {
  const known = (label: string, text: string | null) =>
    oneLine(text ?? "") === "" ? [] : [`  ${label} ${oneLine(text ?? "")}`];
  return [
    `  Handed over     ${moment(shipped_at)}`,
    ...known("Carrier        ", carrier),
    ...known("Tracking number", tracking_number),
  ];
}

function messages(order: DisputedOrder): PdfDocument | null {
  if (order.mails.length === 0) return null;
  return {
    title: `Mails about order ${order.number}`,
    lines: [
      "Sent to the customer, and not returned:",
      "",
      ...order.mails.map(({ template, recipient, sent_at }) =>
        `${moment(sent_at)}  ${template.replaceAll("_", " ")}${recipient === null ? "" : ` to ${recipient}`}`
      ),
    ],
  };
}

function policy(name: string, text: string | null, { number, terms }: DisputedOrder): PdfDocument | null {
  if (text === null || terms === null) return null;
  const version = terms.version === null ? "" : `, version ${oneLine(terms.version)}`;
  return {
    title: `${name} at the time of order ${number}`,
    lines: [
      `From the terms${version}, which the customer accepted on the payment page ${
        moment(terms.accepted_at)
      }, before paying.`,
      "",
      ...text.split("\n"),
    ],
  };
}

function otherReceipt(twin: TwinOrder): PdfDocument {
  return {
    title: `Receipt of the other order, ${twin.number}`,
    lines: [
      `Paid   ${moment(twin.paid_at)}`,
      `Charge ${twin.charge_id}`,
      "",
      ...(twin.description === null ? [] : [twin.description]),
      { left: "Total", right: money(twin.amount_paid, twin.currency) },
      ...block("Parcels", twin.parcels),
      ...block("Ship to", addressText(twin.shipping_address, twin.shipping_name)),
    ],
  };
}

function items({ items, currency }: DisputedOrder): PdfLine[] {
  return items.map(({ sku, name, quantity, unit_amount }) => ({
    left: `${quantity} x ${oneLine(name)} (${sku})`,
    right: money(quantity * unit_amount, currency),
  }));
}

function block(heading: string, text: string | null): PdfLine[] {
  return text === null || text === "" ? [] : ["", { heading }, ...text.split("\n")];
}

function paidWith(payment: DisputedOrder["payment"]): string {
  if (payment === null || payment.card_brand === null) return "";
  const last4 = payment.card_last4 === null ? "" : ` ending in ${payment.card_last4}`;
  const verified = payment.three_d_secure_result === "authenticated" ? ", authenticated by 3-D Secure" : "";
  return `, ${payment.card_brand} card${last4}${verified}`;
}

/** With the currency's code: its sign may be another country's too, and the file's font has few of them. */
function money(amount: number, currency: string): string {
  const { digits } = currencyRules(currency) ?? { digits: 2 };
  return `${(amount / 10 ** digits).toFixed(digits)} ${currency.toUpperCase()}`;
}

/** To the minute, UTC. */
function moment(time: string | null): string {
  return time === null
    ? "at an unknown time"
    : `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
