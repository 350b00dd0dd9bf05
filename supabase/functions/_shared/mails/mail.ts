/** What every template works with: the order and the shop in the reader's language, and the parts many mails share. */
import type { Notification, NotificationOrder, ShopSettings } from "../database/notifications.ts";
import { billLines, formatMoney, type Money } from "../stripe/money.ts";
import { withoutLinks } from "../text/outside_text.ts";
import { webAddress } from "../text/web_address.ts";
import { addressLines } from "./address.ts";
import type { Content, Fact, Link } from "./content.ts";
import { type Language, languageOf, languages, type Texts } from "./languages/mod.ts";
import { formatDate, formattingLocale, type Links, orderUrl } from "./shop.ts";

/** A notification, ready for its template. */
export interface Mail {
  order: NotificationOrder;
  data: Record<string, unknown>;
  shop: ShopSettings;
  links: Links;
  language: Language;
  texts: Texts;
  /** An amount of the order in minor units, as its buyer writes it. */
  money(amount: number): string;
  /** An amount in a currency of its customer's own; null where there is none. */
  presented(money: Money | null): string | null;
  /** An ISO 8601 time as a date in the shop's time zone. */
  date(at: string): string;
}

/** Says in plain texts what a mail is about. */
export type Template = (mail: Mail) => Content;

/** Brings a notification into the language of its order: else the shop's, else English. */
export function mailOf({ order, data, shop }: Notification, links: Links): Mail {
  const language = languageOf(order.locale, shop.locale);
  const locale = formattingLocale(order.locale, language);
  return {
    order,
    data,
    shop,
    links,
    language,
    texts: languages[language],
    money: (amount) => formatMoney(amount, order.currency, locale),
    presented: (money) => money === null ? null : formatMoney(money.amount, money.currency, locale),
    date: (at) => formatDate(at, locale, shop),
  };
}

/** "Dear Ada," or "Hello,". */
export function greeting({ order, texts }: Mail): string {
  const names = [order.customer_name, order.shipping_name].map((name) => withoutLinks(name ?? "", 60));
  const name = names.find((name) => name !== "");
  return name === undefined ? texts.greetingWithoutName : texts.greeting(name);
}

/** The items, then what makes the total of them. */
export function billOf(mail: Mail): NonNullable<Content["bill"]> {
  const { order, texts, money, links } = mail;
  const lines = billLines(order);
  const sum = (name: string, amount: number, strong = false) => ({ name, amount: money(amount), strong });
  const line = ({ kind, amount }: (typeof lines)[number]) => sum(texts[kind], amount);
  const parts = lines.filter(({ included }) => !included);
  return {
    items: order.items.map(({ name, quantity, unit_amount, image_url }) => ({
      name,
      quantity: texts.quantity(quantity, money(unit_amount)),
      amount: money(quantity * unit_amount),
      picture: webAddress(image_url, links.siteUrl),
    })),
    sums: [
      ...(parts.length === 0 ? [] : [sum(texts.subtotal, order.amount_subtotal)]),
      ...parts.map(line),
      sum(texts.total, order.amount_total, true),
      ...lines.filter(({ included }) => included).map(line),
    ],
  };
}

/** Where the parcel goes, and where the bill belongs where that is another place. */
export function addressesOf({ order, texts, language }: Mail): NonNullable<Content["addresses"]> {
  const shipping = addressLines(order.shipping_name, order.shipping_address, language);
  const billing = addressLines(order.customer_name, order.billing_address, language);
  return [
    { title: texts.shipTo, lines: shipping },
    { title: texts.billTo, lines: billing },
  ].filter(({ lines }) => lines.length > 0);
}

/** "Visa ending in 4242"; null when no card is known. */
export function cardName({ order, texts }: Mail): string | null {
  const { brand, last4 } = order.card ?? { brand: null, last4: null };
  return brand === null || last4 === null ? null : texts.card(brands[brand] ?? capitalized(brand), last4);
}

/** Stripe's names of brands that are not spelled as they are (https://docs.stripe.com/api/charges/object). */
const brands: Record<string, string> = {
  amex: "American Express",
  diners: "Diners Club",
  jcb: "JCB",
  unionpay: "UnionPay",
  cartes_bancaires: "Cartes Bancaires",
  eftpos_au: "eftpos",
};

function capitalized(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
}

/** A fact, or none where there is nothing to say. */
export function factOf(name: string, value: string | null): Fact[] {
  return value === null || value === "" ? [] : [{ name, value }];
}

/** "$129.00", or "$129.00 (£98.00)" where the customer gets it in another currency; null where it is not known. */
export function refundAmount({ data, money, presented }: Mail): string | null {
  const { amount, presentment } = data;
  if (typeof amount !== "number") return null;
  const other = presented(moneyOf(presentment));
  return other === null ? money(amount) : `${money(amount)} (${other})`;
}

function moneyOf(value: Mail["data"][string]): Money | null {
  if (typeof value !== "object" || value === null || !("amount" in value) || !("currency" in value)) {
    return null;
  }
  const { amount, currency } = value;
  return typeof amount === "number" && typeof currency === "string" ? { amount, currency } : null;
}

/** "2 × Shirt – White, M, 1 × Tie"; empty where no pieces are known. */
export function piecesOf(items: unknown): string {
  if (!Array.isArray(items)) return "";
  return items.map((item: { name?: unknown; quantity?: unknown }) =>
    `${Number(item.quantity)} × ${withoutLinks(String(item.name))}`
  ).join(", ");
}

/** The button to the order's page; null for a shop without one. */
export function orderButton({ order, shop, links, texts }: Mail): Link | null {
  const url = orderUrl(shop, order.number, links);
  return url === null ? null : { label: texts.viewOrder, url };
}

/** The button back to an unpaid order; null where none leads there. */
export function payButton({ links, texts }: Mail): Link | null {
  return links.resumeUrl === null ? null : { label: texts.payNow, url: links.resumeUrl };
}
