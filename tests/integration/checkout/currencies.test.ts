/** A shopper pays in a currency of their own, and everybody is told what was charged. */
import assert from "node:assert/strict";
import { testStack } from "../../support/stack.ts";
import { assertInvariants, checkout, control, flush, runJobs, setAvailable } from "./shop.ts";

Deno.test("with Adaptive Pricing an order is paid and refunded in the shopper's currency, and counted in its own", async () => {
  await using stack = await testStack({ env: { CHECKOUT_ADAPTIVE_PRICING: "true" } });
  await setAvailable(stack, "SHIRT-OXF-WHT-M", 9);
  const { body } = await checkout(stack, {});
  const paid = await control(stack, "pay", { session: body.session_id, currency: "gbp" });
  assert.ok(paid.ok, await paid.text());
  await flush(stack);
  await stack.sql`select public.request_refund(${body.order_number})`;
  await runJobs(stack);
  await flush(stack);

  const response = await fetch(`${stack.functions_url}/order-status?session_id=${body.session_id}`, {
    headers: { apikey: stack.publishable_key },
  });
  const { status, currency, amount_total, presentment, refunds } = await response.json();
  assert.deepEqual([status, currency], ["refunded", "usd"]);
  assert.equal(presentment.currency, "gbp");
  assert.ok(presentment.amount > 0 && presentment.amount < amount_total);
  assert.deepEqual(refunds.map((refund: { presentment: unknown }) => refund.presentment), [presentment]);
  await assertInvariants(stack);
});
