/** Orders: the newest, those of a status, and whichever a customer asks about. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { useState } from "preact/hooks";
import { rowsOf } from "../backend.ts";
import { money, words } from "../format.ts";
import { useDesk, useLive } from "../live.ts";
import {
  badge,
  Choice,
  type Column,
  go,
  orderLink,
  PagedSection,
  pageOf,
  rangeOf,
  Table,
  when,
} from "../parts.ts";
import { linkTo, type Route } from "../route.ts";

/** A row of `reporting.order_overview`, as lists show it. */
export interface OrderRow {
  number: string;
  status: string;
  fulfillment_status: string;
  waits_for: string | null;
  customer_name: string | null;
  email: string | null;
  amount_total: number;
  currency: string;
  created_at: string;
  livemode: boolean;
}

/** The columns of {@linkcode OrderRow}. */
export const ORDER_COLUMNS =
  "number, status, fulfillment_status, waits_for, customer_name, email, amount_total, currency, created_at, livemode";

const STATUSES = [
  "pending",
  "processing",
  "paid",
  "needs_review",
  "payment_failed",
  "expired",
  "cancelled",
  "partially_refunded",
  "refunded",
];

const columns: readonly Column<OrderRow>[] = [
  { title: "Order", cell: ({ number }) => orderLink(number) },
  { title: "Status", cell: ({ status }) => badge(status) },
  { title: "Goods", cell: ({ fulfillment_status }) => badge(fulfillment_status) },
  { title: "Waits for", cell: ({ waits_for }) => waits_for === null ? null : words(waits_for) },
  { title: "Customer", cell: ({ customer_name, email }) => customer_name ?? email ?? null },
  { title: "Total", cell: (row) => money(row.amount_total, row.currency), numeric: true },
  { title: "Created", cell: ({ created_at }) => when(created_at) },
];

/** A table of orders. */
export function OrderTable({ rows, empty }: { rows: readonly OrderRow[]; empty: string }): ComponentChildren {
  return h(Table<OrderRow>, { label: "Orders", columns, rows, empty, rowKey: ({ number }) => number });
}

/** The list, with search. */
export function OrdersPage({ route }: { route: Route }): ComponentChildren {
  const { backend } = useDesk();
  const { q = "", status = "" } = route.filters;
  const page = pageOf(route.filters);
  const live = useLive(JSON.stringify(route.filters), () => {
    const [from, to] = rangeOf(page);
    const all = q === ""
      ? backend.from("reporting.order_overview").select(ORDER_COLUMNS)
      : backend.findOrders(q).select(ORDER_COLUMNS);
    const some = status === "" ? all : all.eq("status", status);
    return rowsOf<OrderRow>(
      some.order("created_at", { ascending: false }).order("number").range(from, to),
    );
  });
  const to = (filters: Record<string, string>) => linkTo("orders", "", { q, status, ...filters });
  return h(
    "div",
    null,
    h(
      "div",
      { class: "filters" },
      h(Search, {
        key: q,
        value: q,
        hint: "Number, e-mail, name, phone, last four digits or SKU",
        onSearch: (text) => go(to({ q: text })),
      }),
      h(Choice, {
        label: "Status",
        value: status,
        options: STATUSES,
        onChoice: (word) => go(to({ status: word })),
      }),
    ),
    h(PagedSection<OrderRow>, {
      title: q === "" ? "Newest orders" : `Orders of “${q}”`,
      live,
      page,
      to: (next) => to({ page: String(next) }),
      children: (shown) =>
        h(OrderTable, {
          rows: shown,
          empty: q === ""
            ? "No orders yet."
            : "Nothing found. A name needs two letters, a phone seven digits.",
        }),
    }),
  );
}

/** A field to search by; it asks when it is sent off. */
export function Search({ value, hint, onSearch }: {
  value: string;
  hint: string;
  onSearch(text: string): void;
}): ComponentChildren {
  const [text, setText] = useState(value);
  const send = (event: Event) => {
    event.preventDefault();
    onSearch(text.trim());
  };
  return h(
    "form",
    { class: "search", role: "search", onSubmit: send },
    h(
      "label",
      { class: "field" },
      h("span", null, hint),
      h("input", {
        type: "search",
        value: text,
        onInput: (event: Event) => setText((event.currentTarget as HTMLInputElement).value),
      }),
    ),
    h("button", { type: "submit" }, "Search"),
    value !== "" && h("button", { type: "button", onClick: () => onSearch("") }, "Clear"),
  );
}
