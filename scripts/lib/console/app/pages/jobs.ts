/** The queue: what is to be done outside of the database, and what was given up. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { rowsOf } from "../backend.ts";
import { CommandButton } from "../command.ts";
import { words } from "../format.ts";
import { useDesk, useLive } from "../live.ts";
import {
  badge,
  Choice,
  type Column,
  go,
  json,
  longText,
  orderLink,
  PagedSection,
  pageOf,
  rangeOf,
  Table,
  when,
} from "../parts.ts";
import { linkTo, type Route } from "../route.ts";

/** A row of `reporting.jobs`. */
export interface JobRow {
  id: number;
  kind: string;
  what_it_does: string | null;
  status: string;
  order_number: string | null;
  attempts: number;
  max_attempts: number;
  run_at: string;
  finished_at: string | null;
  last_error: string | null;
  payload: unknown;
}

/** The columns of {@linkcode JobRow}. */
export const JOB_COLUMNS = "id, kind, what_it_does, status, order_number, attempts, max_attempts, run_at, " +
  "finished_at, last_error, payload";

const STATUSES = ["queued", "running", "dead", "discarded", "done"];

const columns: readonly Column<JobRow>[] = [
  {
    title: "Job",
    cell: ({ kind, what_it_does, payload }) =>
      h(
        "span",
        null,
        h("b", null, words(kind)),
        h("small", null, what_it_does),
        json("What it was told", payload),
      ),
  },
  { title: "Status", cell: ({ status }) => badge(status) },
  { title: "Order", cell: ({ order_number }) => orderLink(order_number) },
  { title: "Tries", cell: ({ attempts, max_attempts }) => `${attempts} of ${max_attempts}`, numeric: true },
  { title: "Due", cell: ({ run_at, finished_at }) => finished_at === null ? when(run_at) : null },
  { title: "Ended", cell: ({ finished_at }) => when(finished_at) },
  { title: "Last error", cell: ({ last_error }) => longText(last_error) },
  { title: "Do", cell: redrive },
];

function redrive({ id, kind, status }: JobRow): ComponentChildren {
  if (!["queued", "dead", "discarded"].includes(status)) return null;
  return h(CommandButton, {
    command: {
      verb: "Redrive",
      object: `job ${id}`,
      effect: `${
        words(kind)
      }: it is due at once, with all its tries. Remove the cause of its last error first.`,
      name: "redrive_job",
      args: { p_job_id: id },
      done: `Job ${id} is queued again.`,
    },
  });
}

/** A table of jobs. */
export function JobTable({ rows, empty }: { rows: readonly JobRow[]; empty: string }): ComponentChildren {
  return h(Table<JobRow>, { label: "Jobs", columns, rows, empty, rowKey: ({ id }) => id });
}

/** The list, the dead ones first in reach. */
export function JobsPage({ route }: { route: Route }): ComponentChildren {
  const { backend, shop } = useDesk();
  const { status = "" } = route.filters;
  const page = pageOf(route.filters);
  const live = useLive(JSON.stringify(route.filters), () => {
    const all = backend.from("reporting.jobs").select(JOB_COLUMNS);
    const some = status === "" ? all : all.eq("status", status);
    return rowsOf<JobRow>(some.order("id", { ascending: false }).range(...rangeOf(page)));
  });
  const to = (filters: Record<string, string>) => linkTo("jobs", "", { status, ...filters });
  return h(
    "div",
    null,
    shop.dead_jobs > 0 && status !== "dead" && h(
      "p",
      { class: "notice bad" },
      `${shop.dead_jobs} ${shop.dead_jobs === 1 ? "job was" : "jobs were"} given up. `,
      h("a", { href: to({ status: "dead" }) }, "Show them"),
    ),
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
    h(PagedSection<JobRow>, {
      title: status === "" ? "All jobs" : `Jobs that are ${status}`,
      live,
      page,
      to: (next) => to({ page: String(next) }),
      children: (shown) => h(JobTable, { rows: shown, empty: "No job." }),
    }),
  );
}
