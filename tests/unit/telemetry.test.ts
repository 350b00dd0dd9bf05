import assert from "node:assert/strict";
import { createLogger, functionLogger } from "../../supabase/functions/_shared/log.ts";
import { json, respond } from "../../supabase/functions/_shared/http/endpoint.ts";
import { AppError } from "../../supabase/functions/_shared/errors.ts";
import { parseTraceparent } from "../../supabase/functions/_shared/telemetry/trace_context.ts";
import { createTracer } from "../../supabase/functions/_shared/telemetry/tracer.ts";
import { eventually } from "../support/poll.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736", spanId = "00f067aa0ba902b7";
const orderId = "0190a2b4-7b1e-4c5d-8e9f-00000000ABCD";

Deno.test("parseTraceparent() reads what W3C Trace Context allows, and nothing else", () => {
  for (const header of [`00-${traceId}-${spanId}-01`, `01-${traceId}-${spanId}-00-later`]) {
    assert.deepEqual(parseTraceparent(header), { traceId, spanId }, header);
  }
  for (
    const header of [
      null,
      "",
      `00-${traceId}-${spanId}`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${traceId}-${spanId}-01-more`,
      `ff-${traceId}-${spanId}-01`,
      `00-${"0".repeat(32)}-${spanId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      ` 00-${traceId}-${spanId}-01\n`,
    ]
  ) assert.equal(parseTraceparent(header), null, String(header));
});

/** Answers one request and returns the lines that were written. */
async function linesOf(run: Parameters<typeof respond>[2]): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({}, (_level, line) => void lines.push(JSON.parse(line)));
  const request = new Request("http://functions.example/x", {
    headers: { traceparent: `00-${traceId}-${spanId}-01` },
  });
  await respond(request, { methods: ["GET"], allowedOrigins: null, log }, run);
  return lines;
}

Deno.test("lines name the order's trace once the order is known, a failure's too, and the caller's from the start", async () => {
  const lines = await linesOf((context) => {
    context.log.info("before");
    context.concerns(orderId).info("after");
    throw new AppError("stripe_unavailable");
  });
  const told = lines.map((
    line,
  ) => [line["message"], line["order_id"], line["trace_id"], line["caller_trace_id"]]);
  const trace = "0190a2b47b1e4c5d8e9f00000000abcd";
  assert.deepEqual(told, [
    ["before", undefined, undefined, traceId],
    ["after", orderId, trace, traceId],
    ["request_failed", orderId, trace, traceId],
  ]);
});

Deno.test("without a collector there are no spans; with one that fails, work goes on and a line says what was lost", async () => {
  assert.equal(functionLogger("unit", { collector: null }).tracer, undefined);
  const failures: [string, number][] = [];
  const tracer = createTracer(
    "unit",
    { url: "http://collector.example/v1/traces", headers: {} },
    (error, lost) => failures.push([String(error), lost]),
    () => Promise.resolve(new Response(null, { status: 503 })),
  );
  const log = createLogger({}, () => {}, tracer);
  const answer = await respond(
    new Request("http://functions.example/x"),
    { methods: ["GET"], allowedOrigins: null, log },
    () => Promise.resolve(json({})),
  );
  assert.equal(answer.status, 200);
  await eventually("the failure to be reported", () => failures.length > 0);
  assert.deepEqual(failures, [["Error: the collector answered 503", 1]]);
});
