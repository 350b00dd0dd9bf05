/** A chart, and its figures as a table for whoever cannot see it. */
/// <reference lib="dom" />
import { type ComponentChildren, h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { Table } from "./parts.ts";

/** One line of a chart. `values` has one for each time; null is a gap. */
export interface Line {
  label: string;
  values: (number | null)[];
  /** Which of the colours of the palette: 1 to 3. */
  color: 1 | 2 | 3;
  /** Drawn as bars. */
  bars?: boolean;
}

/** What a chart shows. */
export interface ChartData {
  /** The time zone whose days and hours stand below it. */
  zone: string;
  /** Seconds since 1970, rising. */
  times: number[];
  lines: Line[];
}

interface Shown {
  title: string;
  data: ChartData;
  /** A figure as people read it. */
  show(value: number): string;
  /** How a time is written in the table: by the day, or by the hour. */
  stepNames(time: number): string;
}

const HEIGHT = 220;

/** Draws it as wide as there is room, in the colours of the page, anew when the figures or the colours change. */
export function Chart({ title, data, show, stepNames }: Shown): ComponentChildren {
  const [open, setOpen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const figures = JSON.stringify(data);
  useEffect(() => {
    const element = place.current;
    if (element === null || data.times.length === 0) return;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    let plot = draw(element, data, show);
    const again = () => {
      plot.destroy();
      plot = draw(element, data, show);
    };
    const watcher = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    watcher.observe(element);
    dark.addEventListener("change", again);
    return () => {
      watcher.disconnect();
      dark.removeEventListener("change", again);
      plot.destroy();
    };
  }, [figures]);
  if (data.times.length === 0) return h("p", { class: "empty" }, "Nothing to draw yet.");
  return h(
    "figure",
    null,
    h(
      "figcaption",
      null,
      data.lines.map(({ label, color }) =>
        h(
          "span",
          { key: label, class: "key" },
          h("i", { class: `swatch color-${color}`, "aria-hidden": "true" }),
          label,
        )
      ),
    ),
    h("div", {
      ref: place,
      class: "plot",
      role: "img",
      "aria-label": `Chart: ${title}. Its figures follow as a table.`,
    }),
    h(
      "details",
      { onToggle: (event: Event) => setOpen((event.currentTarget as HTMLDetailsElement).open) },
      h("summary", null, "Figures"),
      // Hundreds of rows that as a rule nobody asks for.
      open && h(Figures, { title, data, show, stepNames }),
    ),
  );
}

/** The figures, the newest first. */
function Figures({ title, data, show, stepNames }: Shown): ComponentChildren {
  return h(Table<number>, {
    label: title,
    columns: [
      { title: "When", cell: (at) => stepNames(data.times[at] ?? 0) },
      ...data.lines.map(({ label, values }) => ({
        title: label,
        numeric: true,
        cell: (at: number) => {
          const value = values[at];
          return value === null || value === undefined ? null : show(value);
        },
      })),
    ],
    rows: data.times.map((_, at) => data.times.length - 1 - at),
    empty: "None.",
    rowKey: (at) => at,
  });
}

function draw(
  element: HTMLDivElement,
  { zone, times, lines }: ChartData,
  show: (value: number) => string,
): uPlot {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--soft"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: zone });
  const step = (times[1] ?? 0) - (times[0] ?? 0);
  const margin = lines.some((line) => line.bars === true) ? Math.max(step, 0) / 2 : 0;
  const bars = uPlot.paths.bars?.({ size: [0.7, 40] });
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: {
        // Room for the whole of the first and the last bar.
        x: { range: (_plot, low, high) => [low - margin, high + margin] },
        y: { range: (_plot, low, high) => [Math.min(0, low), high <= 0 ? 1 : high * 1.1] },
      },
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), zone),
      axes: [{
        ...axis,
        values: (_plot: uPlot, splits: number[]) => splits.map((time) => day.format(time * 1000)),
        incrs: [86_400, 2 * 86_400, 5 * 86_400, 10 * 86_400],
        space: 62,
        size: 28,
      }, {
        ...axis,
        size: 74,
        values: (_plot: uPlot, values: number[]) => values.map((value) => show(value)),
      }],
      series: [
        {},
        ...lines.map((line): uPlot.Series => ({
          label: line.label,
          stroke: color(`--chart-${line.color}`),
          width: 2,
          // What stands alone between gaps would not be seen without its point.
          ...(line.values.includes(null) ? {} : { points: { show: false } }),
          spanGaps: false,
          ...(line.bars === true && bars !== undefined
            ? { paths: bars, fill: color(`--chart-${line.color}`) }
            : {}),
        })),
      ],
    },
    // A bar of nothing would still be a stroke.
    [
      times,
      ...lines.map(({ values, bars }) => bars === true ? values.map((value) => value || null) : values),
    ],
    element,
  );
}
