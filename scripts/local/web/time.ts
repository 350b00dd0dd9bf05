import { type Html, html } from "../../stand-in/http/html.ts";

/** A moment as an element: UTC in the attribute, `2026-01-31 18:05:09 UTC` as text. Anything else is shown as it is. */
export function timeOf(value: unknown): Html {
  if (value === null || value === undefined) return html`–`;
  const date = value instanceof Date ? value : new Date(typeof value === "number" ? value : String(value));
  if (Number.isNaN(date.getTime())) return html`${String(value)}`;
  const iso = date.toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`;
}
