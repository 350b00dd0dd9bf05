/** The pieces that pages are made of. Text goes in as text: nothing here parses markup. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { fromNow, momentIn, toneOf, words } from "./format.ts";
import { type Live, useDesk, useNow } from "./live.ts";
import { linkTo } from "./route.ts";

/** What a page or a part of one is drawn as. */
export type Part = ComponentChildren;

/** How one column of a {@linkcode Table} is headed and drawn. */
export interface Column<T> {
  title: string;
  /** Null: nothing, which is a dash, and on a card is left out. */
  cell(row: T): Part;
  /** Numbers stand on the right. */
  numeric?: boolean;
}

/** Rows as a table, and on narrow screens as cards; `empty` is said when there are none. */
export function Table<T>({ label, columns, rows, empty, rowKey }: {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  empty: string;
  rowKey(row: T): string | number;
}): Part {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  const kind = ({ numeric }: Column<T>) => numeric === true ? "num" : undefined;
  // Cards are no table to the browser any more, but still are one to a screen reader: hence the roles.
  return h(
    "div",
    { class: "sheet" },
    h(
      "table",
      { role: "table", "aria-label": label },
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          columns.map((column) =>
            h("th", { scope: "col", role: "columnheader", class: kind(column) }, column.title)
          ),
        ),
      ),
      h(
        "tbody",
        { role: "rowgroup" },
        rows.map((row) =>
          h(
            "tr",
            { role: "row", key: rowKey(row) },
            columns.map((column) => {
              const part = column.cell(row);
              const none = part === null || part === "" || part === false;
              return h(
                "td",
                {
                  role: "cell",
                  class: [kind(column), none && "none"].filter(Boolean).join(" ") || undefined,
                  "data-label": column.title,
                },
                h("div", null, none ? "–" : part),
              );
            }),
          )
        ),
      ),
    ),
  );
}

/** A headed part of a page that shows what was read, that it is being read, or why it cannot be. */
export function Section<T>({ title, live, children, aside }: {
  title: string;
  live: Live<T>;
  children: (data: T) => Part;
  aside?: Part;
}): Part {
  return h(
    "section",
    { "aria-busy": live.data === null && live.problem === null },
    h("div", { class: "section-head" }, h("h2", null, title), aside),
    live.problem !== null && h(Problem, { text: live.problem }),
    live.data === null
      ? live.problem === null && h("p", { class: "loading" }, "Loading…")
      : children(live.data),
  );
}

/** What went wrong, said at once. */
export function Problem({ text }: { text: string }): Part {
  return h("p", { class: "notice bad", role: "alert" }, text);
}

/** A status word, coloured by what it means for the shop; null where there is none, as for the others below. */
export function badge(word: string | null): Part {
  return word === null || word === "" ? null : h("span", { class: `badge ${toneOf(word)}` }, words(word));
}

/** A moment as its distance from now, with the moment itself beside it for whoever points at it or listens. */
export function when(at: string | null): Part {
  return at === null ? null : h(Moment, { at });
}

function Moment({ at }: { at: string }): Part {
  const now = useNow();
  const { shop } = useDesk();
  return h("time", { dateTime: at, title: momentIn(shop.time_zone, at) }, fromNow(at, now));
}

/** An id or a code. */
export function code(text: string | null): Part {
  return text === null || text === "" ? null : h("code", null, text);
}

/** A link to an order by its number. */
export function orderLink(number: string | null): Part {
  return number === null ? null : h("a", { href: linkTo("orders", number) }, number);
}

/** Text that may be long: folded when it is. */
export function longText(text: string | null): Part {
  if (text === null || text === "") return null;
  return text.length <= 120
    ? h("span", { class: "text" }, text)
    : h(Folded, { summary: `${text.slice(0, 90)}…`, text });
}

/** JSON as people read it, behind a label. */
export function json(label: string, value: unknown): Part {
  const text = JSON.stringify(value, null, 2);
  return text === "{}" || text === "null" || text === undefined ? null : h(Folded, { summary: label, text });
}

/** Names and values; what is null is a dash. */
export function Facts(
  { facts }: { facts: readonly (readonly [name: string, value: Part])[] },
): Part {
  return h(
    "dl",
    { class: "facts" },
    facts.map(([name, value]) =>
      h(
        "div",
        { key: name },
        h("dt", null, name),
        h("dd", null, value === null || value === "" ? "–" : value),
      )
    ),
  );
}

/** Something long behind its first words. */
function Folded({ summary, text }: { summary: string; text: string }): Part {
  return h(
    "details",
    null,
    h("summary", null, summary),
    h("pre", { class: "code", tabIndex: 0, role: "region", "aria-label": summary }, text),
  );
}

/** Rows that a list shows at once. */
const PAGE_ROWS = 50;

/** A headed list of which a page is shown; `to` is where another of its pages is. */
export function PagedSection<T>({ title, live, page, to, children }: {
  title: string;
  live: Live<T[]>;
  page: number;
  to(page: number): string;
  children: (rows: readonly T[]) => Part;
}): Part {
  return h(Section<T[]>, {
    title,
    live,
    children: (rows) => h(Pages<T>, { rows, page, to, children }),
  });
}

/** The rows of a page of a list, of which one more was read to know whether there are more. */
function Pages<T>({ rows, page, to, children }: {
  rows: readonly T[];
  page: number;
  to(page: number): string;
  children: (rows: readonly T[]) => Part;
}): Part {
  const more = rows.length > PAGE_ROWS;
  return h(
    "div",
    null,
    children(rows.slice(0, PAGE_ROWS)),
    (more || page > 1) && h(
      "nav",
      { class: "pages", "aria-label": "Pages of this list" },
      page > 1 && h("a", { href: to(page - 1), rel: "prev" }, "← Back"),
      h("span", null, `Page ${page}`),
      more && h("a", { href: to(page + 1), rel: "next" }, "More →"),
    ),
  );
}

/** First and last row to ask for, to fill {@linkcode Pages}. */
export function rangeOf(page: number): [from: number, to: number] {
  return [(page - 1) * PAGE_ROWS, page * PAGE_ROWS];
}

/** The page of a list that the address asks for, from 1. */
export function pageOf(filters: Record<string, string>): number {
  const page = Number(filters["page"] ?? "1");
  return Number.isSafeInteger(page) && page > 0 ? page : 1;
}

/** One of some words to narrow a list by; empty is all of them. */
export function Choice({ label, value, options, onChoice }: {
  label: string;
  value: string;
  options: readonly string[];
  onChoice(value: string): void;
}): Part {
  return h(
    "label",
    { class: "choice" },
    h("span", null, label),
    h(
      "select",
      { value, onChange: (event: Event) => onChoice((event.currentTarget as HTMLSelectElement).value) },
      h("option", { value: "" }, "all"),
      // An address may name one that is gone.
      [...new Set([...options, ...(value === "" ? [] : [value])])]
        .map((option) => h("option", { key: option, value: option }, words(option))),
    ),
  );
}

/** Takes the reader to another place of the console. */
export function go(address: string): void {
  location.hash = address;
}
