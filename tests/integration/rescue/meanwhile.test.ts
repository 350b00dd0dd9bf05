/** What shoppers do while a rescue runs: it ends all the same, and each of them hears of their order once. */
import assert from "node:assert/strict";
import { rescue, type RescueContext } from "../../../scripts/live/rescue/rescue.ts";
import { createCall } from "../../../supabase/functions/_shared/database/client.ts";
import { rescueCalls } from "../../../supabase/functions/_shared/database/rescue.ts";
import { jobCalls } from "../../../supabase/functions/_shared/jobs/calls.ts";
import { createStripe } from "../../../supabase/functions/_shared/stripe/client.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { blockWebhooks, checkout, flush, jobContext, orderRow, pay, unblockWebhooks } from "../jobs/shop.ts";

const options = { since: null, stoppedAt: null, progress: () => {} };

/** What a rescue asks; `before` is told of each call to the database. */
function contextOf(stack: TestStack, before: (call: string) => Promise<void>): RescueContext {
  const { env } = jobContext(stack);
  const call = createCall(env, async (input, init) => {
    await before(String(input instanceof Request ? input.url : input));
    return await fetch(input, init);
  });
  return { env, rpc: { ...jobCalls(call), ...rescueCalls(call) }, stripe: createStripe(env) };
}

/** How often the order was confirmed: mails that wait to be sent, and those that count as sent. */
async function confirmations(stack: TestStack, orderId: string) {
  const rows = await stack.sql`select n.status from public.notifications n
    where n.order_id = ${orderId} and n.template = 'order_confirmation'`;
  return rows.map(({ status }) => String(status));
}

Deno.test("rescue: shoppers who pay and look meanwhile", async (test) => {
  await using stack = await testStack();

  await test.step("a page that is paid while it runs does not keep it from its end", async () => {
    const order = await checkout(stack);
    let rounds = 0;
    let paid = false;
    const context = contextOf(stack, async (call) => {
      if (/\/list_passed_events/.test(call) && !paid) {
        paid = true;
        // Stripe's clock has whole seconds: this is after the beginning on it too.
        await new Promise((resolve) => setTimeout(resolve, 1_100));
        await pay(stack, order.session_id);
        await flush(stack);
      }
      if (/\/date_rescued/.test(call)) assert.ok(++rounds < 20, "it dates the same orders for ever");
    });
    assert.deepEqual((await rescue(context, options)).problems, []);
    assert.equal((await orderRow(stack, order.order_id)).status, "paid");
    const [session] = await stack.sql`select s.completed_at >= w.started_at as meanwhile
      from public.checkout_sessions s, private.rescues w where s.id = ${order.session_id}`;
    assert.equal(session?.["meanwhile"], true);
    assert.deepEqual(await confirmations(stack, order.order_id), ["queued"]);
  });

  await test.step("one that is paid after the events were read is confirmed as ever", async () => {
    const order = await checkout(stack);
    await blockWebhooks(stack);
    const stoppedAt = new Date();
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const context = contextOf(stack, async (call) => {
      if (/\/list_rescue_objects/.test(call)) await pay(stack, order.session_id);
    });
    assert.deepEqual((await rescue(context, { ...options, stoppedAt })).problems, []);
    assert.equal((await orderRow(stack, order.order_id)).status, "paid");
    assert.deepEqual(await confirmations(stack, order.order_id), ["queued"]);
    await unblockWebhooks(stack);
  });

  await test.step("who looks at an order that was paid before is not told of it again", async () => {
    const order = await checkout(stack);
    await blockWebhooks(stack);
    await pay(stack, order.session_id);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const context = contextOf(stack, async (call) => {
      if (!/\/list_passed_events/.test(call)) return;
      const page = await fetch(`${stack.functions_url}/order-status?session_id=${order.session_id}`, {
        headers: { apikey: stack.publishable_key },
      });
      assert.equal(page.status, 200);
      await page.body?.cancel();
    });
    assert.deepEqual((await rescue(context, options)).problems, []);
    assert.equal((await orderRow(stack, order.order_id)).status, "paid");
    assert.deepEqual(await confirmations(stack, order.order_id), ["skipped"]);
    await unblockWebhooks(stack);
  });
});
