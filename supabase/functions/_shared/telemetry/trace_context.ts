/** Ids of traces: an order's own, and those that a caller passes along (https://www.w3.org/TR/trace-context/). */

/** A span, as others refer to it: 32 and 16 hexadecimal digits. */
export interface SpanId {
  traceId: string;
  spanId: string;
}

/**
 * The trace that an order's requests, events, jobs and mails belong to: its id, which is as long as a trace id and as
 * random, without dashes. So nothing has to be stored or handed on beside the order's id.
 */
export function traceIdOf(orderId: string): string {
  return orderId.replaceAll("-", "").toLowerCase();
}

/** The span under which all others of an order stand: that of the checkout which made it. Its end is never zero. */
export function rootSpanOf(orderId: string): SpanId {
  const traceId = traceIdOf(orderId);
  return { traceId, spanId: traceId.slice(16) };
}

/** What a `traceparent` header names; null for none and for one that is not valid. */
export function parseTraceparent(header: string | null): SpanId | null {
  const [, version, traceId = "", spanId = "", rest] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(header ?? "") ?? [];
  // Later versions may go on; ff is none, and nor are zeros ids.
  const unknown = version === undefined || version === "ff" || (version === "00" && rest !== undefined);
  return unknown || /^0+$/.test(traceId) || /^0+$/.test(spanId) ? null : { traceId, spanId };
}

/** A random id of so many bytes. */
export function randomId(bytes: number): string {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
