import type { Html } from "../../stand-in/http/html.ts";

const BASE_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** What a page may use beside what is its own. */
export interface PageNeeds {
  /** Other origins that its scripts may call. */
  connectTo?: readonly string[];
  /** Another origin whose scripts and frames it holds. */
  guest?: string;
  /** Pictures of the catalogue may be anywhere on the web. */
  webPictures?: boolean;
  /** It has a form that asks this site. */
  form?: boolean;
}

/** Content Security Policy of our own pages: scripts and styles from this origin and a named guest's, nothing inline. */
function pagePolicy({ connectTo = [], guest, webPictures = false, form = false }: PageNeeds = {}): string {
  const own = ["'self'", ...(guest === undefined ? [] : [guest])];
  return [
    "default-src 'none'",
    `script-src ${own.join(" ")}`,
    "style-src 'self'",
    `img-src 'self' data:${webPictures ? " https:" : ""}`,
    `connect-src ${["'self'", ...connectTo].join(" ")}`,
    `frame-src ${own.join(" ")}`,
    `form-action ${form ? "'self'" : "'none'"}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Policy for documents that only hold foreign markup: no script, nothing of the network but pictures. */
const INERT_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: data:; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

/** A page under {@link pagePolicy}. */
export function htmlResponse(body: Html, options: PageNeeds & { status?: number } = {}) {
  return new Response(body.text, {
    status: options.status ?? 200,
    headers: {
      ...BASE_HEADERS,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": pagePolicy(options),
    },
  });
}

/** Markup that this project did not write (a mail), locked in by {@link INERT_POLICY}. */
export function inertHtmlResponse(markup: string): Response {
  return new Response(markup, {
    headers: {
      ...BASE_HEADERS,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": INERT_POLICY,
    },
  });
}

export function jsonResponse(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...BASE_HEADERS, "content-type": "application/json; charset=utf-8", ...headers },
  });
}

/** A file served as it is; `type` is its media type. */
export function fileResponse(body: string | Uint8Array<ArrayBuffer>, type: string): Response {
  return new Response(body, {
    headers: {
      ...BASE_HEADERS,
      "content-type": type,
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    },
  });
}
