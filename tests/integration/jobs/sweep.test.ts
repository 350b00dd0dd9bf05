import assert from "node:assert/strict";
import { reconcileObjects } from "../../../supabase/functions/_shared/jobs/reconcile_objects.ts";
import { checkoutSessionFact } from "../../../supabase/functions/_shared/stripe_events/checkout_session.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";
import { testStack } from "../../support/stack.ts";
import {
  blockWebhooks,
  checkout,
  clearFaults,
  control,
  drain,
  holdOf,
  jobContext,
  orderRow,
  pay,
  setFaults,
  violations,
} from "./shop.ts";

Deno.test("sweep: stock is released on Stripe's word only", async (test) => {
  await using stack = await testStack();
  const context = jobContext(stack);
  await blockWebhooks(stack);

  /** For us the session's time is over; what Stripe thinks is Stripe's. */
  const runOut = async (sessionId: string) => {
    await stack
      .sql`update public.checkout_sessions set expires_at = now() - interval '10 minutes' where id = ${sessionId}`;
    await stack.sql`update public.inventory_reservations set expires_at = now() - interval '1 minute'`;
  };
  const sweep = async () => {
    await stack.sql`select public.enqueue_periodic_jobs()`;
    await drain(stack, context);
  };

  await test.step("a session past its time is ended at Stripe, then its stock is free", async () => {
    const order = await checkout(stack);
    await runOut(order.session_id);
    await sweep();
    assert.equal((await context.stripe.checkout.sessions.retrieve(order.session_id)).status, "expired");
    assert.equal((await orderRow(stack, order.order_id)).status, "expired");
    assert.equal(await holdOf(stack, order.order_id), "released");
  });

  await test.step("a session that Stripe does not know any more is given up a day after its end", async () => {
    const order = await checkout(stack);
    const id = `cs_test_gone_${order.order_number}`;
    await stack.sql`update public.checkout_sessions set id = ${id} where id = ${order.session_id}`;
    await runOut(id);
    await sweep();
    assert.equal(await holdOf(stack, order.order_id), "active", "a wrong key knows no session either");
    await stack
      .sql`update public.checkout_sessions set expires_at = now() - interval '25 hours' where id = ${id}`;
    await sweep();
    assert.equal((await orderRow(stack, order.order_id)).status, "expired");
    assert.equal(await holdOf(stack, order.order_id), "released");
    await stack.sql`update public.alerts set status = 'resolved'`;
  });

  await test.step("a session that turns out paid is settled instead", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    assert.equal((await orderRow(stack, order.order_id)).status, "pending", "the webhook must not have come");
    await runOut(order.session_id);
    await sweep();
    assert.equal((await orderRow(stack, order.order_id)).status, "paid");
    assert.equal(await holdOf(stack, order.order_id), "committed");
  });

  await test.step("a slow payment that did not deliver is settled, though the only event that says so never came", async () => {
    const order = await checkout(stack);
    const paid = await fetch(`${stack.stripe_url}/_control/pay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ session: order.session_id, account_number: "000123456789" }),
    });
    const { payment_intent } = await paid.json();
    const reconcileOpen = async () => {
      const report = await reconcileObjects(context, {
        runId: crypto.randomUUID(),
        since: new Date(),
        budgetMs: 60_000,
        dryRun: false,
      });
      assert.deepEqual(report.problems, []);
    };
    await runOut(order.session_id);
    await reconcileOpen();
    assert.equal((await orderRow(stack, order.order_id)).status, "processing");
    await control(stack, "settle", { payment_intent, outcome: "failed" });
    await reconcileOpen();
    assert.equal((await orderRow(stack, order.order_id)).status, "payment_failed");
    assert.equal(await holdOf(stack, order.order_id), "released");
  });

  const unreachable = {
    "answers 503": async () => {
      await setFaults(stack, { api: [{ match: "GET /v1/checkout/sessions", status: 503 }] });
      return context;
    },
    "cannot be reached": () => Promise.resolve(jobContext(stack, { STRIPE_API_BASE: "http://127.0.0.1:9" })),
  };
  for (const [what, away] of Object.entries(unreachable)) {
    await test.step(`while Stripe ${what} the hold stays, and once it is back the sweep is made up for`, async () => {
      const order = await checkout(stack);
      await runOut(order.session_id);
      await stack.sql`select public.enqueue_periodic_jobs()`;
      await stack.sql`update private.jobs set run_at = now() where status = 'queued'`;
      await work(1, await away());
      assert.equal(await holdOf(stack, order.order_id), "active");
      assert.equal((await orderRow(stack, order.order_id)).status, "pending");
      await clearFaults(stack);
      await stack.sql`update private.circuit_breakers set failures = 0, opened_at = null, open_until = null`;
      await sweep();
      assert.equal(await holdOf(stack, order.order_id), "released");
    });
  }

  await test.step("an attempt whose answer was lost gets its session back, or gives up its stock when there is none", async () => {
    const [found, paid, none] = [await checkout(stack), await checkout(stack), await checkout(stack)];
    await pay(stack, paid.session_id);
    // The answers never reached us: the rows are gone, as if the function had died before it could write them.
    await stack.sql`delete from public.checkout_sessions where id in ${
      stack.sql([found.session_id, paid.session_id, none.session_id])
    }`;
    await stack.sql`
      update public.orders set created_at = now() - interval '10 minutes', session_expires_at = now() + interval '20 minutes'
      where id in ${stack.sql([found.order_id, paid.order_id, none.order_id])}`;
    // The third attempt never reached Stripe: its session belongs to somebody else.
    await stack.sql`update public.orders set attempt = 2 where id = ${none.order_id}`;
    await sweep();

    const [attached] = await stack
      .sql`select id from public.checkout_sessions where order_id = ${found.order_id}`;
    assert.equal(attached?.id, found.session_id);
    assert.equal(
      await holdOf(stack, found.order_id),
      "active",
      "its session is open: the shopper may still pay",
    );
    assert.equal((await orderRow(stack, paid.order_id)).status, "paid");
    assert.equal((await orderRow(stack, none.order_id)).status, "expired");
    assert.equal(await holdOf(stack, none.order_id), "released");
  });

  await test.step("while Stripe is down no attempt is given up", async () => {
    const order = await checkout(stack);
    await stack.sql`delete from public.checkout_sessions where id = ${order.session_id}`;
    await stack
      .sql`update public.orders set session_expires_at = now() + interval '20 minutes' where id = ${order.order_id}`;
    await setFaults(stack, { api: [{ match: "GET /v1/checkout/sessions", status: 500 }] });
    await stack.sql`delete from private.jobs where kind = 'find_lost_sessions'`;
    await stack.sql`select public.enqueue_periodic_jobs()`;
    await work(10, context);
    await clearFaults(stack);
    assert.equal(await holdOf(stack, order.order_id), "active");
    // Put back, so that the invariants see the order as it is at Stripe.
    const session = await context.stripe.checkout.sessions.retrieve(order.session_id);
    await context.rpc.attachCheckoutSession(order.order_id, 1, checkoutSessionFact(session));
  });

  assert.deepEqual(await violations(stack), []);
});
