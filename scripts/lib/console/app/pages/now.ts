/** The shop at this moment: what waits for a person, and what came last. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { countOf, rowsOf } from "../backend.ts";
import { words } from "../format.ts";
import { useDesk, useLive } from "../live.ts";
import { badge, type Column, orderLink, Section, Table, when } from "../parts.ts";
import { linkTo } from "../route.ts";
import { ORDER_COLUMNS, type OrderRow, OrderTable } from "./orders.ts";

interface Waiting {
  number: string;
  reasons: string[];
  what_to_do: string;
  status: string;
  created_at: string;
}

const columns: readonly Column<Waiting>[] = [
  { title: "Order", cell: ({ number }) => orderLink(number) },
  { title: "Status", cell: ({ status }) => badge(status) },
  {
    title: "Why it waits",
    cell: ({ reasons, what_to_do }) =>
      h("span", null, h("b", null, reasons.map(words).join(", ")), h("small", null, what_to_do)),
  },
  { title: "Created", cell: ({ created_at }) => when(created_at) },
];

/** A figure that leads to what it counts. */
function Tile({ label, count, href, bad = false }: {
  label: string;
  count: number | null;
  href: string;
  bad?: boolean;
}): ComponentChildren {
  return h(
    "li",
    null,
    h(
      "a",
      { class: `tile ${bad && count !== null && count > 0 ? "bad" : ""}`, href },
      h("b", null, count ?? "…"),
      h("span", null, label),
    ),
  );
}

/** The first page. */
export function NowPage(): ComponentChildren {
  const { backend, shop } = useDesk();
  const waiting = useLive("waiting", () =>
    rowsOf<Waiting>(
      backend.from("reporting.orders_needing_attention")
        .select("number, reasons, what_to_do, status, created_at").limit(20),
    ));
  const counts = useLive("counts", async () => {
    const count = (view: string) => countOf(backend.from(view).select("*", { count: "exact" }).limit(1));
    const [waits, packing, disputes] = await Promise.all(
      ["reporting.orders_needing_attention", "reporting.orders_to_ship", "reporting.disputes_due"].map(count),
    );
    return { waits, packing, disputes };
  });
  const newest = useLive("newest", () =>
    rowsOf<OrderRow>(
      backend.from("reporting.order_overview").select(ORDER_COLUMNS)
        .order("created_at", { ascending: false }).order("number").limit(10),
    ));
  return h(
    "div",
    null,
    h(
      "ul",
      { class: "tiles" },
      h(Tile, { label: "orders wait for you", count: counts.data?.waits ?? null, href: "#/now", bad: true }),
      h(Tile, {
        label: "orders to pack",
        count: counts.data?.packing ?? null,
        href: linkTo("orders", "", { status: "paid" }),
      }),
      h(Tile, { label: "open alerts", count: shop.open_alerts, href: linkTo("alerts"), bad: true }),
      h(Tile, {
        label: "disputes to answer",
        count: counts.data?.disputes ?? null,
        href: linkTo("disputes"),
        bad: true,
      }),
      h(Tile, {
        label: "dead jobs",
        count: shop.dead_jobs,
        href: linkTo("jobs", "", { status: "dead" }),
        bad: true,
      }),
      h(Tile, {
        label: "dead events",
        count: shop.dead_events,
        href: linkTo("webhooks", "", { status: "dead" }),
        bad: true,
      }),
    ),
    h(Section<Waiting[]>, {
      title: "Orders that wait for you",
      live: waiting,
      children: (rows) =>
        h(Table<Waiting>, {
          label: "Orders that wait",
          columns,
          rows,
          empty: "None does.",
          rowKey: ({ number }) => number,
        }),
    }),
    h(Section<OrderRow[]>, {
      title: "Newest orders",
      live: newest,
      aside: h("a", { href: linkTo("orders") }, "All orders"),
      children: (rows) => h(OrderTable, { rows, empty: "No orders yet." }),
    }),
  );
}
