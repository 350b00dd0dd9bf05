import { type Html, html, type Part } from "../../stand-in/http/html.ts";

/** One entry of the navigation under the page header. */
export interface Link {
  href: string;
  text: string;
}

const SITE: readonly Link[] = [
  { href: "/", text: "Overview" },
  { href: "/store", text: "Store" },
  { href: "/inbox", text: "Inbox" },
  { href: "/console", text: "Console" },
];

function navigation(links: readonly Link[], current: string, label: string): Html {
  return html`
    <nav aria-label="${label}">
      <ul>${links.map((link) =>
        html`<li><a href="${link.href}"${
          link.href === current
            ? html`
              aria-current="page"
            `
            : ""
        }>${link.text}</a></li>`
      )}</ul>
    </nav>
  `;
}

/** The frame of the tool pages (not of the store): header, navigation, main part that refreshes when `live`. */
export function toolPage(options: {
  title: string;
  /** Path of the site navigation entry this page belongs to. */
  section: string;
  subLinks?: readonly Link[];
  path?: string;
  live?: boolean;
  body: Part;
}): Html {
  const live = options.live ?? false;
  return html`
    <!doctype html>
    <html lang="en">
      <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${options.title} · KCT local</title>
    <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/assets/tools.css">
    ${live && html`<script type="module" src="/assets/live.js"></script>`}
      </head>
      <body>
    <a class="skip" href="#main">Skip to content</a>
    <header class="bar">
      <p class="brand"><a href="/">KCT <span>local</span></a></p>
      ${navigation(SITE, options.section, "Site")}
    </header>
    ${options.subLinks &&
      html`<div class="sub">${navigation(options.subLinks, options.path ?? "", "Section")}${
        live && html`<p class="refresh"><span id="refreshed" role="status"></span>
      <button type="button" id="pause" aria-pressed="false">Pause</button></p>`
      }</div>`}
    <main id="main" ${live && html`data-live`}>
    <h1>${options.title}</h1>
    ${options.body}
    </main>
      </body>
    </html>
  `;
}

/** A page that says what went wrong. */
export function errorPage(title: string, message: string): Html {
  return toolPage({
    title,
    section: "",
    body: html`
      <p class="notice">${message}</p>
      <p><a href="/">Back to the overview</a></p>
    `,
  });
}
