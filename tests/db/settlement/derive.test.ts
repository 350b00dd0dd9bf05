/** derive_order(): the table of docs/settlement.md as a function, without a row in any table. */
import assert from "node:assert/strict";
import { createTestDatabase } from "../../../scripts/local/test_database.ts";

const database = await createTestDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

interface State {
  stock: string | null;
  review_reasons: string[];
  status: string;
  fulfillment_status: string;
}

/** An order of 100 whose page is open and whose money has not come. */
const waiting = {
  paid: false,
  amount_paid: 0,
  amount_refunded: 0,
  sessions_open: 1,
  sessions_under_way: 0,
  sessions_failed: 0,
  attempt_has_ended: true,
  cancelled: false,
  oversold: false,
  restocked: false,
  fulfilled: false,
  withdrawn: false,
  mismatches: [] as string[],
  fraud_reasons: [] as string[],
  hold_reasons: [] as string[],
};
type Facts = typeof waiting;
const closed = { sessions_open: 0 };
const paid = { ...closed, paid: true, amount_paid: 100 };
const free = { ...paid, amount_paid: 0 };

async function derive(facts: Partial<Facts>): Promise<State> {
  const given = JSON.stringify({ ...waiting, ...facts });
  const [state] = await sql<State[]>`
    select d.* from private.derive_order(jsonb_populate_record(null::private.order_facts, ${given}::text::jsonb)) d`;
  assert(state !== undefined);
  return { ...state };
}

const cases: [string, Partial<Facts>, [string, string, string | null]][] = [
  ["an open page", {}, ["pending", "unfulfilled", null]],
  ["an attempt whose session is not known yet", { ...closed, attempt_has_ended: false }, [
    "pending",
    "unfulfilled",
    null,
  ]],
  ["pages that have all expired", closed, ["expired", "unfulfilled", "released"]],
  ["money under way", { ...closed, sessions_under_way: 1 }, ["processing", "unfulfilled", "active"]],
  ["money under way, cancelled", { ...closed, sessions_under_way: 1, cancelled: true }, [
    "processing",
    "cancelled",
    null,
  ]],
  ["a debit that failed", { ...closed, sessions_failed: 1 }, ["payment_failed", "unfulfilled", "released"]],
  ["a debit that failed while another page is open", { sessions_failed: 1 }, [
    "pending",
    "unfulfilled",
    null,
  ]],
  ["a debit that failed, a new attempt begun", { ...closed, sessions_failed: 1, attempt_has_ended: false }, [
    "pending",
    "unfulfilled",
    null,
  ]],
  ["cancelled, its page still open", { cancelled: true }, ["cancelled", "cancelled", null]],
  ["cancelled, its page closed", { ...closed, cancelled: true }, ["cancelled", "cancelled", "released"]],
  ["cancelled, its debit failed after that", { ...closed, cancelled: true, sessions_failed: 1 }, [
    "cancelled",
    "cancelled",
    "released",
  ]],
  ["paid", paid, ["paid", "unfulfilled", "committed"]],
  ["paid while a second page is open", { ...paid, sessions_open: 1 }, ["paid", "unfulfilled", "committed"]],
  ["nothing to pay", free, ["paid", "unfulfilled", "committed"]],
  ["nothing to pay, and cancelled", { ...free, cancelled: true }, ["cancelled", "cancelled", "released"]],
  ["nothing to pay, and sold out", { ...free, oversold: true }, ["cancelled", "cancelled", "released"]],
  ["paid and shipped", { ...paid, fulfilled: true }, ["paid", "fulfilled", "committed"]],
  ["paid and disputed", { ...paid, hold_reasons: ["dispute"] }, ["paid", "on_hold", "committed"]],
  ["paid after staff cancelled it", { ...paid, cancelled: true }, ["paid", "cancelled", "released"]],
  ["refunded in part", { ...paid, amount_refunded: 1 }, ["partially_refunded", "unfulfilled", "committed"]],
  ["refunded in full, the goods not back", { ...paid, amount_refunded: 100 }, [
    "refunded",
    "cancelled",
    "committed",
  ]],
  ["refunded in full, the goods back", { ...paid, amount_refunded: 100, restocked: true }, [
    "refunded",
    "cancelled",
    "released",
  ]],
  ["refunded in full after it shipped", { ...paid, amount_refunded: 100, fulfilled: true }, [
    "refunded",
    "fulfilled",
    "committed",
  ]],
];
for (const [what, facts, expected] of cases) {
  Deno.test(`derive_order(): ${what} reads ${expected[0]}, ${expected[1]}, stock ${expected[2] ?? "as it is"}`, async () => {
    const { stock, review_reasons, status, fulfillment_status } = await derive(facts);
    assert.deepEqual([status, fulfillment_status, stock], expected);
    assert.deepEqual(review_reasons, []);
  });
}

Deno.test("derive_order() holds paid orders for every reason to look at them, in one list", async () => {
  const doubts = { mismatches: ["amount_mismatch"], fraud_reasons: ["radar_review"] };
  assert.deepEqual(await derive({ ...paid, ...doubts, oversold: true }), {
    stock: "released",
    review_reasons: ["amount_mismatch", "oversold", "radar_review"],
    status: "needs_review",
    fulfillment_status: "cancelled",
  });
  const held = await derive({ ...paid, ...doubts });
  assert.deepEqual([held.status, held.fulfillment_status, held.stock], [
    "needs_review",
    "on_hold",
    "committed",
  ]);
});

Deno.test("derive_order(): a refund in full, nothing paid, and nothing to pay close every open question", async () => {
  const doubts = { mismatches: ["amount_mismatch"], fraud_reasons: ["radar_review"] };
  for (
    const facts of [{ ...paid, amount_refunded: 100 }, closed, { ...free, cancelled: true }]
  ) {
    assert.deepEqual((await derive({ ...facts, ...doubts })).review_reasons, []);
  }
  assert.deepEqual((await derive({ ...paid, ...doubts, amount_refunded: 99 })).status, "needs_review");
});

Deno.test("derive_order() knows one status for whatever facts come together", async () => {
  const [{ none } = { none: -1 }] = await sql<{ none: number }[]>`
    select count(*)::int as none
    from unnest(array[false, true]) paid, unnest(array[0, 100]) amount, unnest(array[0, 50, 100]) refunded,
      unnest(array[0, 1]) open, unnest(array[0, 1]) under_way, unnest(array[0, 1]) failed,
      unnest(array[false, true]) ended, unnest(array[false, true]) cancelled, unnest(array[false, true]) oversold,
      unnest(array[false, true]) restocked, unnest(array[false, true]) fulfilled,
      unnest(array[false, true]) withdrawn,
      private.derive_order(row(paid, amount, refunded, open, under_way, failed, ended, cancelled, oversold,
        restocked, fulfilled, withdrawn, '{}', '{}', '{}')::private.order_facts) d
    where d.status is null or d.fulfillment_status is null or d.review_reasons is null
      or (d.stock = 'committed' and (cancelled or oversold or restocked or not paid))`;
  assert.equal(none, 0);
});
