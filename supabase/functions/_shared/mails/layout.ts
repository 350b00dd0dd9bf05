/** What all mails share: escaping, money, the list of items, and one plain frame. Nothing is loaded from afar. */
import { readLocale } from "../text/locale.ts";
import { type BillLine, billLines, formatMoney } from "../stripe/money.ts";
import { withoutLinks } from "../text/outside_text.ts";
import type { NotificationOrder } from "../database/notifications.ts";
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
const shopName = "KCT Menswear";

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

/** An amount of an order in minor units, as its buyer writes it. */
export function money(amount: number, { currency, locale }: NotificationOrder): string {
  const tag = readLocale(locale)?.baseName ?? "en";
  return formatMoney(amount, currency, Intl.NumberFormat.supportedLocalesOf(tag)[0] ?? null);
}

/** "Dear Ada," or "Hello,". */
export function greeting(order: NotificationOrder): string {
  const names = [order.customer_name, order.shipping_name].map((name) => withoutLinks(name ?? "", 60));
  const name = names.find((name) => name !== "");
  return name === undefined ? "Hello," : `Dear ${name},`;
}

/** One line per item, then what makes the total of them. */
export function itemLines(order: NotificationOrder): Block {
  const items = order.items.map(({ quantity, name, unit_amount }) =>
    `${quantity} × ${name}: ${money(quantity * unit_amount, order)}`
  );
  const bill = billLines(order);
  const line = ({ label, amount }: BillLine) => `${label}: ${money(amount, order)}`;
  return {
    lines: [
      ...items,
      ...bill.filter(({ included }) => !included).map(line),
      `Total: ${money(order.amount_total, order)}`,
      ...bill.filter(({ included }) => included).map(line),
    ],
  };
}

/** Name and address, one part per line; null when there is none. */
export function addressLines(name: string | null, address: Address | null): Block | null {
  if (address === null) return null;
  const town = [address.postal_code, address.city, address.state].filter((part) => part).join(" ");
  const lines = [name, address.line1, address.line2, town, address.country]
    .map((line) => withoutLinks(line ?? ""))
    .filter((line) => line !== "");
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
