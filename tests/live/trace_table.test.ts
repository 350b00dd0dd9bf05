/** How `deno task trace` shows a moment. */
import assert from "node:assert/strict";
import { traceTable } from "../../scripts/live/trace_table.ts";
import type { TraceMoment } from "../../supabase/functions/_shared/database/order_trace.ts";

const began = Date.parse("2026-11-27T10:00:00Z");

function table(moments: [seconds: number, Omit<TraceMoment, "at">][], coloured = false): string[] {
  return traceTable({
    order_id: "0190a2b4-7b1e-4c5d-8e9f-00000000abcd",
    number: "KCT-1",
    status: "paid",
    fulfillment_status: "unfulfilled",
    amount_total: 12_900,
    currency: "usd",
    livemode: true,
    created_at: new Date(began).toISOString(),
    moments: moments.map(([seconds, moment]) => ({
      at: new Date(began + seconds * 1000).toISOString(),
      ...moment,
    })),
  }, coloured).split("\n").slice(4);
}

Deno.test("times are since the order began, in their two largest units", () => {
  const moment = { kind: "order", what: "x", detail: {} };
  const lines = table([-0.25, 59.999, 60, 3_599, 3_600, 90_061, 40 * 86_400].map((at) => [at, moment]));
  assert.deepEqual(lines.map((line) => line.split("  order")[0]?.trim()), [
    "-0.250 s",
    "+59.999 s",
    "+1 m 00 s",
    "+59 m 59 s",
    "+1 h 00 m",
    "+1 d 01 h",
    "+40 d 00 h",
  ]);
});

Deno.test("a line has id, state and amount first and the error last; a state has its colour on a terminal", () => {
  const job: Omit<TraceMoment, "at"> = {
    kind: "job",
    what: "refund_payment",
    detail: {
      error: "stripe 400",
      attempts: 2,
      run_at: "2026-11-27T10:01:05Z",
      amount: 500,
      currency: "eur",
      status: "dead",
      id: 7,
    },
  };
  const event = { kind: "event", what: "charge.updated", detail: { id: "evt_1", lag_seconds: 0.5 } };
  assert.deepEqual(table([[1, job], [2, event]]), [
    "+1.000 s           job    refund_payment  7, dead, €5.00, attempts 2, run +1 m 05 s, error stripe 400",
    "+2.000 s  0.500 s  event  charge.updated  evt_1",
  ]);
  const [dead = "", neutral = ""] = table([[1, job], [2, event]], true);
  assert(dead.includes("\u001b[31mrefund_payment\u001b[0m"), dead);
  assert(!neutral.includes("\u001b"), neutral);
});
