/** Puts what a template says into the one layout of all mails, as HTML and as text. Nothing but this loads Mustache. */
import mustache from "mustache";
import type { ShopSettings } from "../database/notifications.ts";
import { oneLine } from "../text/outside_text.ts";
import { webAddress } from "../text/web_address.ts";
import { layoutHtml, layoutText } from "./compiled_layout.ts";
import type { Content, Link, Rendered } from "./content.ts";
import type { Texts } from "./languages/mod.ts";
import { textColorOn } from "./shop.ts";

/** Mustache has no types of its own. */
const fill: (
  template: string,
  view: object,
  partials: Record<string, string>,
  options: { escape: (value: unknown) => string },
) => string = mustache.render;

/** RFC 5322 has no limit for a subject; this is more than anybody shows. */
const subjectMax = 200;

/** Whose mail it is, and in which language. */
export interface Frame {
  shop: ShopSettings;
  language: string;
  texts: Texts;
  /** Without a trailing slash. */
  siteUrl: string;
  /** Ends reminders; null in mails that are none. */
  unsubscribeUrl: string | null;
  /** Staff need no signature, and nobody's address, at the end of a mail. */
  forStaff: boolean;
}

/** Renders the same content as HTML and as text. Every text is escaped; no markup can come in. */
export function render(content: Content, frame: Frame): Rendered {
  // A subject is a header line; a line break in a name must not start another one.
  const subject = oneLine(content.subject, subjectMax);
  const view = viewOf({ ...content, subject }, frame);
  const text = fill(layoutText, view, {}, { escape: String });
  return {
    subject,
    text: `${text.trim()}\n`,
    html: fill(layoutHtml, view, {}, { escape: escapeHtml }),
  };
}

/** Everything a tag of the layout may name: Mustache looks a missing name up in what is around it. */
function viewOf(content: Content, frame: Frame) {
  const { shop, language, texts, siteUrl, forStaff } = frame;
  const { facts = [], addresses = [], closing = [], bill = null, button = null } = content;
  return {
    ...content,
    lang: language,
    shop: shop.name,
    logo: webAddress(shop.logo_url, siteUrl),
    accent: shop.accent_color,
    onAccent: textColorOn(shop.accent_color),
    button,
    facts,
    hasFacts: facts.length > 0,
    addresses,
    hasAddresses: addresses.length > 0,
    bill: bill === null ? null : {
      items: bill.items,
      sums: bill.sums.map((sum, index) => ({ ...sum, first: index === 0 })),
      pictures: bill.items.some(({ picture }) => picture !== null),
    },
    closing,
    signature: forStaff ? null : texts.signature(shop.name),
    hasFooter: !forStaff,
    contact: shop.contact_email === null ? null : { text: texts.questions, address: shop.contact_email },
    links: footerLinks(frame),
    footer: shop.postal_address?.split("\n").map((line) => oneLine(line)).filter((line) => line !== "") ?? [],
  };
}

function footerLinks({ shop, texts, siteUrl, unsubscribeUrl }: Frame): Link[] {
  return [
    { label: texts.returns, url: webAddress(shop.returns_url, siteUrl) },
    { label: texts.privacy, url: webAddress(shop.privacy_url, siteUrl) },
    { label: texts.unsubscribe, url: unsubscribeUrl },
  ].filter((link): link is Link => link.url !== null);
}

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(value: unknown): string {
  return String(value).replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
