import { type Html, html } from "../../stand-in/http/html.ts";
import { toolPage } from "./layout.ts";
import type { Mail, MailStore } from "./mail_store.ts";
import { htmlResponse, inertHtmlResponse, jsonResponse } from "./responses.ts";
import { Paging } from "./paging.ts";
import type { Pages } from "./site.ts";
import { timeOf } from "./time.ts";

const LINKS = [{ href: "/inbox", text: "All mails" }];

function row(mail: Mail): Html {
  return html`<li><a class="mail" href="/inbox/${mail.id}">
    <span class="to">${mail.to.join(", ")}</span>
    <span class="subject">${mail.subject}</span>
    ${timeOf(mail.created_at)}
  </a></li>`;
}

function listPage(mails: MailStore, url: URL): Html {
  const all = mails.list();
  const body = all.length === 0
    ? html`<p class="empty">No mail yet. Buy something in the <a href="/store">store</a>: confirmations arrive here.</p>`
    : html`
      ${new Paging(url, "page").showOf(all, (mails) => html`<ul class="mails">${mails.map(row)}</ul>`)}
      <p class="note">${all.length} ${all.length === 1
        ? "mail"
        : "mails"}. As JSON: <a href="/inbox.json">/inbox.json</a></p>
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

function mailPage(mail: Mail): Html {
  return toolPage({
    title: mail.subject,
    section: "/inbox",
    subLinks: LINKS,
    body: html`<dl class="facts">
      ${field("From", mail.from)}${field("To", mail.to.join(", "))}${field("Cc", mail.cc.join(", "))}
      ${field("Bcc", mail.bcc.join(", "))}${field("Reply to", mail.reply_to.join(", "))}
      <div><dt>Sent</dt><dd>${timeOf(mail.created_at)}</dd></div>
      ${field("Idempotency key", mail.idempotency_key)}
      ${field("Tags", mail.tags.map((tag) => `${tag.name}=${tag.value}`).join(", "))}
      ${field("Attachments", mail.attachments.map((file) => `${file.filename} (${file.size})`).join(", "))}
      ${field("Id", mail.id)}
    </dl>
    ${
      mail.html !== null &&
      html`
        <h2>HTML</h2>
        <iframe class="letter" title="HTML part of the mail" src="/inbox/${mail.id}/html"
          sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe>
      `
    }
    ${
      mail.text !== null && html`
        <h2>Text</h2>
        <pre class="letter-text">${mail.text}</pre>
      `
    }`,
  });
}

/** The mails that the Resend stand-in accepted: `/inbox`, `/inbox/{id}`, and `/inbox.json` for scripts. */
export function inboxPages(mails: MailStore): Pages {
  return (_request, url) => {
    if (url.pathname === "/inbox" || url.pathname === "/inbox/") return htmlResponse(listPage(mails, url));
    if (url.pathname === "/inbox.json") return jsonResponse({ data: mails.list() });
    const match = /^\/inbox\/([0-9a-f-]{36})(\/html)?$/.exec(url.pathname);
    const mail = match?.[1] === undefined ? undefined : mails.get(match[1]);
    if (mail === undefined) return null;
    // Links of a mail open in a new tab: inside the frame they would replace the mail.
    if (match?.[2]) return inertHtmlResponse(`<base target="_blank">${mail.html ?? ""}`);
    return htmlResponse(mailPage(mail));
  };
}
