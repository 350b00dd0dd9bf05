/**
 * Spans as OTLP over HTTP, in JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in
 * hexadecimal, 64-bit numbers as text, enums as numbers.
 */
import type { Attributes, Collector, EndedSpan } from "./ended_span.ts";

const kinds = { internal: 1, server: 2, client: 3 } as const;
const statusError = 2;
const timeoutMs = 5_000;

/**
 * Sends spans to a collector.
 * @throws Error when it does not take them within five seconds.
 */
export async function sendSpans(
  service: string,
  spans: EndedSpan[],
  { url, headers }: Collector,
  fetcher: typeof fetch,
): Promise<void> {
  const response = await fetcher(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(traces(service, spans)),
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the collector answered ${response.status}`);
}

function traces(service: string, spans: EndedSpan[]) {
  return {
    resourceSpans: [{
      resource: { attributes: keyValues({ "service.name": service, "service.namespace": "payments" }) },
      scopeSpans: [{ scope: { name: "payments" }, spans: spans.map(otlpSpan) }],
    }],
  };
}

function otlpSpan({ parentSpanId, startMs, endMs, attributes, failure, ...span }: EndedSpan) {
  return {
    ...span,
    ...(parentSpanId === null ? {} : { parentSpanId }),
    kind: kinds[span.kind],
    startTimeUnixNano: `${startMs}000000`,
    endTimeUnixNano: `${endMs}000000`,
    attributes: keyValues(attributes),
    ...(failure === null ? {} : { status: { code: statusError, message: failure } }),
  };
}

function keyValues(attributes: Attributes) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined
      ? []
      : [{ key, value: typeof value === "string" ? { stringValue: value } : { intValue: String(value) } }]
  );
}
