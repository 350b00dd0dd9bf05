/** Disputes: those that wait for evidence, by their deadlines, and the others. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { rowsOf } from "../backend.ts";
import { CommandButton } from "../command.ts";
import { money, urgency, words } from "../format.ts";
import { useDesk, useLive, useNow } from "../live.ts";
import { badge, code, type Column, orderLink, Section, Table, when } from "../parts.ts";

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
  return h("span", { class: `deadline ${tone}` }, when(evidence_due_by));
}

const columns: readonly Column<DisputeRow>[] = [
  { title: "Dispute", cell: ({ id }) => code(id) },
  { title: "Order", cell: ({ orders }) => orderLink(orders?.number ?? null) },
  { title: "Amount", cell: ({ amount, currency }) => money(amount, currency), numeric: true },
  { title: "Reason", cell: ({ reason }) => words(reason) },
  { title: "Status", cell: ({ status }) => badge(status) },
  { title: "Answer by", cell: (row) => row.evidence_due_by === null ? null : h(Deadline, { row }) },
  { title: "Evidence", cell: ({ has_evidence }) => has_evidence ? "staged" : null },
  { title: "Opened", cell: ({ created_at }) => when(created_at) },
];

/** What staff can do about one that waits. */
function answers({ id }: DisputeRow): ComponentChildren {
  const object = `dispute ${id}`;
  return h(
    "div",
    { class: "actions" },
    h(CommandButton, {
      command: {
        verb: "Submit",
        object,
        effect:
          "The evidence that has been put together goes to the bank, your words first. This is final: " +
          `'deno task evidence ${id}' shows it before.`,
        name: "submit_dispute_evidence",
        args: { p_dispute_id: id },
        note: "p_note",
        done: "The evidence is on its way.",
      },
    }),
    h(CommandButton, {
      command: {
        verb: "Accept",
        object,
        effect: "The dispute is given up, and the money stays with the customer. This is final.",
        name: "accept_dispute",
        args: { p_dispute_id: id },
        note: "p_note",
        done: "The dispute is given up.",
      },
    }),
    h(CommandButton, {
      command: {
        verb: "Leave",
        object,
        effect: "Nothing answers it by itself before the deadline. You still can.",
        name: "leave_dispute",
        args: { p_dispute_id: id },
        note: "p_note",
        done: "It is left to you.",
      },
    }),
  );
}

/** The table of both lists. */
function DisputeTable({ rows, empty, actions }: {
  rows: readonly DisputeRow[];
  empty: string;
  actions: boolean;
}): ComponentChildren {
  return h(Table<DisputeRow>, {
    label: "Disputes",
    columns: actions ? [...columns, { title: "Do", cell: answers }] : columns,
    rows,
    empty,
    rowKey: ({ id }) => id,
  });
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
      children: (rows) => h(DisputeTable, { rows, empty: "None waits.", actions: true }),
    }),
    h(Section<DisputeRow[]>, {
      title: "Answered or over",
      live: others,
      children: (rows) => h(DisputeTable, { rows, empty: "None.", actions: false }),
    }),
  );
}
