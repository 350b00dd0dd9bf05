import assert from "node:assert/strict";
import { testStack } from "../support/stack.ts";
import { assertInvariants, checkout, control, setAvailable } from "./checkout/shop.ts";

Deno.test("order-status settles from Stripe what the webhook has not told yet, also of an order that is settled without this page", async (test) => {
  await using stack = await testStack();
  // Whatever happens at Stripe, no event comes.
  await control(stack, "faults", { deliver: { drop: 1 } });
  await setAvailable(stack, "SHIRT-OXF-WHT-M", 9);
  const statusOf = async (session: string) => {
    const response = await fetch(`${stack.functions_url}/order-status?session_id=${session}`, {
      headers: { apikey: stack.publishable_key },
    });
    const { status, fulfillment_status, paid_at, ...rest } = await response.json();
    assert.equal(response.status, 200, JSON.stringify(rest));
    return [status, fulfillment_status, paid_at !== null];
  };
  const pay = async (session: string) => {
    const response = await control(stack, "pay", { session });
    assert.ok(response.ok, await response.text());
  };

  await test.step("one that waits for its money, asked for a moment before it is paid", async () => {
    const { body } = await checkout(stack, {});
    assert.deepEqual(await statusOf(body.session_id), ["pending", "unfulfilled", false]);
    await pay(body.session_id);
    assert.deepEqual(await statusOf(body.session_id), ["paid", "unfulfilled", true]);
  });

  await test.step("one that staff cancel while the shopper pays: the money is there, and goes back", async () => {
    const { body } = await checkout(stack, {});
    await stack.sql`select public.cancel_order(${body.order_number}, 'test')`;
    await pay(body.session_id);
    assert.deepEqual(await statusOf(body.session_id), ["paid", "cancelled", true]);
    const refunds = await stack.sql`
      select 1 from private.jobs where kind = 'refund_payment' and payload ->> 'order_id' = ${body.order_id}`;
    assert.equal(refunds.length, 1);
  });

  await assertInvariants(stack);
});
