/** What all mails share: escaping, money, the list of items, and one plain frame. Nothing is loaded from afar. */
import type { NotificationOrder } from "../rpc.ts";
import { formatAmount } from "../minor_units.ts";
import type { Address } from "../stripe_events/facts.ts";

/** A mail without its sender and recipient. */
export interface Rendered {
  subject: string;
  text: string;
  html: string;
}

/** Where a mail leads to. */
export interface Links {
  /** Without a trailing slash. */
  siteUrl: string;
  /** Back to the unpaid order; null when the mail is about no order. */
  resumeUrl: string | null;
}

/** Paragraphs of plain text; `lines` stay lines, a link is one of our own. */
export type Block = string | { lines: string[] } | { label: string; url: string };

/** The shop's name as customers know it. */
export const shopName = "KCT Menswear";

/** Renders the same blocks as text and as HTML. */
export function renderBlocks(subject: string, blocks: Block[]): Rendered {
  const all = [...blocks, `Your ${shopName} team`];
  return {
    // A subject is a header line; a line break in a name must not start another one.
    subject: subject.replace(/\s+/g, " ").trim(),
    text: `${all.map(asText).join("\n\n")}\n`,
    html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${
      escapeHtml(subject)
    }</title></head>
<body style="margin:0;padding:24px;background:#f6f5f2;color:#1f2430;font:16px/1.5 Georgia,serif">
<div style="max-width:560px;margin:auto;padding:24px;background:#fff;overflow-wrap:anywhere">
${all.map(asHtml).join("\n")}
</div></body></html>
`,
  };
}

function asText(block: Block): string {
  if (typeof block === "string") return block;
  return "url" in block ? `${block.label}: ${block.url}` : block.lines.join("\n");
}

function asHtml(block: Block): string {
  if (typeof block !== "string" && "url" in block) {
    return `<p><a href="${escapeHtml(block.url)}">${escapeHtml(block.label)}</a></p>`;
  }
  const lines = typeof block === "string" ? [block] : block.lines;
  return `<p>${lines.map(escapeHtml).join("<br>")}</p>`;
}

/** An amount in minor units as people write it, in the order's language. */
export function money(amount: number, currency: string, locale: string | null): string {
  return formatAmount(amount, currency, locale === null || locale === "auto" ? "en" : locale);
}

/** "Dear Ada," or "Hello,". */
export function greeting(order: NotificationOrder): string {
  const name = order.customer_name ?? order.shipping_name;
  return name === null || name.trim() === "" ? "Hello," : `Dear ${name.trim()},`;
}

/**
 * One line per item, then the sums that are not zero. Every line above the total adds to it: tax that is inside the
 * prices is said below.
 */
export function itemLines(order: NotificationOrder): Block {
  const amount = (value: number) => money(value, order.currency, order.locale);
  const items = order.items.map(({ quantity, name, unit_amount }) =>
    `${quantity} × ${name}: ${amount(quantity * unit_amount)}`
  );
  const before = order.amount_subtotal - order.amount_discount + order.amount_shipping;
  const included = order.amount_tax > 0 && order.amount_total === before;
  const sums: [string, number][] = [
    ["Discount", -order.amount_discount],
    ["Shipping", order.amount_shipping],
    ["Tax", included ? 0 : order.amount_tax],
  ];
  const extra = sums.filter(([, value]) => value !== 0).map(([label, value]) => `${label}: ${amount(value)}`);
  const below = included ? [`Includes tax: ${amount(order.amount_tax)}`] : [];
  return { lines: [...items, ...extra, `Total: ${amount(order.amount_total)}`, ...below] };
}

/** Name and address, one part per line; null when there is none. */
export function addressLines(name: string | null, address: Address | null): Block | null {
  if (address === null) return null;
  const town = [address.postal_code, address.city, address.state].filter((part) => part).join(" ");
  const lines = [name, address.line1, address.line2, town, address.country].filter((line): line is string =>
    !!line
  );
  return lines.length === 0 ? null : { lines };
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
