import assert from "node:assert/strict";
import { type TestStack, testStack } from "../../support/stack.ts";
import { checkout, control, drain, flush, jobContext, orderRow, pay, violations } from "../jobs/shop.ts";
import { disputeWorld } from "./disputed.ts";

const stack = await testStack();
const context = jobContext(stack);
const { stripe } = context;
const { disputedOrder, run, answer, nearDeadlines } = disputeWorld(stack, context);
Deno.test.afterAll(() => stack.stop());

async function jobsOf(stack: TestStack, dispute: string) {
  return await stack.sql`select status, last_error from private.jobs
    where kind = 'submit_dispute_evidence' and payload ->> 'dispute_id' = ${dispute} order by id`;
}

const remind = (dispute: string, days: number) => run("remind_dispute", { dispute_id: dispute, days });

async function decisionsOf(dispute: string) {
  const rows = await stack.sql`select round, decision, reason from public.dispute_decisions
    where dispute_id = ${dispute} order by round`;
  return rows.map((row) => ({ ...row }));
}

Deno.test("an opened dispute gets its evidence staged, not submitted, and nothing else of the order changes", async () => {
  const order = await disputedOrder();
  const before = await orderRow(stack, order.order_id);
  await drain(stack, context);
  const dispute = await stripe.disputes.retrieve(order.dispute);
  assert.equal(dispute.status, "needs_response");
  assert.equal(dispute.evidence_details.submission_count, 0);
  assert.equal(dispute.evidence_details.has_evidence, true);
  assert.equal(dispute.evidence.shipping_tracking_number, "1Z999");
  assert.equal(dispute.evidence.customer_purchase_ip, "127.0.0.1");
  assert.match(dispute.evidence.product_description ?? "", /^1 × .+ \(SHIRT-OXF-BLU-M\)$/);
  assert.match(dispute.evidence.uncategorized_text ?? "", new RegExp(order.order_number));
  const [row] = await stack.sql`select has_evidence from public.disputes where id = ${order.dispute}`;
  assert.equal(row?.["has_evidence"], true);
  assert.deepEqual(await orderRow(stack, order.order_id), before);
});

Deno.test("accept_dispute() closes the dispute at Stripe, once", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  await stack.sql`select public.accept_dispute(${order.dispute}, 'the parcel is lost')`;
  await drain(stack, context);
  assert.equal((await stripe.disputes.retrieve(order.dispute)).status, "lost");
  const [row] = await stack.sql`select d.status, j.status as job from public.disputes d
    join private.jobs j on j.dedupe_key = 'close_dispute:' || d.id || ':needs_response' where d.id = ${order.dispute}`;
  assert.deepEqual({ ...row }, { status: "lost", job: "done" });
  // A try whose answer was lost finds it closed.
  assert.deepEqual(await run("close_dispute", { dispute_id: order.dispute }), { kind: "done" });
});

Deno.test("what staff accepted as an inquiry is not closed as the chargeback that has come of it", async () => {
  const order = await disputedOrder();
  const outcome = await run("close_dispute", { dispute_id: order.dispute, round: "warning_needs_response" });
  assert.equal(outcome.kind, "discard");
  assert.equal("alert" in outcome && outcome.alert, "critical");
  assert.equal((await stripe.disputes.retrieve(order.dispute)).status, "needs_response");
});

Deno.test("submit_dispute_evidence() submits once, with staff's note first", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  await stack.sql`select public.submit_dispute_evidence(${order.dispute}, 'She wrote that it fits.')`;
  await drain(stack, context);
  const dispute = await stripe.disputes.retrieve(order.dispute);
  assert.equal(dispute.status, "under_review");
  assert.equal(dispute.evidence_details.submission_count, 1);
  assert.match(dispute.evidence.uncategorized_text ?? "", /^She wrote that it fits\.\n/);
  assert.deepEqual((await jobsOf(stack, order.dispute)).map((job) => job["status"]), ["done", "done"]);
  const [row] = await stack.sql`select status from public.disputes where id = ${order.dispute}`;
  assert.equal(row?.["status"], "under_review");
});

Deno.test("evidence that a person has written is not overwritten by what is staged", async () => {
  const order = await disputedOrder();
  await stripe.disputes.update(order.dispute, {
    evidence: { uncategorized_text: "By hand." },
    submit: false,
  });
  await drain(stack, context);
  const dispute = await stripe.disputes.retrieve(order.dispute);
  assert.equal(dispute.evidence.uncategorized_text, "By hand.");
  const [job] = await jobsOf(stack, order.dispute);
  assert.deepEqual({ ...job }, { status: "discarded", last_error: "the dispute has evidence already" });
});

Deno.test("a submission that comes too late is discarded with the reason", async () => {
  const order = await disputedOrder();
  await stack.sql`select public.submit_dispute_evidence(${order.dispute})`;
  await stripe.disputes.update(order.dispute, { evidence: { uncategorized_text: "By hand." }, submit: true });
  await drain(stack, context);
  const jobs = await jobsOf(stack, order.dispute);
  assert.deepEqual(jobs.map((job) => job["last_error"]), [
    "the dispute does not wait for evidence (under_review)",
    "the dispute does not wait for evidence (under_review)",
  ]);
});

Deno.test("a reminder alerts while the dispute waits, sleeps when it is early, and ends with the dispute", async () => {
  const order = await disputedOrder();
  const early = await remind(order.dispute, 1);
  assert.equal(early.kind, "snooze");
  await stack
    .sql`update public.disputes set evidence_due_by = now() + interval '20 hours' where id = ${order.dispute}`;
  assert.equal((await remind(order.dispute, 1)).kind, "done");
  const alerts = await stack
    .sql`select severity from public.alerts where dedupe_key like ${`dispute_due:${order.dispute}:1:%`}`;
  assert.deepEqual([...alerts], [{ severity: "critical" }]);
  await stripe.disputes.update(order.dispute, { evidence: { uncategorized_text: "By hand." }, submit: true });
  await flush(stack);
  assert.equal((await remind(order.dispute, 1)).kind, "discard");
});

Deno.test("an inquiry that is closed and a dispute that is won release the parcel; all rules hold at the end", async () => {
  const order = await disputedOrder();
  await stripe.disputes.update(order.dispute, {
    evidence: { uncategorized_text: "winning_evidence" },
    submit: true,
  });
  await control(stack, "advance", { seconds: 60 });
  await flush(stack);
  await drain(stack, context);
  const [row] = await stack
    .sql`select status, funds_reinstated from public.disputes where id = ${order.dispute}`;
  assert.deepEqual({ ...row }, { status: "won", funds_reinstated: true });
  const alerts = await stack
    .sql`select kind from public.alerts where data ->> 'dispute_id' = ${order.dispute} order by kind`;
  assert.deepEqual(alerts.map((alert) => alert["kind"]), ["dispute_closed", "dispute_opened"]);
  assert.equal((await orderRow(stack, order.order_id)).status, "paid");
  assert.deepEqual(await violations(stack), []);
});

Deno.test("a dispute that staff do not answer is fought by itself when its deadline is near, not before", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  assert.equal((await answer(order.dispute)).kind, "snooze");
  assert.equal((await stripe.disputes.retrieve(order.dispute)).status, "needs_response");
  await nearDeadlines(async () => {
    assert.equal((await answer(order.dispute)).kind, "snooze", "it is watched until it is over");
  });
  const dispute = await stripe.disputes.retrieve(order.dispute);
  assert.deepEqual([dispute.status, dispute.evidence_details.submission_count], ["under_review", 1]);
  assert.equal(dispute.evidence.shipping_tracking_number, "1Z999");
  const decided = { round: "needs_response", decision: "fight", reason: "policy" };
  assert.deepEqual(await decisionsOf(order.dispute), [decided]);
  const [event] = await stack.sql`select source, data from public.order_events
    where order_id = ${order.order_id} and kind = 'dispute_decided'`;
  assert.deepEqual({ ...event }, { source: "job", data: { dispute_id: order.dispute, ...decided } });
});

Deno.test("what a person has written in the dashboard is submitted as it is, with what is known beside it", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  await stripe.disputes.update(order.dispute, {
    evidence: { uncategorized_text: "By hand.", shipping_carrier: "By hand too" },
    submit: false,
  });
  await stack.sql`update private.settings set value = '{"usd": 99999999}' where key = 'dispute_accept_below'`;
  await nearDeadlines(async () => {
    await answer(order.dispute);
  });
  await stack.sql`update private.settings set value = '{}' where key = 'dispute_accept_below'`;
  const { status, evidence } = await stripe.disputes.retrieve(order.dispute);
  assert.equal(status, "under_review", "who writes evidence means to fight");
  assert.deepEqual(
    [evidence.uncategorized_text, evidence.shipping_carrier, evidence.shipping_tracking_number],
    ["By hand.", "By hand too", "1Z999"],
  );
  assert.deepEqual((await decisionsOf(order.dispute)).map(({ reason }) => reason), ["written"]);
});

Deno.test("staff's note stands above what a person has written in the dashboard", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  await stripe.disputes.update(order.dispute, {
    evidence: { uncategorized_text: "By hand." },
    submit: false,
  });
  await stack.sql`select public.submit_dispute_evidence(${order.dispute}, 'She wrote that it fits.')`;
  await drain(stack, context);
  const { evidence } = await stripe.disputes.retrieve(order.dispute);
  assert.equal(evidence.uncategorized_text, "She wrote that it fits.\n\nBy hand.");
});

Deno.test("a dispute below the limit is accepted by itself, an inquiry never, and none that staff leave alone", async () => {
  const small = await disputedOrder();
  const inquiry = await disputedOrder("inquiry");
  const left = await disputedOrder();
  await stack.sql`select public.leave_dispute(${left.dispute}, 'we talk to her')`;
  await stack.sql`update private.settings set value = '{"usd": 99999999}' where key = 'dispute_accept_below'`;
  await nearDeadlines(async () => {
    await answer(small.dispute);
    await answer(inquiry.dispute, "warning_needs_response");
    await answer(left.dispute);
  });
  await stack.sql`update private.settings set value = '{}' where key = 'dispute_accept_below'`;
  const statuses = [];
  for (const { dispute } of [small, inquiry, left]) {
    statuses.push((await stripe.disputes.retrieve(dispute)).status);
  }
  assert.deepEqual(statuses, ["lost", "warning_under_review", "needs_response"]);
  assert.deepEqual(await decisionsOf(small.dispute), [
    { round: "needs_response", decision: "accept", reason: "below_limit" },
  ]);
  assert.equal((await answer(small.dispute)).kind, "discard", "it is over");
  assert.deepEqual(await violations(stack), []);
});

Deno.test("an appeal is answered in its own field, with staff's reason or by itself", async () => {
  const [first, second] = [await disputedOrder(), await disputedOrder()];
  for (const { dispute } of [first, second]) {
    await stripe.disputes.close(dispute);
    await control(stack, "appeal", { dispute });
  }
  await flush(stack);
  await drain(stack, context);
  await stack.sql`select public.submit_dispute_evidence(${first.dispute}, 'The bank read another order.')`;
  await drain(stack, context);
  await nearDeadlines(async () => {
    await answer(second.dispute, "appeal_needs_response");
  });
  const reasons = [];
  for (const { dispute } of [first, second]) {
    const { status, evidence } = await stripe.disputes.retrieve(dispute);
    assert.equal(status, "appeal_under_review");
    reasons.push(evidence.appeal?.card?.reason_for_filing ?? "");
  }
  assert.match(reasons[0] ?? "", /^The bank read another order\.\nOrder KCT-/);
  assert.match(reasons[1] ?? "", /^Order KCT-/);
});

Deno.test("a compliance case is left to staff, who acknowledge its fee", async () => {
  const order = await disputedOrder("fraudulent", { eligible: ["visa_compliance"] });
  await drain(stack, context);
  await nearDeadlines(async () => {
    await answer(order.dispute);
  });
  assert.deepEqual(await decisionsOf(order.dispute), [
    { round: "needs_response", decision: "leave", reason: "fee" },
  ]);
  await stack.sql`select public.submit_dispute_evidence(${order.dispute})`;
  await drain(stack, context);
  assert.equal(
    (await stripe.disputes.retrieve(order.dispute)).status,
    "needs_response",
    "not without the fee",
  );
  await stack.sql`select public.submit_dispute_evidence(${order.dispute}, p_acknowledge_fee => true)`;
  await drain(stack, context);
  const { status, evidence } = await stripe.disputes.retrieve(order.dispute);
  assert.equal(status, "under_review");
  assert.equal(evidence.enhanced_evidence.visa_compliance?.fee_acknowledged, true);
});

Deno.test("what is staged leaves the answer to Smart Disputes, staff's words do not", async () => {
  const [alone, noted] = [
    await disputedOrder("fraudulent", { packet: true }),
    await disputedOrder("fraudulent", { packet: true }),
  ];
  await drain(stack, context);
  const staged = await stripe.disputes.retrieve(alone.dispute);
  assert.equal(staged.intended_submission_method, "prefer_smart_disputes");
  await stack.sql`select public.submit_dispute_evidence(${noted.dispute}, 'She wrote that it fits.')`;
  await drain(stack, context);
  await nearDeadlines(async () => {
    await answer(alone.dispute);
  });
  const methods = [];
  for (const { dispute } of [alone, noted]) {
    methods.push((await stripe.disputes.retrieve(dispute)).evidence_details.submission_method);
  }
  assert.deepEqual(methods, ["smart_disputes", "manual"]);
});

Deno.test("Visa Compelling Evidence 3.0: two old orders of the same buyer qualify the dispute at Stripe", async () => {
  const email = `shopper-${crypto.randomUUID()}@example.com`;
  for (let n = 0; n < 2; n++) {
    const earlier = await checkout(stack, undefined, undefined, email);
    await pay(stack, earlier.session_id);
    await flush(stack);
    await stack
      .sql`update public.orders set paid_at = paid_at - interval '200 days' where id = ${earlier.order_id}`;
  }
  const order = await disputedOrder("fraudulent", { eligible: ["visa_compelling_evidence_3"] }, email);
  await drain(stack, context);
  const staged = await stripe.disputes.retrieve(order.dispute);
  assert.equal(staged.evidence_details.enhanced_eligibility.visa_compelling_evidence_3?.status, "qualified");
  await nearDeadlines(async () => {
    await answer(order.dispute);
  });
  const { evidence, status } = await stripe.disputes.retrieve(order.dispute);
  assert.equal(status, "under_review");
  assert.equal(
    evidence.enhanced_evidence.visa_compelling_evidence_3?.prior_undisputed_transactions.length,
    2,
  );
  // The two are of today again, as Stripe has them.
  await stack.sql`select private.settle_order(id, 'reconcile') from public.orders where email = ${email}`;
});
