/** One order: what it is, why it waits, and everything that hangs on it. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { type Backend, rowsOf } from "../backend.ts";
import { type Bill, billOf, money, words } from "../format.ts";
import { useDesk, useLive } from "../live.ts";
import { badge, code, type Column, Facts, json, longText, Section, Table, when } from "../parts.ts";
import { linkTo, type Route } from "../route.ts";
import { JOB_COLUMNS, type JobRow, JobTable } from "./jobs.ts";

interface Overview {
  order_id: string;
  number: string;
  status: string;
  fulfillment_status: string;
  waits_for: string | null;
  customer_name: string | null;
  email: string | null;
  phone: string | null;
  ship_to: string | null;
  paid_with: string | null;
  created_at: string;
  paid_at: string | null;
  fulfilled_at: string | null;
  livemode: boolean;
}

/** Rows of the tables that hang on an order, as Stripe and the database name them. */
type Row = Record<string, string | number | boolean | null> & { id: string | number };

interface Whole {
  overview: Overview;
  advice: string[];
  bill: Bill;
  lists: Record<string, (Row & { data?: unknown })[]>;
  jobs: JobRow[];
}

const textOf = (row: Row, name: string) =>
  row[name] === null || row[name] === undefined ? null : String(row[name]);
const texts = (title: string, name: string): Column<Row> => ({
  title,
  cell: (row) => longText(textOf(row, name)),
});
const codes = (title: string, name: string): Column<Row> => ({
  title,
  cell: (row) => code(textOf(row, name)),
});
const states = (title: string, name: string): Column<Row> => ({
  title,
  cell: (row) => badge(textOf(row, name)),
});
const times = (title: string, name: string): Column<Row> => ({
  title,
  cell: (row) => when(textOf(row, name)),
});
const amount = (name: string, currency: string, title = "Amount"): Column<Row> => ({
  title,
  cell: (row) => row[name] === null ? null : money(Number(row[name]), currency),
  numeric: true,
});

/** What the customer paid or got back in a currency of their own; nothing where there is none. */
const presented: Column<Row> = {
  title: "Charged as",
  cell: (row) => {
    const currency = textOf(row, "presentment_currency");
    return currency === null ? null : money(Number(row["presentment_amount"]), currency);
  },
  numeric: true,
};

/** What is read by the order's id: the table, its columns, and by what they are in order. */
const LISTS: readonly { name: string; select: string; order: string }[] = [
  { name: "order_items", select: "id, sku, name, quantity, unit_amount", order: "sku" },
  {
    name: "payments",
    select:
      "id, status, amount, presentment_amount, presentment_currency, card_brand, card_last4, risk_level, " +
      "succeeded_at",
    order: "created_at",
  },
  {
    name: "payment_attempts",
    select: "id, outcome, amount, decline_code, failure_code, created_at",
    order: "created_at",
  },
  {
    name: "refunds",
    select:
      "id, status, amount, presentment_amount, presentment_currency, reason, failure_reason, created_at",
    order: "created_at",
  },
  { name: "refund_requests", select: "id, status, amount, cause, problem, created_at", order: "created_at" },
  { name: "disputes", select: "id, status, amount, reason, evidence_due_by", order: "created_at" },
  { name: "shipments", select: "id, parcel, carrier, tracking_number, shipped_at", order: "parcel" },
  {
    name: "notifications",
    select: "id, template, status, recipient, sent_at, last_error, created_at",
    order: "created_at",
  },
  { name: "checkout_sessions", select: "id, status, payment_status, expires_at", order: "expires_at" },
  { name: "order_events", select: "id, kind, source, data, created_at", order: "id" },
];

async function readOrder(backend: Backend, number: string): Promise<Whole | null> {
  const [overview] = await rowsOf<Overview>(
    backend.from("reporting.order_overview").select(
      "order_id, number, status, fulfillment_status, waits_for, customer_name, email, phone, ship_to, paid_with, " +
        "created_at, paid_at, fulfilled_at, livemode",
    ).eq("number", number),
  );
  if (overview === undefined) return null;
  const id = overview.order_id;
  const [bills, advice, ...lists] = await Promise.all([
    rowsOf<Bill>(
      backend.from("orders").select(
        "currency, amount_subtotal, amount_discount, amount_shipping, amount_tax, amount_total, amount_paid, " +
          "amount_refunded",
      ).eq("id", id),
    ),
    rowsOf<{ what_to_do: string }>(
      backend.from("reporting.orders_needing_attention").select("what_to_do").eq("number", number),
    ),
    ...LISTS.map(({ name, select, order }) =>
      rowsOf<Row>(backend.from(name).select(select).eq("order_id", id).order(order).limit(500))
    ),
  ]);
  const bill = bills[0];
  if (bill === undefined) return null;
  const byName = Object.fromEntries(LISTS.map(({ name }, at) => [name, lists[at] ?? []]));
  const ids = ["payments", "refunds", "refund_requests", "disputes", "notifications", "checkout_sessions"]
    .flatMap((name) => byName[name] ?? []).map((row) => String(row.id));
  const jobs = await rowsOf<JobRow>(
    backend.from("reporting.jobs").select(JOB_COLUMNS).overlaps("about", [id, ...ids])
      .order("id", { ascending: false }).limit(100),
  );
  return { overview, advice: advice.map((row) => row.what_to_do), bill, lists: byName, jobs };
}

/** The page of one order. */
export function OrderPage({ route: { id } }: { route: Route }): ComponentChildren {
  const { backend } = useDesk();
  const live = useLive(id, () => readOrder(backend, id).then((order) => [order]));
  return h(Section<(Whole | null)[]>, {
    title: "At a glance",
    live,
    children: ([order]) =>
      order === null || order === undefined
        ? h("p", { class: "empty" }, "There is no such order.")
        : h(Order, { order }),
  });
}

function Order({ order: { overview, advice, bill, lists, jobs } }: { order: Whole }): ComponentChildren {
  const { currency } = bill;
  const missing: string[] = [];
  // What there is nothing of is named once, at the end, and not shown as an empty table each.
  const list = (title: string, name: string, columns: readonly Column<Row>[]) => {
    const rows = lists[name] ?? [];
    if (rows.length === 0) {
      missing.push(title.toLowerCase());
      return null;
    }
    return h(
      "section",
      { key: name },
      h("h2", null, title),
      h(Table<Row>, { label: title, columns, rows, empty: "None.", rowKey: (row) => row.id }),
    );
  };
  return h(
    "div",
    null,
    overview.waits_for !== null && h(
      "p",
      { class: `notice ${advice.length > 0 ? "warn" : ""}` },
      h("b", null, "It waits for: "),
      words(overview.waits_for),
      ...advice.map((line) => h("span", { class: "advice" }, line)),
    ),
    h(Facts, {
      facts: [
        ["Status", badge(overview.status)],
        ["Goods", badge(overview.fulfillment_status)],
        ["Customer", overview.customer_name],
        ["E-mail", overview.email],
        ["Phone", overview.phone],
        ["Delivery", overview.ship_to === null ? null : h("span", { class: "lines" }, overview.ship_to)],
        ["Paid with", overview.paid_with],
        ["Created", when(overview.created_at)],
        ["Paid", when(overview.paid_at)],
        ["Sent", when(overview.fulfilled_at)],
        ["Mode", overview.livemode ? "live" : "test"],
        ["Id", code(overview.order_id)],
      ],
    }),
    h(
      "div",
      { class: "columns" },
      list("Items", "order_items", [
        texts("Article", "name"),
        codes("SKU", "sku"),
        texts("Pieces", "quantity"),
        amount("unit_amount", currency, "Each"),
      ]),
      h(
        "section",
        null,
        h("h2", null, "Bill"),
        h(
          "dl",
          { class: "bill" },
          billOf(bill).map(([label, sum]) =>
            h(
              "div",
              { key: label, class: label === "Total" ? "total" : undefined },
              h("dt", null, label),
              h("dd", null, sum),
            )
          ),
        ),
      ),
    ),
    list("Payments", "payments", [
      codes("Payment", "id"),
      states("Status", "status"),
      amount("amount", currency),
      presented,
      {
        title: "Card",
        cell: (row) => [row["card_brand"], row["card_last4"]].filter(Boolean).join(" ") || "–",
      },
      texts("Risk", "risk_level"),
      times("Paid", "succeeded_at"),
    ]),
    list("Tries to pay", "payment_attempts", [
      states("Outcome", "outcome"),
      amount("amount", currency),
      { title: "Why", cell: (row) => words(String(row["decline_code"] ?? row["failure_code"] ?? "")) },
      times("When", "created_at"),
    ]),
    list("Refunds", "refunds", [
      codes("Refund", "id"),
      states("Status", "status"),
      amount("amount", currency),
      { ...presented, title: "Given as" },
      texts("Reason", "reason"),
      texts("Problem", "failure_reason"),
      times("Made", "created_at"),
    ]),
    list("Refunds asked for", "refund_requests", [
      texts("Cause", "cause"),
      states("Status", "status"),
      amount("amount", currency),
      texts("Problem", "problem"),
      times("Asked", "created_at"),
    ]),
    list("Disputes", "disputes", [
      codes("Dispute", "id"),
      states("Status", "status"),
      amount("amount", currency),
      texts("Reason", "reason"),
      times("Answer by", "evidence_due_by"),
    ]),
    list("Parcels", "shipments", [
      texts("Parcel", "parcel"),
      texts("Carrier", "carrier"),
      codes("Number", "tracking_number"),
      times("Left", "shipped_at"),
    ]),
    list("Mails", "notifications", [
      { title: "Mail", cell: (row) => words(String(row["template"])) },
      states("Status", "status"),
      texts("To", "recipient"),
      times("Sent", "sent_at"),
      texts("Why", "last_error"),
    ]),
    list("Payment pages", "checkout_sessions", [
      codes("Session", "id"),
      states("Status", "status"),
      states("Payment", "payment_status"),
      times("Ends", "expires_at"),
    ]),
    h("section", null, h("h2", null, "Jobs"), h(JobTable, { rows: jobs, empty: "No job." })),
    list("What happened", "order_events", [
      times("When", "created_at"),
      { title: "What", cell: (row) => words(String(row["kind"])) },
      { title: "Through", cell: (row) => h(Source, { source: String(row["source"]) }) },
      { title: "Data", cell: (row: Row & { data?: unknown }) => json("Data", row.data) },
    ]),
    missing.length > 0 && h("p", { class: "note" }, `There are none of these: ${missing.join(", ")}.`),
  );
}

/** Through whom something happened; events of Stripe's lead to the log. */
function Source({ source }: { source: string }): ComponentChildren {
  const event = /evt_\w+/.exec(source)?.[0];
  return event === undefined
    ? h("span", null, words(source))
    : h("a", { href: linkTo("webhooks", event) }, h("code", null, event));
}
