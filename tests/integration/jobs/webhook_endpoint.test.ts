import assert from "node:assert/strict";
import Stripe from "stripe";
import type { JobContext } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import { blockWebhooks, checkout, drain, flush, jobContext, orderRow, pay, unblockWebhooks } from "./shop.ts";
import { eventually } from "../../support/poll.ts";

let round = 0;

/** The shop looks at its endpoint, as the clock has it do. */
async function look(stack: TestStack, context: JobContext = jobContext(stack)): Promise<void> {
  await stack
    .sql`select private.enqueue_job('check_webhook_endpoint', ${`check_webhook_endpoint:${++round}`}, '{}')`;
  await drain(stack, context);
}

/** What the health endpoint says of webhooks, and the open alerts. */
async function judged(stack: TestStack) {
  const response = await fetch(`${stack.functions_url}/health`, { headers: { apikey: stack.secret_key } });
  const { status, checks } = await response.json();
  const alerts = await stack
    .sql`select kind, data from public.alerts where status <> 'resolved' order by kind`;
  return {
    status,
    endpoint: checks.webhooks.endpoint,
    problems: checks.webhooks.problems,
    alerts: alerts.map(({ kind }) => kind),
    data: alerts[0]?.data,
  };
}

async function ok(stack: TestStack): Promise<void> {
  await look(stack);
  const { status, endpoint, problems, alerts } = await judged(stack);
  assert.deepEqual([status, endpoint, problems, alerts], ["ok", "ok", [], []]);
}

/** A client that answers every list of endpoints with this refusal, and counts the calls. */
function refusing(context: JobContext, statusCode: number) {
  const calls = { count: 0 };
  const raw = { type: "invalid_request_error", message: "no permission", statusCode, headers: {} };
  const failure = Stripe.errors.StripeError.generate(raw as never);
  const webhookEndpoints = {
    list: () => ({ autoPagingToArray: () => (calls.count++, Promise.reject(failure)) }),
  };
  return {
    calls,
    context: { ...context, stripe: Object.assign(Object.create(context.stripe), { webhookEndpoints }) },
  };
}

Deno.test("endpoint: a look at Stripe finds it disabled, changed, moved and deleted, and well again", async (test) => {
  await using stack = await testStack();
  const { stripe } = jobContext(stack);
  const own = (await stripe.webhookEndpoints.list()).data[0];
  assert.ok(own);
  const events = enabledEvents as Stripe.WebhookEndpointUpdateParams.EnabledEvent[];
  await ok(stack);

  await test.step("disabled", async () => {
    await stripe.webhookEndpoints.update(own.id, { disabled: true });
    await look(stack);
    const { data, ...rest } = await judged(stack);
    assert.deepEqual(rest, {
      status: "degraded",
      endpoint: "disabled",
      problems: ["webhook_endpoint_disabled"],
      alerts: ["webhook_endpoint_disabled"],
    });
    assert.deepEqual([data.endpoint_id, data.livemode], [own.id, false]);
    await stripe.webhookEndpoints.update(own.id, { disabled: false });
    await ok(stack);
  });

  await test.step("other events", async () => {
    await stripe.webhookEndpoints.update(own.id, { enabled_events: events.slice(1) });
    await look(stack);
    const { status, alerts, data } = await judged(stack);
    assert.deepEqual([status, alerts], ["degraded", ["webhook_endpoint_changed"]]);
    assert.deepEqual(data.differences, [`lacks ${events[0]}`]);
    await stripe.webhookEndpoints.update(own.id, { enabled_events: events });
    await ok(stack);
  });

  await test.step("another address", async () => {
    await stripe.webhookEndpoints.update(own.id, {
      url: "https://elsewhere.example/functions/v1/stripe-webhook",
    });
    await look(stack);
    assert.deepEqual((await judged(stack)).alerts, ["webhook_endpoint_changed"]);
    await stripe.webhookEndpoints.update(own.id, { url: own.url });
    await ok(stack);
  });

  await test.step("a key that may not look is a state, not an alarm", async () => {
    const { calls, context } = refusing(jobContext(stack), 403);
    await look(stack, context);
    const { status, endpoint, alerts } = await judged(stack);
    assert.deepEqual([status, endpoint, alerts, calls.count], ["ok", "not_permitted", [], 1]);
    const [job] = await stack.sql`
      select status from private.jobs where kind = 'check_webhook_endpoint' order by id desc limit 1`;
    assert.equal(job?.status, "done");
    await ok(stack);
  });

  await test.step("deleted", async () => {
    await stripe.webhookEndpoints.del(own.id);
    await look(stack);
    const { endpoint, alerts } = await judged(stack);
    assert.deepEqual([endpoint, alerts], ["missing", ["webhook_endpoint_changed"]]);
  });
});

Deno.test("endpoint: orders that are paid while it is disabled are fetched, told of, and all is well after the fix", async () => {
  await using stack = await testStack({ web: true });
  const context = jobContext(stack);
  await ok(stack);
  await blockWebhooks(stack);
  const order = await checkout(stack);
  await pay(stack, order.session_id);
  await stack.sql`select private.enqueue_job('reconcile_events', 'reconcile_events:1', '{}')`;
  await eventually("the order is reconciled", async () => {
    // The reconciler leaves the last seconds to the webhook.
    await stack
      .sql`update private.jobs set status = 'queued', finished_at = null where kind = 'reconcile_events'`;
    await drain(stack, context);
    return (await orderRow(stack, order.order_id)).status === "paid";
  });
  const [counts] = await stack.sql`
    select count(*) filter (where delivery_count = 0)::integer as fetched, count(delivered_at)::integer as delivered
    from public.webhook_events where payload #>> '{data,object,id}' = ${order.session_id}`;
  assert.deepEqual(counts, { fetched: 1, delivered: 0 });
  await stack
    .sql`update private.periodic_jobs set next_at = now() + interval '50 minutes' where kind = 'check_webhook_endpoint'`;
  await stack.sql`select public.enqueue_periodic_jobs()`;
  await drain(stack, context);
  assert.deepEqual(
    (await judged(stack)).alerts,
    ["webhook_endpoint_disabled"],
    "the next look was brought forward",
  );

  await stack
    .sql`update public.orders set paid_at = now() - interval '11 minutes' where id = ${order.order_id}`;
  await stack.sql`select public.enqueue_periodic_jobs()`;
  assert.deepEqual((await judged(stack)).problems, ["webhook_endpoint_disabled", "webhook_silence"]);

  await unblockWebhooks(stack);
  const next = await checkout(stack);
  await pay(stack, next.session_id);
  await flush(stack);
  await ok(stack);
  await stack.sql`select private.settle_order(${order.order_id}, 'test')`;
});
