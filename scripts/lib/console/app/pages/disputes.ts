/** Disputes: those that wait for evidence, by their deadlines, and the others. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { rowsOf } from "../backend.ts";
import { money, urgency, words } from "../format.ts";
import { useDesk, useLive, useNow } from "../live.ts";
import { Badge, Code, type Column, OrderLink, Section, Table, When } from "../parts.ts";

interface DisputeRow {
  id: string;
  reason: string;
  status: string;
  amount: number;
  currency: string;
  evidence_due_by: string | null;
  has_evidence: boolean;
  created_at: string;
  orders: { number: string } | null;
}

const WAITING = ["needs_response", "warning_needs_response", "appeal_needs_response"];

/** When it must be answered, coloured by how soon that is. */
function Deadline({ row: { evidence_due_by, status } }: { row: DisputeRow }): ComponentChildren {
  const now = useNow();
  const tone = WAITING.includes(status) ? urgency(evidence_due_by, now) : "plain";
  return h("span", { class: `deadline ${tone}` }, h(When, { at: evidence_due_by }));
}

const columns: readonly Column<DisputeRow>[] = [
  { title: "Dispute", cell: ({ id }) => h(Code, { text: id }) },
  { title: "Order", cell: ({ orders }) => h(OrderLink, { number: orders?.number ?? null }) },
  { title: "Amount", cell: ({ amount, currency }) => money(amount, currency), numeric: true },
  { title: "Reason", cell: ({ reason }) => words(reason) },
  { title: "Status", cell: ({ status }) => h(Badge, { word: status }) },
  { title: "Answer by", cell: (row) => h(Deadline, { row }) },
  { title: "Evidence", cell: ({ has_evidence }) => has_evidence ? "staged" : "none" },
  { title: "Opened", cell: ({ created_at }) => h(When, { at: created_at }) },
];

/** The table of both lists. */
function DisputeTable({ rows, empty }: { rows: readonly DisputeRow[]; empty: string }): ComponentChildren {
  return h(Table<DisputeRow>, { label: "Disputes", columns, rows, empty, rowKey: ({ id }) => id });
}

export function DisputesPage(): ComponentChildren {
  const { backend } = useDesk();
  const select = () =>
    backend.from("disputes").select(
      "id, reason, status, amount, currency, evidence_due_by, has_evidence, created_at, orders(number)",
    );
  const due = useLive(
    "due",
    () => rowsOf<DisputeRow>(select().in("status", WAITING).order("evidence_due_by").order("id").limit(200)),
  );
  const others = useLive("others", () =>
    rowsOf<DisputeRow>(
      select().not("status", "in", `(${WAITING})`).order("created_at", { ascending: false }).limit(50),
    ));
  return h(
    "div",
    null,
    h(Section<DisputeRow[]>, {
      title: "Wait for an answer",
      live: due,
      children: (rows) => h(DisputeTable, { rows, empty: "None waits." }),
    }),
    h(
      "p",
      { class: "note" },
      "submit_dispute_evidence() sends the evidence, accept_dispute() gives the dispute up: both are final, " +
        "and stand in docs/staff.md.",
    ),
    h(Section<DisputeRow[]>, {
      title: "Answered or over",
      live: others,
      children: (rows) => h(DisputeTable, { rows, empty: "None." }),
    }),
  );
}
