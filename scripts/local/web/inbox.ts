import { languages } from "../../../supabase/functions/_shared/mails/languages/mod.ts";
import { templateNames } from "../../../supabase/functions/_shared/mails/mod.ts";
import { type Html, html, type Part } from "../../stand-in/http/html.ts";
import { toolPage } from "./layout.ts";
import type { MailPreview, PreviewRequest } from "../../lib/mail_preview.ts";
import type { Mail, MailStore } from "./mail_store.ts";
import { htmlResponse, inertHtmlResponse, jsonResponse } from "./responses.ts";
import { Paging } from "./paging.ts";
import type { Pages } from "./site.ts";
import { timeOf } from "./time.ts";

const LINKS = [{ href: "/inbox", text: "All mails" }, { href: "/inbox/preview", text: "Preview" }];

function row(mail: Mail): Html {
  return html`<li><a class="mail" href="/inbox/${mail.id}">
    <span class="to">${mail.to.join(", ")}</span>
    <span class="subject">${mail.subject}</span>
    ${timeOf(mail.created_at)}
  </a></li>`;
}

/** Whether every word that is looked for stands somewhere in the mail. */
function matches(mail: Mail, search: string): boolean {
  const text = [mail.from, ...mail.to, mail.subject, mail.text ?? mail.html ?? ""].join("\n").toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function listPage(mails: MailStore, url: URL): Html {
  const search = url.searchParams.get("q")?.trim() ?? "";
  const every = mails.list();
  const all = every.filter((mail) => matches(mail, search));
  const none = every.length === 0
    ? html`<p class="empty">No mail yet. Buy something in the <a href="/store">store</a>: confirmations arrive here.</p>`
    : html`
      <p class="empty">No mail has all of these words.</p>
    `;
  const found = html`
    ${new Paging(url, "page").showOf(all, (mails) => html`<ul class="mails">${mails.map(row)}</ul>`)}
    <p class="note">${all.length} ${all.length === 1
      ? "mail"
      : "mails"}. As JSON: <a href="/inbox.json">/inbox.json</a></p>
  `;
  const body = html`
    <form class="search" method="get" action="/inbox" role="search">
      <input type="search" name="q" value="${search}" placeholder="Search mails" aria-label="Search mails">
    </form>
    ${all.length === 0 ? none : found}
  `;
  return toolPage({ title: "Inbox", section: "/inbox", subLinks: LINKS, path: "/inbox", live: true, body });
}

function field(name: string, value: string | null): Html | null {
  return value === null || value === "" ? null : html`
    <div>
      <dt>${name}</dt>
      <dd>${value}</dd>
    </div>
  `;
}

/** How a mail is looked at: on which screen, and in which of its colours. */
const CHOICES: Record<string, readonly string[]> = {
  screen: ["desktop", "phone"],
  scheme: ["light", "dark"],
};

function chosen(url: URL, name: string): string {
  const [first = "", ...others] = CHOICES[name] ?? [];
  const asked = url.searchParams.get(name);
  return asked !== null && others.includes(asked) ? asked : first;
}

/** Links to the same page with another value of one parameter. */
function choices(url: URL, name: string, values: readonly string[], current: string): Html {
  const link = (value: string) => {
    const params = new URLSearchParams(url.searchParams);
    params.set(name, value);
    const here = value === current && html`aria-current="true"`;
    return html`<li><a href="${url.pathname}?${String(params)}" ${here}>${value}</a></li>`;
  };
  return html`<ul class="choices" aria-label="${name}">${values.map(link)}</ul>`;
}

/** The HTML part in a frame, and the text; `source` is where the frame gets it. */
function parts(url: URL, source: string, text: string | null, hasHtml: boolean): Part {
  const separator = source.includes("?") ? "&" : "?";
  return [
    hasHtml && html`
      <h2>HTML</h2>
      ${Object.entries(CHOICES).map(([name, values]) => choices(url, name, values, chosen(url, name)))}
      <iframe class="letter ${chosen(url, "screen")}" title="HTML part of the mail"
        src="${source}${separator}scheme=${chosen(url, "scheme")}"
        sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>
    `,
    text !== null && html`
      <h2>Text</h2>
      <pre class="letter-text">${text}</pre>
    `,
  ];
}

function mailPage(mail: Mail, url: URL): Html {
  return toolPage({
    title: mail.subject,
    section: "/inbox",
    subLinks: LINKS,
    body: html`<dl class="facts">
      ${field("From", mail.from)}${field("To", mail.to.join(", "))}${field("Cc", mail.cc.join(", "))}
      ${field("Bcc", mail.bcc.join(", "))}${field("Reply to", mail.reply_to.join(", "))}
      <div><dt>Sent</dt><dd>${timeOf(mail.created_at)}</dd></div>
      ${field("Idempotency key", mail.idempotency_key)}
      ${Object.entries(mail.headers).map(([name, value]) => field(name, value))}
      ${field("Tags", mail.tags.map((tag) => `${tag.name}=${tag.value}`).join(", "))}
      ${field("Attachments", mail.attachments.map((file) => `${file.filename} (${file.size})`).join(", "))}
      ${field("Id", mail.id)}
    </dl>
    ${parts(url, `/inbox/${mail.id}/html`, mail.text, mail.html !== null)}`,
  });
}

function requestOf(url: URL): PreviewRequest {
  const given = (name: string) => url.searchParams.get(name)?.trim() ?? "";
  return {
    template: given("template") || "order_confirmation",
    order: given("order"),
    locale: given("locale"),
  };
}

async function previewPage(preview: MailPreview, url: URL): Promise<Html> {
  const request = requestOf(url);
  const mail = await preview(request, siteOf(url));
  const source = `/inbox/preview/html?${new URLSearchParams({ ...request })}`;
  return toolPage({
    title: "Preview",
    section: "/inbox",
    subLinks: LINKS,
    path: "/inbox/preview",
    body: html`
      ${choices(url, "template", templateNames, request.template)}
      ${choices(url, "locale", Object.keys(languages), request.locale)}
      <form class="search" method="get" action="/inbox/preview">
        <input type="hidden" name="template" value="${request.template}">
        <input type="hidden" name="locale" value="${request.locale}">
        <input name="order" value="${request
          .order}" placeholder="Number of an order" aria-label="Number of an order">
      </form>
      ${mail === null
        ? html`<p class="empty">There is no such template or order.</p>`
        : html`<dl class="facts">${field("Subject", mail.subject)}</dl>
          ${parts(url, source, mail.text, true)}`}
    `,
  });
}

/** Where the store is: SITE_URL of the stack. */
function siteOf(url: URL): string {
  return `${url.origin}/store`;
}

/**
 * The HTML part, locked in, in the colours that are asked for whatever the reader's own are. Links of a mail open in a
 * new tab: inside the frame they would replace the mail.
 */
function letter(markup: string, url: URL): Response {
  const dark = chosen(url, "scheme") === "dark";
  const scheme = dark ? "dark" : "light";
  const coloured = markup
    .replaceAll("(prefers-color-scheme: dark)", dark ? "all" : "not all")
    .replaceAll("color-scheme: light dark", `color-scheme: ${scheme}`)
    .replaceAll('color-scheme" content="light dark"', `color-scheme" content="${scheme}"`);
  return inertHtmlResponse(`<base target="_blank">${coloured}`);
}

async function previewLetter(preview: MailPreview, url: URL): Promise<Response | null> {
  const mail = await preview(requestOf(url), siteOf(url));
  return mail === null ? null : letter(mail.html, url);
}

/**
 * The mails that the Resend stand-in accepted: `/inbox`, `/inbox/{id}`, and `/inbox.json` for scripts; and what any
 * template makes of any order: `/inbox/preview?template=…&order=…&locale=…`.
 */
export function inboxPages(mails: MailStore, preview: MailPreview): Pages {
  return async (_request, url) => {
    switch (url.pathname) {
      case "/inbox":
      case "/inbox/":
        return htmlResponse(listPage(mails, url), { form: true });
      case "/inbox.json":
        return jsonResponse({ data: mails.list() });
      case "/inbox/preview":
        return htmlResponse(await previewPage(preview, url), { form: true });
      case "/inbox/preview/html":
        return await previewLetter(preview, url);
    }
    const match = /^\/inbox\/([0-9a-f-]{36})(\/html)?$/.exec(url.pathname);
    const mail = match?.[1] === undefined ? undefined : mails.get(match[1]);
    if (mail === undefined) return null;
    return match?.[2] ? letter(mail.html ?? "", url) : htmlResponse(mailPage(mail, url));
  };
}
