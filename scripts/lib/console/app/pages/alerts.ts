/** Alerts: what staff were told and nobody has resolved, with what helps. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { rowsOf } from "../backend.ts";
import { CommandButton } from "../command.ts";
import { words } from "../format.ts";
import { useDesk, useLive } from "../live.ts";
import { badge, type Column, json, orderLink, type Part, Section, Table, when } from "../parts.ts";
import { linkTo } from "../route.ts";

interface AlertRow {
  id: string;
  kind: string;
  severity: string;
  status: string;
  order_number: string | null;
  what_to_do: string;
  count: number;
  first_at: string;
  last_at: string;
  data: unknown;
}

type ResolvedRow = Pick<AlertRow, "id" | "kind" | "severity" | "count" | "first_at" | "last_at" | "data">;

/** The entry of an alert's kind in the runbook: the shop's own page where it has one, else the one that is here. */
function RunbookLink({ kind }: { kind: string }): ComponentChildren {
  const { shop } = useDesk();
  const own = shop.runbook_url;
  return own !== null && /^https?:\/\//.test(own)
    ? h("a", { href: `${own}#${kind}`, rel: "noreferrer" }, "Runbook")
    : h("a", { href: linkTo("runbook", kind) }, "Runbook");
}

function actions({ id, kind, status }: AlertRow): Part {
  const object = `alert ${words(kind)}`;
  return h(
    "div",
    { class: "actions" },
    status === "open" && h(CommandButton, {
      command: {
        verb: "Acknowledge",
        object,
        effect: "The others see that somebody looks at it. It stays on this list.",
        name: "acknowledge_alert",
        args: { p_alert_id: id },
        done: "The alert is acknowledged.",
      },
    }),
    h(CommandButton, {
      command: {
        verb: "Resolve",
        object,
        effect: "Nothing is left to do about it. Should it happen again, it opens again.",
        name: "resolve_alert",
        args: { p_alert_id: id },
        note: "p_note",
        done: "The alert is resolved.",
      },
    }),
  );
}

const openColumns: readonly Column<AlertRow>[] = [
  {
    title: "Alert",
    cell: ({ kind, what_to_do }) => h("span", null, h("b", null, words(kind)), h("small", null, what_to_do)),
  },
  { title: "Severity", cell: ({ severity }) => badge(severity) },
  { title: "Status", cell: ({ status }) => badge(status) },
  { title: "Order", cell: ({ order_number }) => orderLink(order_number) },
  { title: "Times", cell: ({ count }) => count, numeric: true },
  { title: "First", cell: ({ first_at }) => when(first_at) },
  { title: "Last", cell: ({ last_at }) => when(last_at) },
  { title: "Data", cell: ({ data }) => json("Data", data) },
  { title: "Help", cell: ({ kind }) => h(RunbookLink, { kind }) },
  { title: "Do", cell: actions },
];

const resolvedColumns: readonly Column<ResolvedRow>[] = [
  { title: "Alert", cell: ({ kind }) => h("b", null, words(kind)) },
  { title: "Severity", cell: ({ severity }) => badge(severity) },
  { title: "Times", cell: ({ count }) => count, numeric: true },
  { title: "First", cell: ({ first_at }) => when(first_at) },
  { title: "Last", cell: ({ last_at }) => when(last_at) },
  { title: "Data", cell: ({ data }) => json("Data", data) },
];

/** Those that are open, the gravest first, and the last that were resolved. */
export function AlertsPage(): ComponentChildren {
  const { backend } = useDesk();
  const open = useLive("open", () => rowsOf<AlertRow>(backend.from("reporting.open_alerts").select()));
  const resolved = useLive("resolved", () =>
    rowsOf<ResolvedRow>(
      backend.from("alerts").select("id, kind, severity, count, first_at, last_at, data")
        .eq("status", "resolved").order("last_at", { ascending: false }).limit(20),
    ));
  return h(
    "div",
    null,
    h(Section<AlertRow[]>, {
      title: "Not resolved",
      live: open,
      children: (rows) =>
        h(Table<AlertRow>, {
          label: "Alerts",
          columns: openColumns,
          rows,
          empty: "Nothing to see to.",
          rowKey: ({ id }) => id,
        }),
    }),
    h(Section<ResolvedRow[]>, {
      title: "Resolved lately",
      live: resolved,
      children: (rows) =>
        h(Table<ResolvedRow>, {
          label: "Resolved alerts",
          columns: resolvedColumns,
          rows,
          empty: "None.",
          rowKey: ({ id }) => id,
        }),
    }),
  );
}
