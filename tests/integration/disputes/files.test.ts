/** The files that go with evidence: uploaded once, never in the place of a person's, never in the way of the answer. */
import assert from "node:assert/strict";
import type Stripe from "stripe";
import { createLogger, type Level } from "../../../supabase/functions/_shared/log.ts";
import type { LoggedRequest } from "../../../scripts/stand-in/core/request_log.ts";
import { testStack } from "../../support/stack.ts";
import { clearFaults, control, drain, flush, jobContext, setFaults } from "../jobs/shop.ts";
import { disputeWorld } from "./disputed.ts";

const stack = await testStack();
const lines: string[] = [];
const context = {
  ...jobContext(stack),
  log: createLogger({}, (_level: Level, line: string) => lines.push(line)),
};
const { stripe } = context;
const { disputedOrder, answer, nearDeadlines } = disputeWorld(stack, context);
Deno.test.afterAll(() => stack.stop());

const { test } = Deno;

async function evidenceOf(dispute: string): Promise<Stripe.Dispute.Evidence> {
  return (await stripe.disputes.retrieve(dispute)).evidence;
}

/** The file in a field, as its reader sees it. */
async function contentsOf(file: string | Stripe.File | null | undefined): Promise<string> {
  assert.equal(typeof file, "string");
  const { url } = await stripe.files.retrieve(String(file));
  const response = await fetch(url ?? "", {
    headers: { authorization: `Bearer ${stack.stripe_secret_key}` },
  });
  return new TextDecoder("windows-1252").decode(await response.arrayBuffer());
}

async function uploads(): Promise<number> {
  return (await stripe.files.list({ limit: 100 })).data.length;
}

/** How often an upload was asked for. */
async function uploadRequests(): Promise<number> {
  const response = await fetch(`${stack.stripe_url}/_control/requests`);
  const { requests } = await response.json() as { requests: LoggedRequest[] };
  return requests.filter(({ method, path }) => method === "POST" && path === "/v1/files").length;
}

/** A file of a person's, of this size. */
async function handMade(size = 100): Promise<string> {
  const file = { data: `%PDF-1.4${" ".repeat(size)}`, name: "mine.pdf" };
  return (await stripe.files.create({ file, purpose: "dispute_evidence" })).id;
}

test("what is staged has the order's receipt and parcels as files, and is submitted with the same ones", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  const { receipt, shipping_documentation, refund_policy } = await evidenceOf(order.dispute);
  const read = await contentsOf(receipt);
  assert.match(read, /^%PDF-1\.4/);
  assert(read.includes(`(Receipt of order ${order.order_number})`));
  assert.match(await contentsOf(shipping_documentation), /Tracking number 1Z999/);
  assert.equal(refund_policy, null, "nothing is known of the terms");
  await stack
    .sql`update public.notifications set status = 'sent', sent_at = now(), recipient = 'ada@example.com'
    where order_id = ${order.order_id} and template = 'order_confirmation'`;
  const before = await uploadRequests();
  await nearDeadlines(async () => {
    await answer(order.dispute);
  });
  const { status, evidence } = await stripe.disputes.retrieve(order.dispute);
  assert.equal(status, "under_review");
  assert.deepEqual([evidence.receipt, evidence.shipping_documentation], [receipt, shipping_documentation]);
  assert.equal(await uploadRequests() - before, 1, "of the mails, since one has been sent");
  assert.match(await contentsOf(evidence.customer_communication), /order confirmation to ada@example\.com/);
});

test("a try that dies after its uploads leaves no second file behind", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  await nearDeadlines(async () => {
    // Nothing of the first try arrives: neither the answers to the uploads nor the evidence.
    await setFaults(stack, { api: [{ match: "POST /v1/files", status: 500, times: 99, after: true }] });
    const before = await uploads();
    await stack.sql`update public.shipments set tracking_number = '1Z998' where order_id = ${order.order_id}`;
    assert.equal((await answer(order.dispute)).kind, "retry");
    await clearFaults(stack);
    const lost = await uploads();
    assert(lost > before, "they are at Stripe all the same");
    await setFaults(stack, { api: [{ match: "POST /v1/disputes/*", status: 500, times: 2 }] });
    assert.equal((await answer(order.dispute)).kind, "retry");
    await clearFaults(stack);
    assert.equal((await answer(order.dispute)).kind, "snooze");
    assert.equal(await uploads(), lost);
  });
  const { status, evidence, metadata } = await stripe.disputes.retrieve(order.dispute);
  assert.equal(status, "under_review");
  assert.match(await contentsOf(evidence.shipping_documentation), /1Z998/);
  assert(metadata["files"]?.includes(`:${evidence.shipping_documentation}`));
});

test("a file that a person has put there is never replaced, and the other fields are filled", async () => {
  const order = await disputedOrder();
  await drain(stack, context);
  const receipt = await handMade();
  await stripe.disputes.update(order.dispute, { evidence: { receipt }, submit: false });
  const before = (await evidenceOf(order.dispute)).shipping_documentation;
  await nearDeadlines(async () => {
    await answer(order.dispute);
  });
  const { status, evidence, metadata } = await stripe.disputes.retrieve(order.dispute);
  assert.equal(status, "under_review");
  assert.deepEqual([evidence.receipt, evidence.shipping_documentation], [receipt, before]);
  assert.doesNotMatch(metadata["files"] ?? "", /receipt:/, "it is not ours");
});

test("files never cost the answer: refused, not taken three times, or without room beside a person's", async () => {
  const [refused, unreachable, full] = [await disputedOrder(), await disputedOrder(), await disputedOrder()];
  await setFaults(stack, { api: [{ match: "POST /v1/files", status: 403, times: 999 }] });
  await drain(stack, context);
  const staged = await evidenceOf(refused.dispute);
  assert.equal(staged.receipt, null);
  assert.match(staged.uncategorized_text ?? "", new RegExp(refused.order_number));
  assert(lines.some((line) => line.includes("dispute_file_left_out") && line.includes(refused.dispute)));
  await nearDeadlines(async () => {
    await answer(refused.dispute);
    await clearFaults(stack);
    await setFaults(stack, { api: [{ match: "POST /v1/files", status: 503, times: 999 }] });
    assert.equal((await answer(unreachable.dispute, "needs_response", 1)).kind, "retry");
    assert.equal((await answer(unreachable.dispute, "needs_response", 3)).kind, "snooze");
    await clearFaults(stack);
    const uncategorized_file = await handMade(4_718_500);
    await stripe.disputes.update(full.dispute, { evidence: { uncategorized_file }, submit: false });
    await answer(full.dispute);
  });
  for (const { dispute } of [refused, unreachable, full]) {
    const { status, evidence, metadata } = await stripe.disputes.retrieve(dispute);
    assert.deepEqual(
      [status, evidence.receipt, metadata["files"]],
      ["under_review", null, undefined],
      dispute,
    );
    assert.equal(evidence.shipping_tracking_number, "1Z999");
  }
  assert.equal(typeof (await evidenceOf(full.dispute)).uncategorized_file, "string");
});

test("an appeal has the files beside those that a person has added, under the person's reason", async () => {
  const [alone, helped] = [await disputedOrder(), await disputedOrder()];
  for (const { dispute } of [alone, helped]) {
    await stripe.disputes.close(dispute);
    await control(stack, "appeal", { dispute });
  }
  await flush(stack);
  const mine = await handMade();
  const card = { reason_for_filing: "By hand.", supporting_files: [mine] };
  await stripe.disputes.update(helped.dispute, { evidence: { appeal: { card } }, submit: false });
  await drain(stack, context);
  const staged = (await evidenceOf(alone.dispute)).appeal?.card?.supporting_files ?? [];
  assert.match(await contentsOf(staged[0]), new RegExp(alone.order_number));
  await nearDeadlines(async () => {
    await answer(alone.dispute, "appeal_needs_response");
    await answer(helped.dispute, "appeal_needs_response");
  });
  const appealed = async (dispute: string) => {
    const { status, evidence } = await stripe.disputes.retrieve(dispute);
    assert.equal(status, "appeal_under_review");
    return evidence.appeal?.card;
  };
  const [first, second] = [await appealed(alone.dispute), await appealed(helped.dispute)];
  assert.equal(first?.supporting_files?.[0], staged[0], "the same file again");
  assert(new Set(first?.supporting_files).size === first?.supporting_files?.length);
  assert.equal(second?.reason_for_filing, "By hand.");
  assert.equal(second?.supporting_files?.[0], mine);
  assert((second?.supporting_files?.length ?? 0) > 1);
});

test("an inquiry of Klarna's takes no evidence, and is left to staff; its chargeback is fought", async () => {
  const order = await disputedOrder("inquiry", {}, undefined, "klarna");
  await drain(stack, context);
  await nearDeadlines(async () => {
    await answer(order.dispute, "warning_needs_response");
  });
  const { status, evidence_details } = await stripe.disputes.retrieve(order.dispute);
  assert.deepEqual([status, evidence_details.has_evidence], ["warning_needs_response", false]);
  const [decision] = await stack.sql`select decision, reason from public.dispute_decisions
    where dispute_id = ${order.dispute}`;
  assert.deepEqual({ ...decision }, { decision: "leave", reason: "no_field" });
  const chargeback = await disputedOrder("credit_not_processed", {}, undefined, "klarna");
  await drain(stack, context);
  const { shipping_tracking_number, refund_refusal_explanation } = await evidenceOf(chargeback.dispute);
  assert.equal(shipping_tracking_number, "1Z999");
  assert.match(refund_refusal_explanation ?? "", /no record of a return/);
});
