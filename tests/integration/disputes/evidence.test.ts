import assert from "node:assert/strict";
import { runJob } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { type TestStack, testStack } from "../../support/stack.ts";
import {
  type Checkout,
  checkout,
  control,
  drain,
  flush,
  jobContext,
  orderRow,
  pay,
  violations,
} from "../jobs/shop.ts";

const stack = await testStack();
const context = jobContext(stack);
const { stripe } = context;
Deno.test.afterAll(() => stack.stop());

/** A paid order that has shipped, and is disputed afterwards. Returns it with the dispute's id. */
async function disputedOrder(
  kind: "fraudulent" | "inquiry" = "fraudulent",
): Promise<Checkout & { dispute: string }> {
  const order = await checkout(stack);
  await pay(stack, order.session_id);
  await flush(stack);
  await stack.sql`select public.mark_fulfilled(${order.order_number}, 'UPS', '1Z999')`;
  const [payment] = await stack.sql`select charge_id from public.payments where order_id = ${order.order_id}`;
  await control(stack, "dispute", { charge: payment?.["charge_id"], kind });
  await flush(stack);
  const [dispute] = await stack.sql`select id from public.disputes where order_id = ${order.order_id}`;
  return { ...order, dispute: dispute?.["id"] };
}

async function jobsOf(stack: TestStack, dispute: string) {
  return await stack.sql`select status, last_error from private.jobs
    where kind = 'submit_dispute_evidence' and payload ->> 'dispute_id' = ${dispute} order by id`;
}

function remind(dispute: string, days: number) {
  const job = {
    id: 1,
    kind: "remind_dispute",
    payload: { dispute_id: dispute, days },
    attempts: 1,
    max_attempts: 12,
    lease_id: crypto.randomUUID(),
    created_at: new Date().toISOString(),
    order_id: null,
  };
  return runJob(job, context);
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
    join private.jobs j on j.dedupe_key = 'close_dispute:' || d.id where d.id = ${order.dispute}`;
  assert.deepEqual({ ...row }, { status: "lost", job: "done" });
  // A try whose answer was lost finds it closed.
  const repeat = {
    id: 2,
    kind: "close_dispute",
    payload: { dispute_id: order.dispute },
    attempts: 1,
    max_attempts: 12,
    lease_id: crypto.randomUUID(),
    created_at: new Date().toISOString(),
    order_id: null,
  };
  assert.deepEqual(await runJob(repeat, context), { kind: "done" });
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
