/** A trace as a table for a terminal. */
import type { OrderTrace, TraceMoment } from "../../supabase/functions/_shared/database/order_trace.ts";
import { formatMoney } from "../../supabase/functions/_shared/stripe/money.ts";
import { traceIdOf } from "../../supabase/functions/_shared/telemetry/trace_context.ts";

type Colour = "red" | "yellow" | "green" | "dim" | "bold";
const codes: Record<Colour, number> = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 };

/** What a moment says of how things stand; the first word that is known decides its colour. */
const colours: [Colour, RegExp][] = [
  ["red", /\b(failed|dead|lost|critical|bounced|complained|given_up|discarded)\b/],
  ["yellow", /\b(queued|running|open|pending|requires_\w+|needs_\w+|warning\w*|suppressed|skipped)\b/],
  ["green", /\b(done|processed|sent|delivered|paid|succeeded|complete|resolved|won)\b/],
];

/** Shown in columns of their own, or beside the amount. */
const elsewhere = ["lag_seconds", "created", "currency"];
const first = ["id", "status", "amount"];
const last = ["error"];

/** The order, and a line for each moment; times are since the order began. `coloured`: for a terminal. */
export function traceTable(trace: OrderTrace, coloured: boolean): string {
  const paint = (colour: Colour | null, text: string) =>
    coloured && colour !== null ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
  const began = Date.parse(trace.created_at);
  const rows = trace.moments.map((moment) => ({
    time: sinceText(Date.parse(moment.at) - began),
    lag: lagOf(moment),
    kind: moment.kind,
    what: moment.what,
    detail: describe(moment, began, trace.currency),
    colour: colourOf(moment),
  }));
  const width = (name: "time" | "lag" | "kind" | "what") =>
    Math.max(name.length, ...rows.map((row) => row[name].length));
  const line = (row: Record<"time" | "lag" | "kind" | "what" | "detail", string>, colour: Colour | null) =>
    [
      row.time.padStart(width("time")),
      row.lag.padStart(width("lag")),
      row.kind.padEnd(width("kind")),
      paint(colour, row.what.padEnd(width("what"))),
      row.detail,
    ].join("  ").trimEnd();
  const heading = line({ time: "time", lag: "lag", kind: "kind", what: "what", detail: "detail" }, null);
  return [
    paint("bold", `Order ${trace.number}: ${trace.status}, ${trace.fulfillment_status}, ${totalOf(trace)}`),
    `id ${trace.order_id}, trace ${traceIdOf(trace.order_id)}, begun ${trace.created_at}`,
    "",
    paint("dim", heading),
    ...rows.map((row) => line(row, row.colour)),
  ].join("\n");
}

function totalOf({ amount_total: total, currency, livemode }: OrderTrace): string {
  return `${formatMoney(total, currency)}${livemode ? "" : ", test mode"}`;
}

function colourOf({ what, detail }: TraceMoment): Colour | null {
  const states = ["status", "to", "severity"].map((field) => detail[field] ?? "").join(" ");
  return colours.find(([, words]) => words.test(`${what.replaceAll("_", " ")} ${states}`))?.[0] ?? null;
}

function lagOf({ detail: { lag_seconds: lag } }: TraceMoment): string {
  return typeof lag === "number" ? durationText(lag * 1000) : "";
}

function describe({ detail }: TraceMoment, began: number, currency: string): string {
  const rank = (name: string) => first.includes(name) ? first.indexOf(name) : last.includes(name) ? 99 : 50;
  return Object.entries(detail)
    .filter(([name]) => !elsewhere.includes(name))
    .toSorted(([a], [b]) => rank(a) - rank(b))
    .map(([name, value]) => {
      if (name === "amount" && typeof value === "number") {
        return formatMoney(value, typeof detail["currency"] === "string" ? detail["currency"] : currency);
      }
      const shown = valueText(value, began);
      return first.includes(name) ? shown : `${name.replace(/_at$/, "")} ${shown}`;
    })
    .join(", ");
}

function valueText(value: unknown, began: number): string {
  if (typeof value !== "string") return JSON.stringify(value);
  const at = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? value : sinceText(at - began);
}

/** Time since the order began, with its sign. */
function sinceText(ms: number): string {
  return `${ms < 0 ? "-" : "+"}${durationText(Math.abs(ms))}`;
}

/** A duration in its two largest units. */
function durationText(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(3)} s`;
  const seconds = Math.round(ms / 1000);
  const pair = (large: number, of: number, small: number) =>
    [Math.floor(seconds / large), Math.floor((seconds % of) / small)] as const;
  const [value, rest, units] = seconds < 3600
    ? [...pair(60, 60, 1), "m s"] as const
    : seconds < 86_400
    ? [...pair(3600, 3600, 60), "h m"] as const
    : [...pair(86_400, 86_400, 3600), "d h"] as const;
  const [large, small] = units.split(" ");
  return `${value} ${large} ${String(rest).padStart(2, "0")} ${small}`;
}
