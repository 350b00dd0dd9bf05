import { formatMoney } from "../../../../supabase/functions/_shared/stripe/money.ts";
import { type Html, html, type Part } from "../../../stand-in/http/html.ts";
import { timeOf } from "../time.ts";
import { ConsoleError, type Row } from "./database.ts";

/** How one column of a {@link table} is headed and drawn. */
export interface Column {
  title: string;
  cell: (row: Row) => Part;
  /** Numbers stand on the right. */
  numeric?: boolean;
}

/** Characters that fit into a cell. */
const LONG = 80;

const GOOD = new Set([
  "paid",
  "processed",
  "applied",
  "succeeded",
  "complete",
  "committed",
  "sent",
  "delivered",
  "fulfilled",
  "resolved",
  "ok",
  "won",
  "done",
]);
const BAD = new Set([
  "failed",
  "bounced",
  "complained",
  "suppressed",
  "dead",
  "payment_failed",
  "blocked",
  "critical",
  "lost",
  "down",
  "error",
  "not_recorded",
]);
const WARN = new Set([
  "needs_review",
  "on_hold",
  "processing",
  "open",
  "needs_response",
  "warning",
  "high",
  "degraded",
  "partially_refunded",
  "retry",
]);

/** A status word, coloured by what it means for the shop. The word itself carries the meaning. */
export function badge(value: unknown): Html {
  if (value === null || value === undefined || value === "") return html`–`;
  const word = String(value);
  const tone = GOOD.has(word) ? "good" : BAD.has(word) ? "bad" : WARN.has(word) ? "warn" : "";
  return html`<span class="badge ${tone}">${word.replaceAll("_", " ")}</span>`;
}

/** An amount in minor units as money, `$129.00`. */
export function money(amount: unknown, currency: unknown): string {
  if (amount === null || amount === undefined) return "–";
  const code = typeof currency === "string" && /^[a-z]{3}$/i.test(currency) ? currency.toUpperCase() : null;
  if (code === null) return String(amount);
  return formatMoney(Number(amount), code);
}

export const text = (title: string, name: string): Column => ({ title, cell: (row) => plain(row[name]) });
export const code = (title: string, name: string): Column => ({
  title,
  cell: (row) =>
    row[name] === null || row[name] === undefined ? "–" : html`<code>${String(row[name])}</code>`,
});
export const number = (title: string, name: string): Column => ({
  title,
  cell: (row) => plain(row[name]),
  numeric: true,
});
export const time = (title: string, name: string): Column => ({ title, cell: (row) => timeOf(row[name]) });
export const status = (title: string, name: string): Column => ({ title, cell: (row) => badge(row[name]) });
export const amount = (title: string, name: string): Column => ({
  title,
  cell: (row) => money(row[name], row.currency),
  numeric: true,
});
export const json = (title: string, name: string): Column => ({ title, cell: (row) => jsonCell(row[name]) });

/** Any value as text, in the way a person reads it. */
export function plain(value: unknown): Part {
  if (value === null || value === undefined || value === "") return "–";
  if (value instanceof Date) return timeOf(value);
  if (typeof value === "object") return jsonCell(value);
  return folded(String(value), (short) => short);
}

/** Long text behind a summary, so that one row does not push the others off the screen. */
function folded(value: string, shown: (short: string) => Part, full = value): Part {
  if (value.length <= LONG) return shown(value);
  return html`
    <details>
      <summary>${shown(`${value.slice(0, LONG - 20)}…`)}</summary>
      <pre class="code">${full}</pre>
    </details>
  `;
}

function jsonCell(value: unknown): Part {
  if (value === null || value === undefined) return "–";
  const compact = JSON.stringify(value);
  if (compact === "{}" || compact === "[]") return "–";
  return folded(compact, (short) => html`<code>${short}</code>`, JSON.stringify(value, null, 2));
}

/** Rows as a table that scrolls sideways on narrow screens; `empty` is said when there are none. */
export function table(label: string, columns: readonly Column[], rows: readonly Row[], empty: string): Html {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="${label}">
      <table>
        <thead>
          <tr>${columns.map((column) =>
            html`
              <th scope="col" ${column.numeric && html`
                class="num"
              `}>${column.title}</th>
            `
          )}</tr>
        </thead>
        <tbody>${rows.map((row) =>
          html`<tr>${
            columns.map((column) =>
              html`<td${
                column.numeric && html`
                  class="num"
                `
              }>${column.cell(row)}</td>`
            )
          }</tr>`
        )}</tbody>
      </table>
    </div>
  `;
}

/**
 * A table of whatever columns the rows have, for tables whose shape the console does not know; those named in
 * `first` come first, and known words are drawn as a status.
 */
export function anyTable(label: string, rows: readonly Row[], first: readonly string[], empty: string): Html {
  const present = Object.keys(rows[0] ?? {});
  const names = [...new Set([...first.filter((name) => present.includes(name)), ...present])];
  const columns = names.map((name) => name === "status" ? status(name, name) : text(name, name));
  return html`<div class="one-line">${table(label, columns, rows, empty)}</div>`;
}

/** A headed part of a page. When it cannot be read it says why, and the other parts of the page still show. */
export async function section(title: string, body: () => Promise<Part>): Promise<Html> {
  try {
    return html`<section><h2>${title}</h2>${await body()}</section>`;
  } catch (error) {
    if (!(error instanceof ConsoleError)) throw error;
    return html`
      <section>
        <h2>${title}</h2>
        <p class="notice">${error.message}</p>
      </section>
    `;
  }
}
