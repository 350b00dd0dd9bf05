/** Money, declines, lag, queue and stock over time. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { allRowsOf, rowsOf } from "../backend.ts";
import { Chart } from "../chart.ts";
import { momentIn, money, words } from "../format.ts";
import { useDesk, useLive, useNow } from "../live.ts";
import { Section, Table } from "../parts.ts";
import { byDay, byHour, carried, dayTime, todayIn } from "../series.ts";

const DAYS = 30;

interface Revenue {
  day: string;
  currency: string;
  livemode: boolean;
  amount_paid: number;
  amount_refunded: number;
}
interface Attempts {
  day: string;
  outcome: string;
  code: string | null;
  attempts: number;
  livemode: boolean;
}
interface Lag {
  hour: string;
  lag_p50_seconds: number | null;
  lag_p95_seconds: number | null;
}
interface Queue {
  hour: string;
  waiting: number;
  done: number;
  dead: number;
}

const dayName = (time: number) => new Date(time * 1000).toISOString().slice(0, 10);
const round = (value: number) => Number.isInteger(value) ? String(value) : value.toFixed(1);

/** All charts, each in its own part of the page. */
export function ChartsPage(): ComponentChildren {
  const { shop } = useDesk();
  const now = useNow();
  const today = todayIn(shop.time_zone, now);
  const since = dayName(dayTime(today) - (DAYS - 1) * 86_400);
  return h(
    "div",
    null,
    h(Money, { today, since }),
    h(Declines, { today, since }),
    h(LagChart, null),
    h(QueueChart, null),
    h(StockChart, { today }),
  );
}

function Money({ today, since }: { today: string; since: string }): ComponentChildren {
  const { backend } = useDesk();
  const live = useLive(`money ${since}`, () =>
    rowsOf<Revenue>(
      backend.from("reporting.revenue_daily").select("day, currency, livemode, amount_paid, amount_refunded")
        .gte("day", since),
    ));
  return h(Section<Revenue[]>, {
    title: "Money",
    live,
    children: (rows) => {
      const kinds = [...Map.groupBy(rows, (row) => `${row.currency} ${row.livemode}`).values()]
        .sort((a, b) => b.length - a.length).flatMap((own) => own.slice(0, 1));
      if (kinds.length === 0) return h("p", { class: "empty" }, "Nothing was paid in the last thirty days.");
      return kinds.map(({ currency, livemode }) =>
        h(
          "div",
          { key: `${currency} ${livemode}` },
          h("h3", null, `${currency.toUpperCase()}${livemode ? "" : ", test mode"}, by day of payment`),
          h(Chart, {
            title: `Money in ${currency.toUpperCase()}`,
            data: byDay(
              rows.filter((row) => row.currency === currency && row.livemode === livemode),
              today,
              DAYS,
              [
                { label: "Paid", color: 1, bars: true, of: (row) => row.amount_paid },
                { label: "Refunded", color: 2, bars: true, of: (row) => row.amount_refunded },
              ],
            ),
            show: (value) => money(value, currency),
            stepNames: dayName,
          }),
        )
      );
    },
  });
}

function Declines({ today, since }: { today: string; since: string }): ComponentChildren {
  const { backend } = useDesk();
  const live = useLive(
    `declines ${since}`,
    () =>
      allRowsOf<Attempts>((from, to) =>
        backend.from("reporting.payment_health").select("day, outcome, code, attempts, livemode").gte(
          "day",
          since,
        )
          .order("day").order("outcome").order("code").order("livemode").range(from, to)
      ),
  );
  return h(Section<Attempts[]>, {
    title: "Tries to pay",
    live,
    children: (rows) => {
      // What was tried with test keys says nothing of the shop's buyers.
      const modes = [...new Set(rows.map(({ livemode }) => livemode))].sort((a, b) => Number(b) - Number(a));
      if (modes.length === 0) {
        return h("p", { class: "empty" }, "Nobody tried to pay in the last thirty days.");
      }
      return modes.map((livemode) =>
        h(Tries, {
          key: String(livemode),
          title: livemode ? "Tries to pay" : "Tries to pay, test mode",
          rows: rows.filter((row) => row.livemode === livemode),
          today,
        })
      );
    },
  });
}

/** The tries of one mode of Stripe's, and why they failed. */
function Tries({ title, rows, today }: {
  title: string;
  rows: readonly Attempts[];
  today: string;
}): ComponentChildren {
  const reasons = new Map<string, number>();
  for (const { outcome, code, attempts } of rows) {
    if (outcome !== "succeeded") {
      reasons.set(code ?? outcome, (reasons.get(code ?? outcome) ?? 0) + attempts);
    }
  }
  return h(
    "div",
    null,
    h("h3", null, title),
    h(Chart, {
      title,
      data: byDay(rows, today, DAYS, [
        { label: "Succeeded", color: 1, of: (row) => row.outcome === "succeeded" ? row.attempts : 0 },
        { label: "Failed", color: 2, of: (row) => row.outcome === "succeeded" ? 0 : row.attempts },
      ]),
      show: round,
      stepNames: dayName,
    }),
    h("h3", null, "Why they failed"),
    h(Table<[string, number]>, {
      label: `Why payments failed${title.slice("Tries to pay".length)}`,
      columns: [
        { title: "Reason", cell: ([reason]) => words(reason) },
        { title: "Times", cell: ([, times]) => times, numeric: true },
      ],
      rows: [...reasons].sort((a, b) => b[1] - a[1]),
      empty: "None did.",
      rowKey: ([reason]) => reason,
    }),
  );
}

function LagChart(): ComponentChildren {
  const { backend, shop } = useDesk();
  const live = useLive("lag", () => rowsOf<Lag>(backend.from("reporting.webhook_lag_hourly").select()));
  return h(Section<Lag[]>, {
    title: "How late events are",
    live,
    children: (rows) =>
      h(Chart, {
        title: "Lag of events in seconds",
        data: byHour(rows, shop.time_zone, [
          { label: "Half within", color: 1, of: (row) => row.lag_p50_seconds },
          { label: "95% within", color: 2, of: (row) => row.lag_p95_seconds },
        ]),
        show: (value) => `${round(value)} s`,
        stepNames: (time) => momentIn(shop.time_zone, new Date(time * 1000).toISOString()),
      }),
  });
}

function QueueChart(): ComponentChildren {
  const { backend, shop } = useDesk();
  const live = useLive("queue", () => rowsOf<Queue>(backend.from("reporting.queue_hourly").select()));
  return h(Section<Queue[]>, {
    title: "Queue",
    live,
    children: (rows) =>
      h(Chart, {
        title: "Jobs by hour",
        data: byHour(rows, shop.time_zone, [
          { label: "Waiting", color: 1, of: (row) => row.waiting },
          { label: "Done", color: 3, of: (row) => row.done },
          { label: "Given up", color: 2, of: (row) => row.dead },
        ]),
        show: round,
        stepNames: (time) => momentIn(shop.time_zone, new Date(time * 1000).toISOString()),
      }),
  });
}

function StockChart({ today }: { today: string }): ComponentChildren {
  const { backend } = useDesk();
  const live = useLive("stock", () =>
    rowsOf<{ day: string; on_hand: number }>(
      backend.from("reporting.stock_daily").select("day, on_hand").order("day", { ascending: false }).limit(
        DAYS,
      ),
    ));
  return h(Section<{ day: string; on_hand: number }[]>, {
    title: "Stock",
    live,
    children: (rows) =>
      h(Chart, {
        title: "Pieces in the house",
        data: carried(rows.map(({ day, on_hand }) => ({ day, value: on_hand })), today, DAYS, {
          label: "Pieces in the house",
          color: 1,
        }),
        show: round,
        stepNames: dayName,
      }),
  });
}
