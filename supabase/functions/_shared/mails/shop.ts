/** The shop as its customers know it: settings of the database, made fit to stand in a mail. */
import type { ShopSettings } from "../database/notifications.ts";
import { readLocale } from "../text/locale.ts";
import { webAddress } from "../text/web_address.ts";

/** Where a mail leads to. */
export interface Links {
  /** Without a trailing slash. */
  siteUrl: string;
  /** Back to the unpaid order; null when the mail is about no order. */
  resumeUrl: string | null;
  /** Opens the page of the order; null when the mail is about no order. */
  orderToken: string | null;
  /** Ends reminders; null in mails that are none. */
  unsubscribeUrl: string | null;
}

/** Dark text on light colours and the other way round, by WCAG 2's relative luminance. */
export function textColorOn(background: string): "#ffffff" | "#1c1c1e" {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(background.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#1c1c1e" : "#ffffff";
}

/**
 * The page of one order: the setting's address, in which `{number}` and `{token}` stand for the order's. Null when
 * there is none.
 */
export function orderUrl(
  { order_url }: ShopSettings,
  number: string,
  { siteUrl, orderToken }: Links,
): string | null {
  const address = order_url
    ?.replaceAll("{number}", encodeURIComponent(number))
    .replaceAll("{token}", orderToken ?? "");
  return webAddress(address ?? null, siteUrl);
}

/**
 * A time as a date in the shop's time zone.
 * @param at ISO 8601.
 */
export function formatDate(at: string, locale: string, { time_zone }: ShopSettings): string {
  const style = { dateStyle: "long" } as const;
  try {
    return new Intl.DateTimeFormat(locale, { ...style, timeZone: time_zone }).format(new Date(at));
  } catch {
    // Postgres knows names of zones that Intl does not.
    return new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" }).format(new Date(at));
  }
}

/**
 * How amounts and dates are written: as the buyer writes them when that is the mail's language (de-AT in a German
 * mail), otherwise as the mail's language does.
 */
export function formattingLocale(tag: string | null, language: string): string {
  const asked = readLocale(tag);
  if (asked === null || asked.language !== language) return language;
  return Intl.NumberFormat.supportedLocalesOf(asked.baseName)[0] ?? language;
}

/** The sender: the address of EMAIL_FROM under the shop's own name for mail, where it has set one. */
export function senderOf(emailFrom: string, { sender_name }: ShopSettings): string {
  if (sender_name === null) return emailFrom;
  const address = /<([^<>]+)>\s*$/.exec(emailFrom)?.[1] ?? emailFrom.trim();
  return `"${sender_name.replace(/[\\"]/g, "")}" <${address}>`;
}
