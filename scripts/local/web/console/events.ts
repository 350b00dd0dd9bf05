import { html, type Part } from "../html.ts";
import { badge, type Column, number, plain, section, status, table, text, time } from "./cells.ts";
import type { Database } from "./database.ts";

const EVENT_COLUMNS: readonly Column[] = [
  {
    title: "Event",
    cell: (row) =>
      html`<a href="/console/events/${encodeURIComponent(String(row.id))}"><code>${
        String(row.id)
      }</code></a>`,
  },
  text("Type", "type"),
  status("Outcome", "status"),
  number("Attempts", "attempts"),
  number("Deliveries", "delivery_count"),
  time("Received", "received_at"),
  time("Next attempt", "next_attempt_at"),
  text("Last error", "last_error"),
];

/** The newest webhook events with their outcome. */
export async function recentEvents(database: Database, limit: number): Promise<Part> {
  const rows = await database.query(
    `select id, type, status, attempts, delivery_count, received_at, next_attempt_at, last_error
       from public.webhook_events order by received_at desc limit $1`,
    [limit],
  );
  return table("Webhook events", EVENT_COLUMNS, rows, "No event has arrived yet.");
}

async function rejections(database: Database): Promise<Part> {
  const rows = await database.query(
    `select reason, source_ip, count, first_at, last_at
       from public.webhook_rejections order by last_at desc limit 100`,
  );
  const columns = [
    text("Reason", "reason"),
    text("From", "source_ip"),
    number("Times", "count"),
    time("First", "first_at"),
    time("Last", "last_at"),
  ];
  return table("Rejected requests", columns, rows, "Nothing was rejected.");
}

/** Events and the requests that were turned away. */
export async function eventsBody(database: Database): Promise<Part> {
  return await Promise.all([
    section("Newest events", () => recentEvents(database, 200)),
    section("Rejected requests", () => rejections(database)),
  ]);
}

/** One event with its payload, or null when it is not stored. */
export async function eventBody(database: Database, id: string): Promise<Part> {
  const [event] = await database.query("select * from public.webhook_events where id = $1", [id]);
  if (event === undefined) return null;
  const { payload, ...rest } = event;
  const facts = Object.entries(rest).map(([name, value]) =>
    html`
      <div>
        <dt>${name}</dt>
        <dd>${name === "status" ? badge(value) : plain(value)}</dd>
      </div>
    `
  );
  return html`
    <dl class="facts">${facts}</dl>
    <section>
      <h2>Payload</h2>
      <pre class="code" tabindex="0">${JSON.stringify(payload, null, 2)}</pre>
    </section>
  `;
}
