/** Money that came in an unusual way adds up in the reports too. */
import assert from "node:assert/strict";
import { applyFacts, attachSession, beginCheckout, sessionFact } from "./checkout/cart_support.ts";
import { items, world } from "./checkout/attempt_support.ts";

Deno.test("accounting_export has what was paid beside a free page of the same order, and its refund", async () => {
  await using database = await world(2);
  const { sql } = database;
  const begun = await beginCheckout(sql, { items, key: "k" });
  const free = await attachSession(sql, begun);
  const over = { status: "complete", amount_discount: begun.amount_subtotal, amount_total: 0 };
  await applyFacts(sql, [
    sessionFact(begun, { id: free.id, ...over, payment_status: "no_payment_required" }),
    sessionFact(begun, {
      attempt: null,
      recovered_from: free.id,
      status: "complete",
      payment_status: "paid",
      payment_id: "pi_1",
    }),
  ]);
  const [request] = await sql`select cause from public.refund_requests`;
  assert.equal(request?.["cause"], "duplicate");
  await applyFacts(sql, [{
    fact: "refund",
    id: "re_1",
    payment_id: "pi_1",
    charge_id: "ch_1",
    amount: begun.amount_subtotal,
    currency: "usd",
    status: "succeeded",
    reason: "duplicate",
    failure_reason: null,
    request_id: "duplicate:pi_1",
    created: Math.floor(Date.now() / 1000),
  }]);
  const rows = await sql`
    select kind, amount_gross::integer as amount from reporting.accounting_export order by kind`;
  assert.deepEqual(rows.map(({ kind, amount }) => [kind, amount]), [
    ["duplicate_payment", begun.amount_subtotal],
    ["refund", -begun.amount_subtotal],
    ["sale", 0],
  ]);
});
