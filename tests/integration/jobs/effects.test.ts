import assert from "node:assert/strict";
import type { JobContext } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { work } from "../../../supabase/functions/retry-jobs/worker.ts";
import { eventually } from "../../support/poll.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import {
  blockWebhooks,
  checkout,
  clearFaults,
  control,
  drain,
  flush,
  jobContext,
  orderRow,
  pay,
  setFaults,
  unblockWebhooks,
  violations,
} from "./shop.ts";

/** A worker that dies before the named step gets through: whatever came before has happened. */
function dyingContext(stack: TestStack, at: keyof JobContext["rpc"]): JobContext {
  const context = jobContext(stack);
  return { ...context, rpc: { ...context.rpc, [at]: () => Promise.reject(new Error("the worker died")) } };
}

async function loseLeases(stack: TestStack): Promise<void> {
  await stack
    .sql`update private.jobs set leased_until = now() - interval '1 second' where status = 'running'`;
}

async function runDue(stack: TestStack, context: JobContext): Promise<void> {
  await stack
    .sql`update private.jobs set run_at = now() where status = 'queued' and run_at < now() + interval '1 day'`;
  await work(100, context);
}

/** How often a refund was asked for at Stripe. */
async function refundCalls(stack: TestStack): Promise<number> {
  const { requests } = await (await fetch(`${stack.stripe_url}/_control/requests`)).json();
  return requests.filter(({ method, path }: Record<string, string>) =>
    method === "POST" && path === "/v1/refunds"
  ).length;
}

async function refundsAtStripe(stack: TestStack, paymentId: string) {
  return (await jobContext(stack).stripe.refunds.list({ payment_intent: paymentId, limit: 100 })).data;
}

async function mailsOf(stack: TestStack, orderNumber: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(`${stack.dir}/mails`)) {
    if (!entry.name.endsWith(".json")) continue;
    const mail = JSON.parse(await Deno.readTextFile(`${stack.dir}/mails/${entry.name}`));
    if (mail.subject.includes(orderNumber)) files.push(mail.subject);
  }
  return files.sort();
}

/** Waits for the provider's report: however often the worker died, it finds the mail. */
async function delivered(stack: TestStack, orderId: string): Promise<void> {
  await eventually("the mail to be delivered", async () => {
    const mails = await stack.sql`select delivered_at from public.notifications where order_id = ${orderId}`;
    return mails.length === 1 && mails[0]?.["delivered_at"] !== null;
  });
}

Deno.test("jobs: every outward effect happens once, whatever the worker dies of", async (test) => {
  await using stack = await testStack({ web: true });

  for (const at of ["applyStripeFacts", "finishJobs"] as const) {
    await test.step(`refund: a worker that dies before ${at}() leaves one refund`, async () => {
      const order = await checkout(stack);
      await pay(stack, order.session_id);
      await flush(stack);
      await drain(stack);
      await stack.sql`select public.request_refund(${order.order_number}, 500, 'requested_by_customer')`;
      for (let death = 0; death < 2; death++) {
        await runDue(stack, dyingContext(stack, at));
        await loseLeases(stack);
      }
      await drain(stack);
      const { payment_id, amount_refunded } = await orderRow(stack, order.order_id);
      assert.equal((await refundsAtStripe(stack, payment_id)).length, 1);
      assert.equal(amount_refunded, 500);
    });
  }

  await test.step("refund: a redrive days later, when Stripe has forgotten the key, finds the refund", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await stack.sql`select public.request_refund(${order.order_number}, 500, 'requested_by_customer')`;
    await runDue(stack, dyingContext(stack, "finishJobs"));
    await stack.sql`
      update private.jobs set status = 'dead', lease_id = null, leased_until = null, finished_at = now(), attempts = 0,
        created_at = now() - interval '3 days', payload = payload || '{"reason": "another text, so the key would be refused"}'
      where kind = 'refund_payment' and status = 'running'`;
    await stack.sql`select public.redrive('{}', '{}', 'refund_payment', false, false, 'test')`;
    await drain(stack);
    const { payment_id } = await orderRow(stack, order.order_id);
    assert.equal((await refundsAtStripe(stack, payment_id)).length, 1);
  });

  for (const at of ["recordNotificationResult", "finishJobs"] as const) {
    await test.step(`mail: a worker that dies before ${at}() leaves one mail`, async () => {
      const order = await checkout(stack);
      await pay(stack, order.session_id);
      await flush(stack);
      for (let death = 0; death < 2; death++) {
        await runDue(stack, dyingContext(stack, at));
        await loseLeases(stack);
      }
      await drain(stack);
      assert.equal((await mailsOf(stack, order.order_number)).length, 1);
      await delivered(stack, order.order_id);
    });
  }

  await test.step("mail: an order that changed after a lost answer is not mailed again", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await runDue(stack, dyingContext(stack, "recordNotificationResult"));
    await stack
      .sql`update public.checkout_sessions set name = 'Somebody Else' where id = ${order.session_id}`;
    await stack.sql`select private.settle_order(${order.order_id}, 'test')`;
    await loseLeases(stack);
    await drain(stack);
    assert.equal((await mailsOf(stack, order.order_number)).length, 1);
    await delivered(stack, order.order_id);
  });

  await test.step("erasure: mails that wait are skipped quietly, money still moves, and Stripe's copy goes, once or twice", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await drain(stack);
    const [known] = await stack.sql`select email from public.orders where id = ${order.order_id}`;
    await stack.sql`select public.request_refund(${order.order_number}, 100, 'requested_by_customer')`;
    await stack.sql`select public.erase_customer(${known?.email})`;
    await drain(stack);
    assert.equal((await orderRow(stack, order.order_id)).amount_refunded, 100);
    const [mail] = await stack.sql`
      select status, recipient, last_error from public.notifications
      where order_id = ${order.order_id} and template = 'refund_issued'`;
    assert.deepEqual({ ...mail }, {
      status: "skipped",
      recipient: null,
      last_error: "the personal data of the order has been erased",
    });
    const [session] = await stack.sql`
      select stripe_customer_id as id from public.checkout_sessions where order_id = ${order.order_id}`;
    const { stripe } = jobContext(stack);
    assert.equal((await stripe.customers.retrieve(session?.id)).deleted, true);
    await stack.sql`update private.jobs set status = 'queued', finished_at = null, run_at = now()
      where kind = 'delete_stripe_customer'`;
    await drain(stack);
    await flush(stack);
    const [again] = await stack.sql`select status from private.jobs where kind = 'delete_stripe_customer'`;
    assert.equal(again?.status, "done");
    const events = await stack
      .sql`select 1 from public.webhook_events where payload::text ilike ${`%${known?.email}%`} and (payload::text like ${`%${session?.id}%`} or payload::text like ${`%${order.session_id}%`})`;
    assert.equal(events.length, 0, "nor does an event bring the address back");
    assert.deepEqual([...await stack.sql`select kind from private.jobs where status = 'dead'`], []);
    assert.deepEqual([...await stack.sql`select kind from public.alerts where kind like 'job_%'`], []);
  });

  await test.step("mail: the provider's 429 and 500 delay a mail and lose none", async () => {
    for (const status of [429, 500]) {
      const order = await checkout(stack);
      await pay(stack, order.session_id);
      await flush(stack);
      await fetch(`${stack.web_url}/resend/_control/faults`, {
        method: "POST",
        body: JSON.stringify({ status, times: 2, retry_after: "1" }),
      }).then((response) => response.body?.cancel());
      await drain(stack);
      await drain(stack);
      assert.equal((await mailsOf(stack, order.order_number)).length, 1, `after ${status}`);
    }
  });

  await test.step("refund: Stripe's stored 500 is not repeated for ever", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await drain(stack);
    await setFaults(stack, { api: [{ match: "POST /v1/refunds", status: 500, times: 2 }] });
    await stack.sql`select public.request_refund(${order.order_number}, 700, 'requested_by_customer')`;
    await drain(stack);
    await clearFaults(stack);
    const { payment_id } = await orderRow(stack, order.order_id);
    assert.deepEqual((await refundsAtStripe(stack, payment_id)).map(({ amount }) => amount), [700]);
  });

  await test.step("refund: a refund whose answer was lost is found, not repeated", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await drain(stack);
    await setFaults(stack, { api: [{ match: "POST /v1/refunds", status: 502, times: 2, after: true }] });
    await stack.sql`select public.request_refund(${order.order_number}, 700, 'requested_by_customer')`;
    await drain(stack);
    await clearFaults(stack);
    const { payment_id } = await orderRow(stack, order.order_id);
    assert.deepEqual((await refundsAtStripe(stack, payment_id)).map(({ amount }) => amount), [700]);
  });

  await test.step("refund: a payment that Stripe does not know is given up, and staff are told", async () => {
    const order = await checkout(stack);
    await stack.sql`
      select private.ask_refund('test-unknown', ${order.order_id}, 'pi_unknown', 100, 'requested', 'test', false)`;
    await runDue(stack, jobContext(stack));
    const [job] = await stack
      .sql`select status, last_error from private.jobs where dedupe_key = 'refund_payment:test-unknown'`;
    assert.equal(job?.status, "discarded");
    const [alert] = await stack
      .sql`select severity from public.alerts where dedupe_key = 'refund_refused:test-unknown'`;
    assert.equal(alert?.severity, "critical");
    await stack.sql`delete from public.refund_requests where id = 'test-unknown'`;
    await stack.sql`delete from private.jobs where dedupe_key = 'refund_payment:test-unknown'`;
    await stack
      .sql`update public.alerts set status = 'resolved' where dedupe_key = 'refund_refused:test-unknown'`;
  });

  await test.step("refund: what the shop owes is tried again after a refusal, under another key, and mailed when it is made", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await drain(stack);
    await setFaults(stack, { api: [{ match: "POST /v1/refunds", status: 400, times: 2 }] });
    await stack.sql`select public.cancel_order(${order.order_number}, 'sold out at the supplier')`;
    await runDue(stack, jobContext(stack));
    await runDue(stack, jobContext(stack));
    const [request] = await stack.sql`
      select status, refusals, problem is not null as has_problem from public.refund_requests where order_id = ${order.order_id}`;
    assert.deepEqual({ ...request }, { status: "queued", refusals: 2, has_problem: true });
    const told = (await mailsOf(stack, order.order_number)).filter((subject) => subject.startsWith("Refund"));
    assert.deepEqual(told, [], "nothing is on its way yet");
    const open = await stack.sql`select kind from public.alerts
      where data ->> 'order_number' = ${order.order_number} and status = 'open' and kind like 'refund%'`;
    assert.deepEqual(open.map(({ kind }) => kind), ["refund_delayed"]);
    await clearFaults(stack);
    await drain(stack);
    const { payment_id, amount_refunded, amount_paid } = await orderRow(stack, order.order_id);
    assert.equal(amount_refunded, amount_paid);
    assert.equal((await refundsAtStripe(stack, payment_id)).length, 1);
    const left = await stack.sql`select kind from public.alerts
      where data ->> 'order_number' = ${order.order_number} and status = 'open' and kind like 'refund%'`;
    assert.deepEqual(left.map(({ kind }) => kind), []);
  });

  /** A paid order in dispute; the news of the dispute is still on its way. */
  async function disputedUnheard() {
    await blockWebhooks(stack);
    const order = await checkout(stack);
    await pay(stack, order.session_id, "4000000000000259");
    const page = await fetch(`${stack.functions_url}/order-status?session_id=${order.session_id}`, {
      headers: { apikey: stack.publishable_key },
    });
    assert.equal((await page.json()).status, "paid");
    await unblockWebhooks(stack);
    const requested = async () => {
      const [found] = await stack
        .sql`select q.status, (select count(*)::int from public.disputes d where d.order_id = q.order_id) as disputes
        from public.refund_requests q where q.order_id = ${order.order_id}`;
      const alerts = await stack.sql`select severity, data from public.alerts
        where data ->> 'order_number' = ${order.order_number} and kind = 'refund_refused'`;
      return { status: found?.["status"], disputes: found?.["disputes"], alerts: [...alerts] };
    };
    return { order, requested };
  }

  await test.step("refund: one that staff asked for, of a charge that the bank has taken back, is given up at once, with an alert that names it", async () => {
    const { order, requested } = await disputedUnheard();
    await stack.sql`select public.request_refund(${order.order_number})`;
    await runDue(stack, jobContext(stack));
    const { status, alerts: [alert] } = await requested();
    assert.equal(status, "given_up");
    const total = (await orderRow(stack, order.order_id)).amount_paid;
    assert.deepEqual([alert?.["severity"], alert?.["data"].amount], ["critical", total]);
    assert.match(alert?.["data"].cause, /charge_disputed/);
  });

  await test.step("refund: one of a cancelled order that the bank has taken back waits until the dispute is won", async () => {
    for (const heard of [false, true]) {
      const { order, requested } = await disputedUnheard();
      const { stripe } = jobContext(stack);
      const { payment_id } = await orderRow(stack, order.order_id);
      const [dispute] = (await stripe.disputes.list({ payment_intent: payment_id })).data;
      if (heard) {
        await stripe.disputes.update(dispute?.id ?? "", { metadata: { a: "b" } });
        await flush(stack);
      }
      const asked = await refundCalls(stack);
      await stack.sql`select public.cancel_order(${order.order_number}, 'charged back')`;
      await runDue(stack, jobContext(stack));
      assert.deepEqual(await requested(), { status: "disputed", disputes: 1, alerts: [] });
      assert.equal(await refundCalls(stack) - asked, heard ? 0 : 1);
      // Each dispute is read again once a second: what was read just now must not stand for what follows.
      const next = 1000 * Math.ceil(Date.now() / 1000 + 0.001);
      await eventually("the next second", () => Date.now() >= next);
      const evidence = { uncategorized_text: "winning_evidence" };
      await stripe.disputes.update(dispute?.id ?? "", { evidence, submit: true });
      await control(stack, "advance", { seconds: 60 });
      await flush(stack);
      await drain(stack);
      assert.equal((await requested()).status, "done");
      const { amount_refunded, amount_paid } = await orderRow(stack, order.order_id);
      assert.equal(amount_refunded, amount_paid);
      assert.deepEqual(await violations(stack), []);
    }
  });

  await test.step("refund: one that waits is not made when somebody has refunded by hand meanwhile", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await drain(stack);
    await setFaults(stack, { api: [{ match: "POST /v1/refunds", status: 500, times: 2 }] });
    await stack.sql`select public.request_refund(${order.order_number}, 700, 'scratch')`;
    await runDue(stack, jobContext(stack));
    await clearFaults(stack);
    const { payment_id } = await orderRow(stack, order.order_id);
    await jobContext(stack).stripe.refunds.create({ payment_intent: payment_id, amount: 700 });
    await drain(stack);
    assert.deepEqual((await refundsAtStripe(stack, payment_id)).map(({ amount }) => amount), [700]);
    const [alert] = await stack.sql`select data from public.alerts
      where kind = 'refund_overtaken' and data ->> 'order_number' = ${order.order_number}`;
    assert.match(alert?.data.action, /request_refund/);
  });

  await test.step("a wrong Stripe key stops Stripe's jobs with one alert and no attempt lost; the right one resumes them", async () => {
    const order = await checkout(stack);
    await pay(stack, order.session_id);
    await flush(stack);
    await drain(stack);
    await stack.sql`select public.request_refund(${order.order_number}, 300, 'requested_by_customer')`;
    await setFaults(stack, { api: [{ match: "POST /v1/refunds", status: 401 }] });
    await runDue(stack, jobContext(stack));
    await runDue(stack, jobContext(stack));
    await clearFaults(stack);
    const [job] = await stack.sql`
      select status, attempts, last_error from private.jobs where kind = 'refund_payment' and payload ->> 'order_id' = ${order.order_id}`;
    assert.deepEqual([job?.status, job?.attempts], ["queued", 0], job?.last_error);
    const alerts = await stack.sql`select severity from public.alerts where kind = 'provider_unauthorized'`;
    assert.deepEqual(alerts.map(({ severity }) => severity), ["critical"]);

    await stack
      .sql`update private.circuit_breakers set open_until = now() - interval '1 second' where open_until is not null`;
    await drain(stack);
    assert.equal((await orderRow(stack, order.order_id)).amount_refunded, 300);
  });

  await test.step("a failed event is retried from its stored payload once the cause is fixed", async () => {
    const order = await checkout(stack);
    await stack
      .sql`alter function private.merge_payment_attempt(jsonb, uuid, timestamptz) rename to merge_payment_attempt_away`;
    await pay(stack, order.session_id);
    await flush(stack);
    const [failed] = await stack
      .sql`select count(*)::integer as count from public.webhook_events where status = 'failed'`;
    assert.ok((failed?.count ?? 0) > 0, "no event failed");
    await stack
      .sql`alter function private.merge_payment_attempt_away(jsonb, uuid, timestamptz) rename to merge_payment_attempt`;
    await drain(stack);
    const [left] = await stack
      .sql`select count(*)::integer as count from public.webhook_events where status in ('failed', 'dead')`;
    assert.equal(left?.count, 0);
    assert.equal((await orderRow(stack, order.order_id)).status, "paid");
  });

  await test.step("session: a cancelled order's page is closed once, and a paid one is settled instead", async () => {
    const [cancelled, paid] = [await checkout(stack), await checkout(stack)];
    await blockWebhooks(stack);
    await pay(stack, paid.session_id);
    for (const { order_number } of [cancelled, paid]) {
      await stack.sql`select public.cancel_order(${order_number}, 'test')`;
    }
    await runDue(stack, dyingContext(stack, "finishJobs"));
    await loseLeases(stack);
    await drain(stack);
    const { stripe } = jobContext(stack);
    assert.equal((await stripe.checkout.sessions.retrieve(cancelled.session_id)).status, "expired");
    assert.equal((await orderRow(stack, cancelled.order_id)).status, "cancelled");
    const refunded = await orderRow(stack, paid.order_id);
    assert.equal(refunded.amount_refunded, refunded.amount_paid);
    assert.ok(refunded.amount_paid > 0);
  });

  assert.deepEqual(await violations(stack), []);
});
