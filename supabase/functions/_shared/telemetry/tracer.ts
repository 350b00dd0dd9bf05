/**
 * Spans for whoever collects traces: one order is one trace. Attributes are ids, codes and figures, nothing personal.
 * What cannot be sent is lost and logged: no answer waits for it and no work fails of it.
 */
import { inBackground } from "../background.ts";
import type { Attributes, Collector, EndedSpan } from "./ended_span.ts";
import { parseTraceparent, randomId, rootSpanOf, type SpanId } from "./trace_context.ts";

/** A piece of work under way. */
export interface Span {
  /** It is about this order, so it belongs to its trace; `begins`: it has made the order. */
  concerns(orderId: string, begins?: boolean): void;
  set(attributes: Attributes): void;
  /** Begins a part of this work. */
  child(name: string, kind: EndedSpan["kind"]): Span;
  /** @param failure a code of what went wrong, or null. */
  end(failure: string | null): void;
}

/** How a piece of work begins. */
export interface SpanStart {
  name: string;
  kind: EndedSpan["kind"];
  /** The caller's `traceparent`. Until an order is known the span is a part of that trace, then a link to it. */
  traceparent?: string | null;
}

/** Begins spans. */
export interface Tracer {
  /** The function whose work they are. */
  service: string;
  start(start: SpanStart): Span;
}

/** Ended spans gather for a moment, so that the jobs of one call go out together. */
const gatherMs = 50;
const batchMax = 200;
/** A collector that hangs must not fill the memory. */
const waitingMax = 2_000;

/** A tracer of one function, which is the service in what it sends. */
export function createTracer(
  service: string,
  collector: Collector,
  report: (error: unknown, lost: number) => void,
  fetcher: typeof fetch = fetch,
): Tracer {
  const waiting: EndedSpan[] = [];
  let sending = false;

  async function send(): Promise<void> {
    try {
      while (waiting.length > 0) {
        await new Promise((wake) => setTimeout(wake, gatherMs));
        const spans = waiting.splice(0, batchMax);
        try {
          // Loaded when the first span goes out: without a collector nobody pays for it.
          const { sendSpans } = await import("./otlp.ts");
          await sendSpans(service, spans, collector, fetcher);
        } catch (error) {
          report(error, spans.length);
        }
      }
    } finally {
      sending = false;
    }
  }

  function ended(span: EndedSpan): void {
    if (waiting.length >= waitingMax) return;
    waiting.push(span);
    if (sending) return;
    sending = true;
    inBackground(send());
  }

  return {
    service,
    start({ name, kind, traceparent = null }) {
      const caller = parseTraceparent(traceparent);
      const place = {
        traceId: caller?.traceId ?? randomId(16),
        spanId: randomId(8),
        parentSpanId: caller?.spanId ?? null,
        links: [],
      };
      return startSpan({ name, kind, ...place }, caller, ended);
    },
  };
}

function startSpan(
  begun: Pick<EndedSpan, "name" | "kind" | "traceId" | "spanId" | "parentSpanId" | "links">,
  caller: SpanId | null,
  ended: (span: EndedSpan) => void,
): Span {
  const startMs = Date.now();
  const attributes: Attributes = {};
  let span = begun;
  return {
    concerns(orderId, begins = false) {
      const root = rootSpanOf(orderId);
      span = {
        ...span,
        traceId: root.traceId,
        spanId: begins ? root.spanId : span.spanId,
        parentSpanId: begins ? null : root.spanId,
        links: caller === null ? [] : [caller],
      };
    },
    set: (more) => void Object.assign(attributes, more),
    child: (name, kind) =>
      startSpan(
        { name, kind, traceId: span.traceId, spanId: randomId(8), parentSpanId: span.spanId, links: [] },
        null,
        ended,
      ),
    end: (failure) => ended({ ...span, startMs, endMs: Date.now(), attributes, failure }),
  };
}
