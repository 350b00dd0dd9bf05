import { html, type Part } from "../../../stand-in/http/html.ts";
import {
  amount,
  anyTable,
  code,
  type Column,
  json,
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
import { readDeliveries } from "./stand_in.ts";

/** What says most about a job. */
const JOB_COLUMNS = ["id", "kind", "status", "attempts", "run_at", "last_error", "payload"];

async function jobs(database: Database, url: URL): Promise<Part> {
  // The queue is private to the database and not part of docs/contract.md: it is shown as it is.
  const paging = new Paging(url, "jobs");
  const rows = await queryPage(database, paging, "select * from private.jobs order by 1 desc");
  return paging.show(rows, (page) => anyTable("Jobs", page, JOB_COLUMNS, "No job was ever queued."));
}

async function waitingEvents(database: Database, url: URL): Promise<Part> {
  const paging = new Paging(url, "events");
  const rows = await queryPage(
    database,
    paging,
    `select id, type, status, attempts, next_attempt_at, last_error
       from public.webhook_events where status in ('failed', 'dead') order by next_attempt_at nulls last, id`,
  );
  const columns = [
    code("Event", "id"),
    text("Type", "type"),
    status("Status", "status"),
    number("Attempts", "attempts"),
    time("Next attempt", "next_attempt_at"),
    text("Last error", "last_error"),
  ];
  return paging.show(rows, (page) => table("Events to retry", columns, page, "No event waits for a retry."));
}

/** Events and jobs that still have to run. */
export async function queueBody(database: Database, url: URL): Promise<Part> {
  return await Promise.all([
    section("Events to retry", () => waitingEvents(database, url)),
    section("Jobs", () => jobs(database, url)),
  ]);
}

const ALERTS = `select kind, severity, status, count, first_at, last_at, data
       from public.alerts order by (status = 'open') desc, last_at desc, id`;

/** The alerts that matter most: open ones first, the newest before older ones. */
export async function newestAlerts(database: Database, limit: number): Promise<Part> {
  return alertTable(await database.query(`${ALERTS} limit $1`, [limit]));
}

async function alerts(database: Database, url: URL): Promise<Part> {
  const paging = new Paging(url, "alerts");
  return paging.show(await queryPage(database, paging, ALERTS), alertTable);
}

function alertTable(rows: readonly Row[]): Part {
  const columns = [
    text("Kind", "kind"),
    status("Severity", "severity"),
    status("Status", "status"),
    number("Times", "count"),
    time("First", "first_at"),
    time("Last", "last_at"),
    json("Data", "data"),
  ];
  return table("Alerts", columns, rows, "No alerts.");
}

async function disputes(database: Database, url: URL): Promise<Part> {
  const paging = new Paging(url, "disputes");
  const rows = await queryPage(
    database,
    paging,
    `select d.id, o.number, d.amount, d.currency, d.reason, d.status, d.evidence_due_by
       from public.disputes d left join public.orders o on o.id = d.order_id
      order by d.evidence_due_by nulls last, d.id`,
  );
  const columns = [
    code("Dispute", "id"),
    text("Order", "number"),
    amount("Amount", "amount"),
    text("Reason", "reason"),
    status("Status", "status"),
    time("Evidence due", "evidence_due_by"),
  ];
  return paging.show(rows, (page) => table("Disputes", columns, page, "No disputes."));
}

async function fraudSignals(database: Database, url: URL): Promise<Part> {
  const paging = new Paging(url, "signals");
  const rows = await queryPage(
    database,
    paging,
    `select s.created_at, o.number, s.kind, s.severity, s.data
       from public.fraud_signals s left join public.orders o on o.id = s.order_id
      order by s.created_at desc, s.id`,
  );
  const columns = [
    time("At", "created_at"),
    text("Order", "number"),
    text("Kind", "kind"),
    status("Severity", "severity"),
    json("Data", "data"),
  ];
  return paging.show(rows, (page) => table("Fraud signals", columns, page, "No signals."));
}

/** Alerts, disputes and fraud signals. */
export async function alertsBody(database: Database, url: URL): Promise<Part> {
  return await Promise.all([
    section("Alerts", () => alerts(database, url)),
    section("Disputes", () => disputes(database, url)),
    section("Fraud signals", () => fraudSignals(database, url)),
  ]);
}

function available(row: Row): Part {
  const left = Number(row.on_hand) - Number(row.reserved);
  if (left > 3) return String(left);
  return html`<span class="badge ${left === 0 ? "bad" : "warn"}">${
    left === 0 ? "sold out" : `${left} left`
  }</span>`;
}

const INVENTORY_COLUMNS: readonly Column[] = [
  code("SKU", "sku"),
  text("Product", "name"),
  text("Colour", "color"),
  text("Size", "size"),
  amount("Price", "price_amount"),
  number("On hand", "on_hand"),
  number("Reserved", "reserved"),
  { title: "Available", cell: available, numeric: true },
];

/** Stock per variant. */
export async function inventoryBody(database: Database, url: URL): Promise<Part> {
  return await section("Stock", async () => {
    const paging = new Paging(url, "page");
    const rows = await queryPage(
      database,
      paging,
      `select v.sku, p.name, v.color, v.size, v.price_amount, v.currency, l.on_hand, l.reserved
         from public.inventory_levels l
         join public.product_variants v on v.id = l.variant_id
         join public.products p on p.id = v.product_id
        order by p.name, v.color, v.sku`,
    );
    const empty = "The catalogue is empty. `deno task dev --fresh` loads the demo catalogue.";
    return paging.show(rows, (page) => table("Stock", INVENTORY_COLUMNS, page, empty));
  });
}

function httpStatus(row: Row): Part {
  const answer = Number(row.status);
  if (!Number.isFinite(answer) || answer === 0) {
    return html`<span class="badge bad">${plain(row.status ?? "no answer")}</span>`;
  }
  return html`<span class="badge ${answer < 300 ? "good" : "bad"}">${answer}</span>`;
}

/** What our receiver said, in one word where it said one. */
function outcome(row: Row): Part {
  if (row.error !== null && row.error !== undefined) return plain(row.error);
  try {
    const body: unknown = JSON.parse(String(row.response));
    if (typeof body === "object" && body !== null && "outcome" in body) return String(body.outcome);
  } catch { /* not our receiver: shown as it came */ }
  return plain(row.response);
}

/** Every delivery attempt of the Stripe stand-in. */
export async function deliveriesBody(stripeUrl: string, url: URL): Promise<Part> {
  return await section("Attempts", async () => {
    const columns: readonly Column[] = [
      time("At", "at"),
      { title: "Event", cell: (row) => html`<code>${plain(row.event_id)}</code>` },
      text("Type", "type"),
      { title: "Answer", cell: httpStatus },
      number("Try", "attempt"),
      number("ms", "duration_ms"),
      { title: "Outcome", cell: outcome },
      text("To", "url"),
    ];
    const paging = new Paging(url, "page");
    const all = await readDeliveries(stripeUrl, paging.offset + paging.limit);
    return paging.showOf(all, (page) => table("Deliveries", columns, page, "Nothing was delivered yet."));
  });
}
