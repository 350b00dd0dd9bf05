import { type BillLine, billLines } from "../../../../supabase/functions/_shared/stripe/money.ts";
import { html, type Part } from "../../../stand-in/http/html.ts";
import {
  amount,
  badge,
  code,
  type Column,
  json,
  money,
  number,
  plain,
  section,
  status,
  table,
  text,
  time,
} from "./cells.ts";
import { Paging } from "../paging.ts";
import { type Database, queryPage, type Row } from "./database.ts";

const NUMBER: Column = {
  title: "Order",
  cell: (row) =>
    html`<a href="/console/orders/${encodeURIComponent(String(row.number))}">${String(row.number)}</a>`,
};

const ORDER_COLUMNS: readonly Column[] = [
  NUMBER,
  status("Status", "status"),
  status("Fulfilment", "fulfillment_status"),
  amount("Total", "amount_total"),
  amount("Paid", "amount_paid"),
  amount("Refunded", "amount_refunded"),
  text("E-mail", "email"),
  time("Created", "created_at"),
];

const ORDERS =
  `select number, status, fulfillment_status, currency, amount_total, amount_paid, amount_refunded,
            email, created_at, paid_at
       from public.orders order by created_at desc, id`;

/** The newest orders. */
export async function recentOrders(database: Database, limit: number): Promise<Part> {
  return orderTable(await database.query(`${ORDERS} limit $1`, [limit]));
}

function orderTable(rows: readonly Row[]): Part {
  return table("Orders", ORDER_COLUMNS, rows, "No orders yet. Buy something in the store.");
}

/** Orders, the newest first, page by page. */
export async function ordersBody(database: Database, url: URL): Promise<Part> {
  const paging = new Paging(url, "page");
  return await section(
    "Newest orders",
    async () => paging.show(await queryPage(database, paging, ORDERS), orderTable),
  );
}

function fact(name: string, value: Part) {
  return html`
    <div>
      <dt>${name}</dt>
      <dd>${value}</dd>
    </div>
  `;
}

function facts(order: Row): Part {
  const sum = (name: string) => money(order[name], order.currency);
  const bill = billLines({
    amount_discount: Number(order.amount_discount),
    amount_shipping: Number(order.amount_shipping),
    amount_tax: Number(order.amount_tax),
    amount_total: Number(order.amount_total),
    items: [{ quantity: 1, unit_amount: Number(order.amount_subtotal) }],
  });
  const line = ({ label, amount }: BillLine) => fact(label, money(amount, order.currency));
  return html`<dl class="facts">
    ${fact("Status", badge(order.status))}${fact("Fulfilment", badge(order.fulfillment_status))}
    ${fact("E-mail", plain(order.email))}
    ${fact("Subtotal", sum("amount_subtotal"))}${bill.filter(({ included }) => !included).map(line)}
    ${fact("Total", sum("amount_total"))}${bill.filter(({ included }) => included).map(line)}
    ${fact("Paid", sum("amount_paid"))}${fact("Refunded", sum("amount_refunded"))}
    ${fact("Created", plain(order.created_at))}${fact("Paid at", plain(order.paid_at))}
    ${fact("Id", html`<code>${String(order.id)}</code>`)}
  </dl>`;
}

/** What belongs to an order, each read by the order's id. */
const PARTS: readonly { title: string; query: string; columns: readonly Column[]; empty: string }[] = [
  {
    title: "Items",
    query: `select i.sku, i.name, i.quantity, i.unit_amount, o.currency
              from public.order_items i join public.orders o on o.id = i.order_id
             where i.order_id = $1 order by i.sku`,
    columns: [
      code("SKU", "sku"),
      text("Name", "name"),
      number("Quantity", "quantity"),
      amount("Unit price", "unit_amount"),
    ],
    empty: "No items.",
  },
  {
    title: "Reservations",
    query: `select v.sku, r.quantity, r.status, r.expires_at
              from public.inventory_reservations r join public.product_variants v on v.id = r.variant_id
             where r.order_id = $1 order by v.sku`,
    columns: [
      code("SKU", "sku"),
      number("Quantity", "quantity"),
      status("Status", "status"),
      time("Held until", "expires_at"),
    ],
    empty: "Nothing was reserved.",
  },
  {
    title: "Checkout sessions",
    query:
      "select id, status, payment_status, url, expires_at from public.checkout_sessions where order_id = $1 order by expires_at",
    columns: [
      code("Session", "id"),
      status("Status", "status"),
      status("Payment", "payment_status"),
      time("Expires", "expires_at"),
      {
        title: "Page",
        cell: (row) => /^https?:/.test(String(row.url)) ? html`<a href="${String(row.url)}">open</a>` : "–",
      },
    ],
    empty: "No checkout session yet.",
  },
  {
    title: "Payments",
    query: `select id, status, amount, currency, card_brand, card_last4, risk_level
              from public.payments where order_id = $1 order by id`,
    columns: [
      code("Payment", "id"),
      status("Status", "status"),
      amount("Amount", "amount"),
      text("Card", "card_brand"),
      text("Last four", "card_last4"),
      text("Risk", "risk_level"),
    ],
    empty: "No payment yet.",
  },
  {
    title: "Payment attempts",
    query:
      "select outcome, decline_code, payment_id, created_at from public.payment_attempts where order_id = $1 order by created_at",
    columns: [
      status("Outcome", "outcome"),
      text("Decline code", "decline_code"),
      code("Payment", "payment_id"),
      time("At", "created_at"),
    ],
    empty: "No attempts recorded.",
  },
  {
    title: "Refunds",
    query: `select r.id, r.amount, r.status, r.reason, o.currency
              from public.refunds r join public.orders o on o.id = r.order_id where r.order_id = $1 order by r.id`,
    columns: [
      code("Refund", "id"),
      amount("Amount", "amount"),
      status("Status", "status"),
      text("Reason", "reason"),
    ],
    empty: "No refunds.",
  },
  {
    title: "Audit trail",
    query:
      "select kind, source, data, created_at from public.order_events where order_id = $1 order by created_at, id",
    columns: [time("At", "created_at"), text("What", "kind"), text("Source", "source"), json("Data", "data")],
    empty: "No entries.",
  },
];

/** Everything about one order, or null when there is no such number. */
export async function orderBody(database: Database, orderNumber: string): Promise<Part> {
  const [order] = await database.query("select * from public.orders where number::text = $1", [orderNumber]);
  if (order === undefined) return null;
  const parts = PARTS.map(({ title, query, columns, empty }) =>
    section(title, async () => table(title, columns, await database.query(query, [String(order.id)]), empty))
  );
  return [facts(order), ...await Promise.all(parts)];
}
