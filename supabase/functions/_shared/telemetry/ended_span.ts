/** What is sent of a piece of work, and where to. */
import type { SpanId } from "./trace_context.ts";

/** Where spans go: the full address, and headers that let us in. */
export interface Collector {
  url: string;
  headers: Record<string, string>;
}

export type Attributes = Record<string, string | number | undefined>;

/** A piece of work that has ended; times in epoch milliseconds. */
export interface EndedSpan extends SpanId {
  name: string;
  kind: "server" | "internal" | "client";
  parentSpanId: string | null;
  links: SpanId[];
  startMs: number;
  endMs: number;
  attributes: Attributes;
  /** A code of what went wrong; null: nothing. */
  failure: string | null;
}
