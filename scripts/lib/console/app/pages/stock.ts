/** What is on the shelf, and why a figure is what it is. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { rowsOf } from "../backend.ts";
import { Chart } from "../chart.ts";
import { words } from "../format.ts";
import { useDesk, useLive, useNow } from "../live.ts";
import {
  badge,
  type Column,
  Facts,
  go,
  longText,
  orderLink,
  PagedSection,
  pageOf,
  rangeOf,
  Section,
  Table,
  when,
} from "../parts.ts";
import { linkTo, type Route } from "../route.ts";
import { carried, todayIn } from "../series.ts";
import { Search } from "./orders.ts";

interface StockRow {
  sku: string;
  name: string;
  size: string | null;
  color: string | null;
  on_hand: number;
  reserved: number;
  available: number;
  committed: number;
  price_amount_text: string;
  on_sale: boolean;
}

interface Move {
  id: number;
  change: number;
  kind: string;
  actor: string;
  note: string | null;
  created_at: string;
  orders: { number: string } | null;
}

const COLUMNS = "sku, name, size, color, on_hand, reserved, available, committed, price_amount_text, on_sale";

/** What sells no more is bad news, what runs out (setting low_stock_at) a warning. */
function Left({ row: { available } }: { row: StockRow }): ComponentChildren {
  const { shop } = useDesk();
  const tone = available <= 0 ? "bad" : available <= shop.low_stock_at ? "warn" : "plain";
  return h("span", { class: `badge ${tone}` }, available <= 0 ? "sold out" : String(available));
}

const columns: readonly Column<StockRow>[] = [
  { title: "SKU", cell: ({ sku }) => h("a", { href: linkTo("stock", sku) }, h("code", null, sku)) },
  {
    title: "Article",
    cell: ({ name, size, color }) => [name, size, color].filter((part) => part !== null).join(", "),
  },
  { title: "To sell", cell: (row) => h(Left, { row }), numeric: true },
  { title: "In the house", cell: ({ on_hand }) => on_hand, numeric: true },
  { title: "Held", cell: ({ reserved }) => reserved, numeric: true },
  { title: "Sold", cell: ({ committed }) => committed, numeric: true },
  { title: "Price", cell: ({ price_amount_text }) => price_amount_text, numeric: true },
  { title: "Shown", cell: ({ on_sale }) => on_sale ? "on sale" : "hidden" },
];

/** The list, with search by article. */
export function StockPage({ route }: { route: Route }): ComponentChildren {
  const { backend } = useDesk();
  const { q = "" } = route.filters;
  const page = pageOf(route.filters);
  const live = useLive(JSON.stringify(route.filters), () => {
    const all = backend.from("reporting.inventory_position").select(COLUMNS);
    // Of the text nothing is a pattern, nor a part of the query.
    const like = `"%${q.replaceAll(/[%*,"\\]/g, "")}%"`;
    const some = q === "" ? all : all.or(`sku.ilike.${like},name.ilike.${like}`);
    return rowsOf<StockRow>(some.order("sku").range(...rangeOf(page)));
  });
  const to = (filters: Record<string, string>) => linkTo("stock", "", { q, ...filters });
  return h(
    "div",
    null,
    h(
      "div",
      { class: "filters" },
      h(Search, {
        key: q,
        value: q,
        hint: "Part of an SKU or a name",
        onSearch: (text) => go(to({ q: text })),
      }),
    ),
    h(PagedSection<StockRow>, {
      title: "Stock",
      live,
      page,
      to: (next) => to({ page: String(next) }),
      children: (shown) =>
        h(Table<StockRow>, {
          label: "Stock",
          columns,
          rows: shown,
          empty: "No such article.",
          rowKey: ({ sku }) => sku,
        }),
    }),
  );
}

const moveColumns: readonly Column<Move>[] = [
  { title: "When", cell: ({ created_at }) => when(created_at) },
  { title: "Change", cell: ({ change }) => change > 0 ? `+${change}` : String(change), numeric: true },
  { title: "Why", cell: ({ kind }) => words(kind) },
  { title: "Order", cell: ({ orders }) => orderLink(orders?.number ?? null) },
  { title: "Who", cell: ({ actor }) => longText(actor) },
  { title: "Note", cell: ({ note }) => longText(note) },
];

/** Moves of stock that are read of an article, the newest. */
const MOVES = 500;

/** One article: its stock over time, and every move of it. */
export function ArticlePage({ route: { id } }: { route: Route }): ComponentChildren {
  const { backend, shop } = useDesk();
  const now = useNow();
  const live = useLive(id, async () => {
    const [rows, variants] = await Promise.all([
      rowsOf<StockRow>(backend.from("reporting.inventory_position").select(COLUMNS).eq("sku", id)),
      rowsOf<{ id: string }>(backend.from("product_variants").select("id").eq("sku", id)),
    ]);
    const moves = await rowsOf<Move>(
      backend.from("inventory_journal").select("id, change, kind, actor, note, created_at, orders(number)")
        .in("variant_id", variants.map((variant) => variant.id)).order("id", { ascending: false }).limit(
          MOVES,
        ),
    );
    return { row: rows[0], moves };
  });
  return h(Section<{ row: StockRow | undefined; moves: Move[] }>, {
    title: "On the shelf",
    live,
    children: ({ row, moves }) => {
      if (row === undefined) return h("p", { class: "empty" }, "No such article.");
      // Backwards from what is there now: each move says how it was before.
      let level = row.on_hand;
      const levels = moves.map(({ change, created_at }) => {
        const value = level;
        level -= change;
        return { day: todayIn(shop.time_zone, Date.parse(created_at)), value };
      });
      return h(
        "div",
        null,
        h(Facts, {
          facts: [
            ["Article", row.name],
            ["Size", row.size],
            ["Colour", row.color],
            ["To sell", h(Left, { row })],
            ["In the house", row.on_hand],
            ["Held by open checkouts", row.reserved],
            ["Sold and not come back", row.committed],
            ["Price", row.price_amount_text],
            ["Shown", badge(row.on_sale ? "on sale" : "hidden")],
          ],
        }),
        h("h2", null, "In the house, by day"),
        h(Chart, {
          title: `${row.sku} in the house`,
          data: carried(levels.reverse(), todayIn(shop.time_zone, now), 30, { label: "Pieces", color: 1 }),
          show: String,
          stepNames: (time) => new Date(time * 1000).toISOString().slice(0, 10),
        }),
        h("h2", null, "What moved it"),
        h(Table<Move>, {
          label: "Moves of stock",
          columns: moveColumns,
          rows: moves.slice(0, 100),
          empty: "Nothing has moved.",
          rowKey: (move) => move.id,
        }),
      );
    },
  });
}
