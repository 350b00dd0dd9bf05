import { type Html, html } from "../http/html.ts";
import { MERCHANT } from "../core/merchant.ts";

/** `framed`: any page of this machine may hold it in a frame. */
const policy = (framed: boolean) =>
  [
    "default-src 'self'",
    "img-src 'self' http: https: data:",
    "style-src 'self'",
    "script-src 'self'",
    `frame-ancestors 'self'${framed ? " http://127.0.0.1:* http://localhost:*" : ""}`,
    "base-uri 'none'",
  ].join("; ");

/** A whole page. */
export function document(title: string, body: Html, script: string | null = null): Html {
  return html`
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <title>${title}</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/_page/checkout.css">
    ${script === null ? null : html`<script type="module" src="/_page/${script}"></script>`}
    </head>
    ${body}
    </html>
  `;
}

/** A page that says one thing: expired, done, not found. */
export function notice(title: string, text: string, link: { href: string; label: string } | null): Html {
  return document(
    `${title} · ${MERCHANT.name}`,
    html`<body class="notice-page">
<main class="notice">
<p class="notice-shop">${MERCHANT.name}</p>
<h1>${title}</h1>
<p>${text}</p>
${link === null ? null : html`<p><a class="button" href="${link.href}">${link.label}</a></p>`}
</main>
${footer()}
</body>`,
  );
}

/** Says what this page is, below every page. */
export function footer(): Html {
  return html`<footer class="foot"><span>Local stand-in for Stripe Checkout</span><span>No money moves</span></footer>`;
}

/** An answer with a page; `framed`: for a frame of the shop's page, which no other page may be. */
export function page(content: Html, status = 200, framed = false): Response {
  return new Response(content.text, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy(framed),
      "cache-control": "no-store",
      "referrer-policy": "strict-origin-when-cross-origin",
      "x-content-type-options": "nosniff",
    },
  });
}
