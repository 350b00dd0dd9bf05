import { type Html, html, type Part } from "../../../stand-in/http/html.ts";
import { badge, plain, section } from "./cells.ts";
import type { Database, Row } from "./database.ts";
import { recentEvents } from "./events.ts";
import { newestAlerts } from "./lists.ts";
import { recentOrders } from "./orders.ts";
import { readHealth } from "./stand_in.ts";

function counts(rows: readonly Row[], none: string): Part {
  if (rows.length === 0) return html`<p class="empty">${none}</p>`;
  return html`<ul class="counts">${
    rows.map((row) => html`<li><b>${String(row.count)}</b> ${badge(row.status)}</li>`)
  }</ul>`;
}

async function byStatus(database: Database, table: "orders" | "webhook_events"): Promise<Row[]> {
  return await database.query(
    `select status, count(*)::int as count from public.${table} group by 1 order by 2 desc`,
  );
}

async function stock(database: Database): Promise<Part> {
  const rows = await database.query(
    `select count(*)::int as variants,
            count(*) filter (where on_hand = reserved)::int as sold_out,
            coalesce(sum(reserved), 0)::int as reserved
       from public.inventory_levels`,
  );
  const { variants = 0, sold_out = 0, reserved = 0 } = rows[0] ?? {};
  return html`
    <ul class="counts">
      <li><b>${Number(variants)}</b> variants</li>
      <li><b>${Number(sold_out)}</b> sold out</li>
      <li><b>${Number(reserved)}</b> reserved</li>
    </ul>
  `;
}

function checks(health: Row): Part {
  const list = typeof health.checks === "object" && health.checks !== null
    ? Object.entries(health.checks)
    : [];
  return html`
    <p>${badge(health.status)}</p>
    <ul class="checks">${list.map(([name, value]: [string, unknown]) => {
      const state = typeof value === "object" && value !== null && "status" in value ? value.status : value;
      return html`<li><span>${name.replaceAll("_", " ")}</span> ${
        typeof state === "object" ? plain(state) : badge(state)
      }</li>`;
    })}</ul>
  `;
}

/** The state of the shop at a glance. */
export async function overviewBody(
  database: Database,
  options: { apiUrl: string; secretKey: string },
): Promise<Html> {
  const tiles = await Promise.all([
    section("Orders", async () => counts(await byStatus(database, "orders"), "None yet.")),
    section("Webhook events", async () => counts(await byStatus(database, "webhook_events"), "None yet.")),
    section("Stock", () => stock(database)),
    section("Health", async () => checks(await readHealth(options.apiUrl, options.secretKey))),
  ]);
  const lists = await Promise.all([
    section("Newest orders", () => recentOrders(database, 8)),
    section("Newest events", () => recentEvents(database, 8)),
    section("Alerts", () => newestAlerts(database, 5)),
  ]);
  return html`<div class="tiles">${tiles}</div>${lists}`;
}
