/** Mails to customers, and what became of them. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { rowsOf } from "../backend.ts";
import { words } from "../format.ts";
import { useDesk, useLive } from "../live.ts";
import {
  badge,
  Choice,
  type Column,
  go,
  longText,
  orderLink,
  PagedSection,
  pageOf,
  rangeOf,
  Table,
  when,
} from "../parts.ts";
import { linkTo, type Route } from "../route.ts";

interface MailRow {
  id: string;
  template: string;
  status: string;
  recipient: string | null;
  created_at: string;
  sent_at: string | null;
  delivered_at: string | null;
  last_error: string | null;
  orders: { number: string } | null;
}

const STATUSES = [
  "queued",
  "sent",
  "bounced",
  "complained",
  "suppressed",
  "failed",
  "skipped",
];

const columns: readonly Column<MailRow>[] = [
  { title: "Mail", cell: ({ template }) => words(template) },
  { title: "Status", cell: ({ status }) => badge(status) },
  { title: "Order", cell: ({ orders }) => orderLink(orders?.number ?? null) },
  { title: "To", cell: ({ recipient }) => recipient ?? null },
  { title: "Queued", cell: ({ created_at }) => when(created_at) },
  { title: "Sent", cell: ({ sent_at }) => when(sent_at) },
  { title: "Delivered", cell: ({ delivered_at }) => when(delivered_at) },
  { title: "Why", cell: ({ last_error }) => longText(last_error) },
];

/** The list, narrowed by what became of them. */
export function MailsPage({ route }: { route: Route }): ComponentChildren {
  const { backend } = useDesk();
  const { status = "" } = route.filters;
  const page = pageOf(route.filters);
  const live = useLive(JSON.stringify(route.filters), () => {
    const all = backend.from("notifications").select(
      "id, template, status, recipient, created_at, sent_at, delivered_at, last_error, orders(number)",
    );
    const some = status === "" ? all : all.eq("status", status);
    return rowsOf<MailRow>(
      some.order("created_at", { ascending: false }).order("id").range(...rangeOf(page)),
    );
  });
  const to = (filters: Record<string, string>) => linkTo("mails", "", { status, ...filters });
  return h(
    "div",
    null,
    h(
      "div",
      { class: "filters" },
      h(Choice, {
        label: "Status",
        value: status,
        options: STATUSES,
        onChoice: (word) => go(to({ status: word })),
      }),
    ),
    h(PagedSection<MailRow>, {
      title: "Newest mails",
      live,
      page,
      to: (next) => to({ page: String(next) }),
      children: (shown) =>
        h(Table<MailRow>, {
          label: "Mails",
          columns,
          rows: shown,
          empty: "No mail.",
          rowKey: ({ id }) => id,
        }),
    }),
  );
}
