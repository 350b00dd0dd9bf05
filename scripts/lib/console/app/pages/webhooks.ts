/** The log of Stripe's events: what came, what became of it, what it says, and what was turned away. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { rowsOf } from "../backend.ts";
import { CommandButton } from "../command.ts";
import { useDesk, useLive } from "../live.ts";
import {
  badge,
  Choice,
  code,
  type Column,
  Facts,
  go,
  longText,
  PagedSection,
  pageOf,
  rangeOf,
  Section,
  Table,
  when,
} from "../parts.ts";
import { linkTo, type Route } from "../route.ts";

interface EventRow {
  id: string;
  type: string;
  status: string;
  attempts: number;
  delivery_count: number;
  received_at: string;
  next_attempt_at: string | null;
  last_error: string | null;
  ignored_reason: string | null;
}

interface WholeEvent extends EventRow {
  livemode: boolean;
  api_version: string | null;
  stripe_created_at: string;
  delivered_at: string | null;
  processed_at: string | null;
  source_ip: string | null;
  payload: unknown;
}

interface Refused {
  who: string | null;
  detail: string;
  count: number;
  last_at: string;
}

const EVENT_COLUMNS =
  "id, type, status, attempts, delivery_count, received_at, next_attempt_at, last_error, ignored_reason";
const STATUSES = ["processed", "ignored", "failed", "dead"];

const columns: readonly Column<EventRow>[] = [
  { title: "Event", cell: ({ id }) => h("a", { href: linkTo("webhooks", id) }, h("code", null, id)) },
  { title: "Type", cell: ({ type }) => type },
  { title: "Outcome", cell: ({ status }) => badge(status) },
  { title: "Deliveries", cell: ({ delivery_count }) => delivery_count, numeric: true },
  { title: "Received", cell: ({ received_at }) => when(received_at) },
  { title: "Next try", cell: ({ next_attempt_at }) => when(next_attempt_at) },
  { title: "Why", cell: ({ last_error, ignored_reason }) => longText(last_error ?? ignored_reason) },
];

const refusedColumns: readonly Column<Refused>[] = [
  { title: "From", cell: ({ who }) => code(who) },
  { title: "Why", cell: ({ detail }) => detail },
  { title: "Times", cell: ({ count }) => count, numeric: true },
  { title: "Last", cell: ({ last_at }) => when(last_at) },
];

/** The log, narrowed by type and outcome. */
export function WebhooksPage({ route }: { route: Route }): ComponentChildren {
  const { backend } = useDesk();
  const { type = "", status = "" } = route.filters;
  const page = pageOf(route.filters);
  const live = useLive(JSON.stringify(route.filters), () => {
    const all = backend.from("webhook_events").select(EVENT_COLUMNS);
    const ofType = type === "" ? all : all.eq("type", type);
    const some = status === "" ? ofType : ofType.eq("status", status);
    return rowsOf<EventRow>(
      some.order("received_at", { ascending: false }).order("id").range(...rangeOf(page)),
    );
  });
  const types = useLive("types", async () => {
    const rows = await rowsOf<{ type: string }>(backend.from("reporting.webhook_health").select("type"));
    return [...new Set(rows.map((row) => row.type))].sort();
  });
  const refused = useLive("refused", () =>
    rowsOf<Refused>(
      backend.from("reporting.suspicious_activity").select("who, detail, count, last_at")
        .eq("what", "rejected webhooks").order("last_at", { ascending: false }).limit(20),
    ));
  const to = (filters: Record<string, string>) => linkTo("webhooks", "", { type, status, ...filters });
  return h(
    "div",
    null,
    h(
      "div",
      { class: "filters" },
      h(Choice, {
        label: "Type",
        value: type,
        options: types.data ?? [],
        onChoice: (word) => go(to({ type: word })),
      }),
      h(Choice, {
        label: "Outcome",
        value: status,
        options: STATUSES,
        onChoice: (word) => go(to({ status: word })),
      }),
    ),
    h(PagedSection<EventRow>, {
      title: "Events",
      live,
      page,
      to: (next) => to({ page: String(next) }),
      children: (shown) =>
        h(Table<EventRow>, {
          label: "Events",
          columns,
          rows: shown,
          empty: "No event.",
          rowKey: ({ id }) => id,
        }),
    }),
    h(Section<Refused[]>, {
      title: "Requests that were refused",
      live: refused,
      children: (rows) =>
        h(Table<Refused>, {
          label: "Refused requests",
          columns: refusedColumns,
          rows,
          empty: "None was.",
          rowKey: ({ who, detail }) => `${who} ${detail}`,
        }),
    }),
  );
}

/** One event with what it says. */
export function EventPage({ route: { id } }: { route: Route }): ComponentChildren {
  const { backend } = useDesk();
  const live = useLive(
    id,
    () =>
      rowsOf<WholeEvent>(
        backend.from("webhook_events").select(
          `${EVENT_COLUMNS}, livemode, api_version, stripe_created_at, delivered_at, processed_at, source_ip, payload`,
        ).eq("id", id),
      ),
  );
  return h(Section<WholeEvent[]>, {
    title: "What is known of it",
    live,
    children: ([event]) =>
      event === undefined ? h("p", { class: "empty" }, "No such event.") : h(Event, { event }),
  });
}

function Event({ event }: { event: WholeEvent }): ComponentChildren {
  return h(
    "div",
    null,
    h(Facts, {
      facts: [
        ["Type", event.type],
        ["Outcome", badge(event.status)],
        ["Why", longText(event.last_error ?? event.ignored_reason)],
        ["Happened", when(event.stripe_created_at)],
        ["Received", when(event.received_at)],
        ["Deliveries", `${event.delivery_count}`],
        ["Tries", `${event.attempts}`],
        ["Next try", when(event.next_attempt_at)],
        ["From", code(event.source_ip)],
        ["API version", code(event.api_version)],
        ["Mode", event.livemode ? "live" : "test"],
      ],
    }),
    h(
      "p",
      { class: "actions" },
      h(CommandButton, {
        command: {
          verb: "Redrive",
          object: `event ${event.id}`,
          effect:
            "It is translated anew and its facts are merged, whatever became of it. Nothing happens twice.",
          name: "redrive_webhook_event",
          args: { p_event_id: event.id },
          done: "The event is queued again.",
        },
      }),
    ),
    h("h2", null, "Payload"),
    h(
      "pre",
      { class: "code", tabIndex: 0, role: "region", "aria-label": "Payload" },
      JSON.stringify(event.payload, null, 2),
    ),
  );
}
