import { html, type Part } from "../../../stand-in/http/html.ts";
import { badge, type Column, number, plain, section, status, table, text, time } from "./cells.ts";
import { Paging } from "../paging.ts";
import { type Database, queryPage, type Row } from "./database.ts";

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

const EVENTS = `select id, type, status, attempts, delivery_count, received_at, next_attempt_at, last_error
       from public.webhook_events order by received_at desc, id`;

/** The newest webhook events with their outcome. */
export async function recentEvents(database: Database, limit: number): Promise<Part> {
  return eventTable(await database.query(`${EVENTS} limit $1`, [limit]));
}

function eventTable(rows: readonly Row[]): Part {
  return table("Webhook events", EVENT_COLUMNS, rows, "No event has arrived yet.");
}

async function rejections(database: Database, url: URL): Promise<Part> {
  const paging = new Paging(url, "rejections");
  const rows = await queryPage(
    database,
    paging,
    `select reason, source_ip, count, first_at, last_at
       from public.webhook_rejections order by last_at desc, reason, source_ip`,
  );
  const columns = [
    text("Reason", "reason"),
    text("From", "source_ip"),
    number("Times", "count"),
    time("First", "first_at"),
    time("Last", "last_at"),
  ];
  return paging.show(rows, (page) => table("Rejected requests", columns, page, "Nothing was rejected."));
}

/** Events and the requests that were turned away. */
export async function eventsBody(database: Database, url: URL): Promise<Part> {
  const paging = new Paging(url, "page");
  return await Promise.all([
    section(
      "Newest events",
      async () => paging.show(await queryPage(database, paging, EVENTS), eventTable),
    ),
    section("Rejected requests", () => rejections(database, url)),
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
