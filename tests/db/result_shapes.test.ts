/**
 * What the wrappers of `_shared/database/` say of the answers of SQL functions, held against what comes over the API:
 * which fields there are, and which of them are never null. Each shape below is tied to its type, so that neither
 * changes without the other.
 */
import assert from "node:assert/strict";
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import type * as checkouts from "../../supabase/functions/_shared/database/checkout.ts";
import type * as disputes from "../../supabase/functions/_shared/database/disputes.ts";
import type { EventOutcome } from "../../supabase/functions/_shared/database/events.ts";
import { healthCalls } from "../../supabase/functions/_shared/database/health.ts";
import type { Job } from "../../supabase/functions/_shared/database/jobs.ts";
import { limitCalls, type LimitDecision } from "../../supabase/functions/_shared/database/limits.ts";
import { metricCalls } from "../../supabase/functions/_shared/database/metrics.ts";
import type * as mails from "../../supabase/functions/_shared/database/notifications.ts";
import { orderCalls, type OrderStatus } from "../../supabase/functions/_shared/database/orders.ts";
import { type OrderTrace, orderTraceCalls } from "../../supabase/functions/_shared/database/order_trace.ts";
import type { RefundJudgement } from "../../supabase/functions/_shared/database/refunds.ts";
import { jobCalls } from "../../supabase/functions/_shared/jobs/calls.ts";
import { localGateway } from "../support/gateway.ts";
import { nonEmpty } from "../support/non_empty.ts";
import { addVariants, sessionFact } from "./checkout/cart_support.ts";
import { deliver, ship } from "./settlement/arrange.ts";
import { searchDatabase } from "./settlement/search.ts";
import { attachSession, beginOrder, SKU } from "./settlement/shop.ts";
import { Story } from "./settlement/story.ts";
import {
  alertMessageShape,
  check,
  checkMetrics,
  checkoutShape,
  checkRedriven,
  disputeEvidenceShape,
  eventShape,
  nothing,
  notificationShape,
  orderStatusShape,
  type Shape,
  shopShape,
} from "./shapes.ts";

const database = await searchDatabase(50);
const { sql } = database;
const gateway = await localGateway(database.url);
const called = new Set<string>();
const env = { supabaseUrl: gateway.url, secretKeys: { default: gateway.keys.secret_key } };
const call = createCall(env, (input, init) => {
  called.add(String(input).replace(/^.*\/rpc\//, ""));
  return fetch(input, init);
});
const rpc = {
  ...jobCalls(call),
  ...healthCalls(call),
  ...limitCalls(call),
  ...orderCalls(call),
  ...orderTraceCalls(call),
  ...metricCalls(call),
};
Deno.test.afterAll(async () => {
  await gateway.stop();
  await database.drop();
  const wrapped = Object.keys(rpc).map((name) =>
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  );
  assert.deepEqual([...called].sort(), wrapped.sort(), "every wrapper is looked at here");
});

/** An order that is paid and disputed, of somebody who paid one before. */
async function disputedOrder(): Promise<Story> {
  let story: Story | undefined;
  for (const tag of ["first", "second"]) {
    story = new Story(await beginOrder(sql), 60, tag, tag === "first" ? 1_793_000_000 : 1_793_500_000);
    await attachSession(sql, story, "a");
    const payment = story.paid("a");
    await deliver(sql, story.moves);
    await sql`select public.mark_fulfilled(${story.frame.orderNumber}, 'UPS', ${`1Z-${tag}`})`;
    if (tag === "second") {
      story.refunded(payment, "r", 100);
      story.disputed(payment, "d", "needs_response");
      await sql`insert into public.returns (order_id) values (${story.frame.orderId})`;
    }
    await deliver(sql, story.moves);
  }
  assert(story !== undefined);
  return story;
}

Deno.test("the shapes of a checkout and of its order", async () => {
  await addVariants(sql, [{ sku: "TIE", onHand: 9 }]);
  await sql`insert into public.shipping_rates (currency, name, amount) values ('usd', 'Post', 500)`;
  const nobody = { p_user_id: null, p_email: null, p_client_ip: null, p_user_agent: null, p_locale: null };
  const request = {
    ...nobody,
    p_items: [{ sku: "TIE", quantity: 1 }],
    p_idempotency_key: crypto.randomUUID(),
    p_livemode: false,
    p_session_seconds: 1860,
    p_hold_seconds: 3660,
    p_velocity_mode: "off" as const,
    p_previous_session_id: null,
    p_accepts_marketing: null,
    p_ui_mode: "hosted_page",
    p_currency: null,
    p_country: null,
    p_supersede: true,
  };
  const begun: checkouts.BegunCheckout = await rpc.beginCheckout(request);
  assert(begun.outcome === "created");
  check<checkouts.Checkout>(begun, checkoutShape, "beginCheckout()");
  const restarted = await rpc.restartCheckoutAttempt(begun.order_id, begun.attempt, 1860, 3660);
  assert(restarted.outcome === "existing");
  check<checkouts.Checkout>(restarted, checkoutShape, "restartCheckoutAttempt()");

  const fact = sessionFact(restarted) as unknown as Parameters<typeof rpc.attachCheckoutSession>[2];
  assert.equal(await rpc.attachCheckoutSession(begun.order_id, restarted.attempt, fact), null);
  const resumed = await rpc.resumeCheckout({
    p_order_id: begun.order_id,
    p_session_seconds: 1860,
    p_hold_seconds: 3660,
    p_velocity_mode: "off",
    p_client_ip: null,
    p_supersede: false,
    p_livemode: false,
  });
  assert(resumed.outcome === "existing");
  check<checkouts.Checkout>(resumed, checkoutShape, "resumeCheckout()");
  check<checkouts.Checkout>(
    await rpc.forgetStripeCustomer(begun.order_id, "cus_gone"),
    checkoutShape,
    "forgetStripeCustomer()",
  );
  const found = await rpc.findOpenCheckout(begun.order_id, false);
  assert(found.outcome === "unpaid");
  check<Extract<checkouts.FoundCheckout, { outcome: "unpaid" }>>(found, {
    outcome: "set",
    session: { orNull: { id: "set", url: "set" } },
  }, "findOpenCheckout()");
  assert.equal(await rpc.abandonCheckout(begun.order_id, restarted.attempt), false);
  assert.equal(await rpc.forgetCheckoutSession("cs_unknown"), false);
});

Deno.test("the shape of an order's page", async () => {
  const story = new Story(await beginOrder(sql), 60, "page", 1_794_000_000);
  const { orderId, orderNumber } = story.frame;
  await attachSession(sql, story, "a");
  const payment = story.paid("a");
  story.refunded(payment, "1", 5_000);
  await deliver(sql, story.moves);
  await ship(sql, story, 1);
  await sql`select public.announce_return(${orderNumber}, ${sql.json([{ sku: SKU, quantity: 1 }])})`;
  const [session] = await sql<{ id: string }[]>`
    select id from public.checkout_sessions where order_id = ${orderId}`;
  for (const key of [{ sessionId: session?.id ?? "" }, { orderId }]) {
    check<OrderStatus>(await rpc.getOrderStatus(key), orderStatusShape, "getOrderStatus()");
  }
  assert.equal(await rpc.getOrderStatus({ sessionId: "cs_unknown" }), null);
  assert.equal(await rpc.getOrderStatus({ orderId: crypto.randomUUID() }), null);

  check<OrderTrace>(await rpc.getOrderTrace(orderNumber), {
    order_id: "set",
    number: "set",
    status: "set",
    fulfillment_status: "set",
    amount_total: "set",
    currency: "set",
    livemode: "set",
    created_at: "set",
    moments: { each: { at: "set", kind: "set", what: "set", detail: "set" } },
  }, "getOrderTrace()");
  await assert.rejects(() => rpc.getOrderTrace("KCT-1"), { code: "order_not_found" });
});

Deno.test("the shapes of a disputed order, its mails and its alerts", async () => {
  const story = await disputedOrder();
  const { orderId } = story.frame;
  const dispute = story.id("du", "d");
  await sql`update public.notifications set status = 'sent', sent_at = now()
    where id = (select n.id from public.notifications n where order_id = ${orderId} limit 1)`;
  check<disputes.DisputeEvidence>(
    await rpc.getDisputeEvidence(dispute),
    disputeEvidenceShape,
    "getDisputeEvidence()",
  );
  assert.equal(await rpc.getDisputeEvidence("du_unknown"), null);
  type Reminder<O> = Extract<disputes.DisputeReminder, { outcome: O }>;
  const over = await rpc.remindDispute("du_unknown", 1);
  check<Reminder<"reminded" | "over">>(over, { outcome: "set", run_at: "null" }, "remindDispute()");
  await sql`update public.disputes set evidence_due_by = now() + interval '9 days' where id = ${dispute}`;
  const early = await rpc.remindDispute(dispute, 1);
  check<Reminder<"early">>(early, { outcome: "set", run_at: "set" }, "remindDispute()");
  assert.deepEqual([over.outcome, early.outcome], ["over", "early"]);
  const action = await rpc.decideDispute(dispute, "needs_response", { written: false, obstacle: null });
  check<Extract<disputes.DisputeAction, { action: "wait" }>>(
    action,
    { action: "set", run_at: "set" },
    "decide",
  );

  const [mail] = await sql<{ id: string }[]>`
    select id from public.notifications where order_id = ${orderId} limit 1`;
  const id = mail?.id ?? "";
  check<mails.Notification>(await rpc.getNotification(id), notificationShape, "getNotification()");
  assert.equal(await rpc.getNotification(crypto.randomUUID()), null);
  const event = { notificationId: id, providerId: "m", permanent: false, recipient: null, detail: null };
  const told = { ...event, status: "bounced", at: new Date(0).toISOString() } as const;
  const recorded = await rpc.recordMailEvent(told);
  check<mails.MailEventOutcome>(recorded, { outcome: "set", order_id: "null" }, "recordMailEvent()");
  assert.deepEqual(recorded, { outcome: "recorded", order_id: orderId });
  assert.deepEqual(await rpc.recordMailEvent(told), { outcome: "unchanged", order_id: orderId });
  const unknown = await rpc.recordMailEvent({ ...told, notificationId: crypto.randomUUID() });
  assert.deepEqual(unknown, { outcome: "unknown", order_id: null });
  assert.equal(await rpc.unsubscribeReminders("a".repeat(64)), null);
  assert.equal(await rpc.recordNotificationResult(id, null, { status: "failed", error: "no" }), false);

  const [alert] = await sql<
    { id: string }[]
  >`select id from public.alerts where severity = 'critical' limit 1`;
  const message = await rpc.takeAlertMessage(alert?.id ?? "");
  assert(message.outcome === "tell");
  check<mails.AlertMessage>(message, alertMessageShape, "takeAlertMessage()");
  assert.equal((await rpc.takeAlertMessage(alert?.id ?? "")).outcome, "wait");
  assert.equal((await rpc.takeAlertMessage(crypto.randomUUID())).outcome, "told");
  await rpc.recordAlertMessage(message.alert_ids, false);

  const [day] = await sql<{ day: string }[]>`select max(paid_at)::date::text as day from public.orders`;
  await sql`update public.disputes set evidence_due_by = ${
    day?.day ?? null
  }::date + 3 where order_id = ${orderId}`;
  const money = { currency: "set", count: "set", amount: "set" } as const;
  check<Omit<mails.Digest, "refunds">>(
    (({ refunds: _none, ...digest }) => digest)(await rpc.getDigest(day?.day ?? "", false)),
    {
      day: "set",
      sales: { each: money },
      to_ship: "set",
      attention: "set",
      disputes: {
        each: { order_number: "null", amount: "set", currency: "set", evidence_due_by: "set" },
      },
      alerts: "set",
      mails_failed: "set",
      shop: { is: shopShape },
    },
    "getDigest()",
  );

  const { week, shop, objectives } = await rpc.getErrorBudgets("2026-11-23");
  check<mails.ErrorBudgets>({ week, shop, objectives }, {
    week: "set",
    shop: { is: shopShape },
    objectives: {
      each: { name: "set", target: "set", good: "set", bad: "set", bad_in_budget: "set", budget: "set" },
    },
  }, "getErrorBudgets()");

  await sql`update public.disputes set status = 'won' where id = ${dispute}`;
  await sql`select public.request_refund(
    ${story.frame.orderNumber}, p_lines => ${sql.json([{ sku: SKU, quantity: 1 }])}
  )`;
  const [asked] = await sql<{ id: string }[]>`
    select id from public.refund_requests where order_id = ${orderId} limit 1`;
  const judged: Shape<RefundJudgement> = {
    outcome: "set",
    by: "null",
    refusals: "set",
    restock: "set",
    lines: { each: { sku: "set", quantity: "set", restock: "set" } },
  };
  check<RefundJudgement>(await rpc.judgeRefund(asked?.id ?? ""), judged, "judgeRefund()");
});

Deno.test("the shapes of an event, received and tried again", async () => {
  const event = {
    p_event_id: "evt_shape",
    p_type: "charge.failed",
    p_livemode: false,
    p_api_version: "2026-10-28.endive",
    p_stripe_created_at: "2026-11-01T10:00:00Z",
    p_source_ip: null,
    p_payload: { id: "evt_shape" },
    p_facts: null,
    p_ignored_reason: "not ours",
    p_error: null,
    p_alerts: [],
  };
  for (const outcome of ["ignored", "duplicate"]) {
    const received = await rpc.receiveStripeEvent(event);
    check<EventOutcome>(received, eventShape, "receiveStripeEvent()");
    assert.equal(received.outcome, outcome);
  }
  const failed = { ...event, p_event_id: "evt_fails", p_ignored_reason: null, p_error: "no" };
  check<EventOutcome>(await rpc.receiveStripeEvent(failed), eventShape, "receiveStripeEvent()");
  check<EventOutcome>((await rpc.receiveStripeEvents([event]))[0], eventShape, "receiveStripeEvents()");
  const retried = await rpc.retryStripeEvent("evt_fails", { ignoredReason: "not ours" });
  check<EventOutcome>(retried, eventShape, "retryStripeEvent()");
  assert.equal((await rpc.getStripeEvent("evt_shape"))?.type, "charge.failed");
  assert.equal(await rpc.getStripeEvent("evt_unknown"), null);
  assert.equal(await rpc.applyStripeFacts([], "job", new Date()), false);

  const fetched = { id: "evt_fetched", type: "charge.failed", livemode: false, created: 1_793_000_000 };
  const run = crypto.randomUUID();
  const repair = await rpc.reconcileStripeEvent(run, fetched, { facts: [] }, false);
  check<typeof repair>(
    repair,
    { outcome: "set", changed: "set", before: "null", after: "null" },
    "reconcileStripeEvent()",
  );
  const object = await rpc.reconcileStripeObject(
    run,
    { kind: "refund", id: "re_1" },
    [],
    new Date(),
    false,
  );
  assert.deepEqual([object.outcome, object.changed], [null, false]);
  assert.deepEqual(await rpc.listUnknownEvents(["evt_fetched", "evt_no"]), ["evt_no"]);
  assert.deepEqual(
    await rpc.listDifferingObjects([{ kind: "refund", id: "re_1", status: "pending", amount: 1 }]),
    ["re_1"],
  );
  assert.deepEqual(await rpc.listOpenObjects(new Date(), 0, false), []);
  assert.deepEqual(await rpc.getLostCheckouts(10), []);
  assert.equal(typeof await rpc.getReconciliationCursor("shape"), "string");
  const now = new Date("2026-11-27T10:00:00Z");
  assert.equal(Date.parse(await rpc.advanceReconciliationCursor("shape", now)), now.getTime());
});

Deno.test("the shapes of the queue, the limits and the figures", async () => {
  assert.equal(typeof await rpc.enqueuePeriodicJobs({ admin_require_mfa: false }), "number");
  await sql`select private.enqueue_job('purge', 'shape', '{}', now(), 1)`;
  assert.ok(await rpc.countJobs() > 0);
  assert.equal(typeof await rpc.checkSettledOrders(1), "boolean");
  assert.equal(await rpc.evaluateAlertRules(false), 0);
  const jobs = await rpc.claimJobs("shape", 1, 60, 1);
  assert.equal(jobs.length, 1);
  for (const job of jobs) {
    check<Job>(job, {
      id: "set",
      kind: "set",
      payload: "set",
      attempts: "set",
      max_attempts: "set",
      lease_id: "set",
      created_at: "set",
      order_id: "null",
    }, "claimJobs()");
    const result = { ...job, reason: null, run_at: null, alert: null, provider_state: null };
    const end = () => rpc.finishJobs([{ ...result, outcome: "done" }]);
    assert.deepEqual(await end(), [{ id: job.id, finished: true, status: "done" }]);
    assert.deepEqual(await end(), [{ id: job.id, finished: false, status: null }]);
  }
  checkRedriven(
    await rpc.redrive({
      ...nothing,
      p_event_ids: ["evt_unknown"],
      p_dry_run: true,
      p_actor: "test",
      p_after: null,
      p_limit: 1,
    }),
  );
  const { purged, more } = await rpc.purgeOldData(100);
  assert.deepEqual([typeof purged["jobs"], more], ["number", false]);

  const decision: Shape<LimitDecision> = { allowed: "set", key: "null", retry_after_seconds: "set" };
  const buckets = [{ key: "shape", limit: 1, window_seconds: 86_400 }];
  for (const allowed of [true, false]) {
    const decided = await rpc.takeRateLimits(buckets);
    check<LimitDecision>(decided, decision, "takeRateLimits()");
    assert.equal(decided.allowed, allowed);
  }
  assert.equal((await rpc.getHealth()).checks["database"]?.["status"], "ok");
  assert.equal(await rpc.recordMetrics([{ metric: "checkouts", labels: ["created"], count: 1 }]), 0);
  checkMetrics(nonEmpty(await rpc.getMetrics()));
  assert.deepEqual(await rpc.getFraudValues(true), []);

  assert.equal(await rpc.recordWebhookRejection("invalid_signature", null, 1), null);
  const { addresses, refreshed_at } = await rpc.getWebhookAllowlist();
  assert.deepEqual([addresses.length > 1, typeof refreshed_at], [true, "string"]);
  assert.deepEqual(await rpc.replaceWebhookAddresses(addresses), { added: [], removed: [] });
  const look = { state: "ok" as const, endpointId: "we_1", differences: [] };
  assert.equal(await rpc.recordWebhookEndpoint(false, look), null);
});

Deno.test("no list that may be longer than max_rows comes in rows: PostgREST would cut it without a word", async () => {
  const rows = await sql`select proname from pg_proc
    where pronamespace = 'public'::regnamespace and proretset order by proname`;
  // Of a limit, of as many as were given, or for people to read.
  const short = ["check_audit_chain", "check_invariants", "claim_jobs", "finish_jobs", "get_lost_checkouts"];
  const others = ["get_stripe_event", "receive_stripe_events"];
  assert.deepEqual(rows.map(({ proname }) => proname), [...short, ...others]);
});
