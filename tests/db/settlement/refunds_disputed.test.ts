/** Refunds that settling asks for while a bank has the money: they wait, and nobody gets it twice. */
import assert from "node:assert/strict";
import { deliver, endRefundJob } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { assertSound, type Db, openAlerts, paidOrder, tellAll, total } from "./refunded_order.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

/** A disputed order that staff have cancelled, and what became of its refund. */
async function cancelledInDispute(tx: Db) {
  const { story, payment } = await paidOrder(tx);
  const dispute = story.disputed(payment, "d", "needs_response");
  await tellAll(tx, story);
  const [row] = await tx`select public.cancel_order(${story.frame.orderNumber}) as answer`;
  const answer: { status: string; notice?: string } = row?.["answer"];
  const request = `cancelled:${payment.id}`;
  const tell = async () => await tellAll(tx, story);
  const judge = async () => {
    const [judged] = await tx`select outcome, refusals from public.judge_refund(${request})`;
    return judged?.["outcome"];
  };
  /** The worker asks, and does as it is told. */
  const work = async () => {
    const outcome = await judge();
    if (outcome === "disputed") await endRefundJob(tx, request, "discard");
    return outcome;
  };
  const state = async () => {
    await assertSound(tx);
    const [found] = await tx`select q.status, j.status as job, q.refusals from public.refund_requests q
      join private.jobs j on j.dedupe_key = 'refund_payment:' || q.id where q.id = ${request}`;
    const alerts = (await openAlerts(tx)).filter((kind) => kind.startsWith("refund"));
    return [found?.["status"], found?.["job"], ...alerts];
  };
  return { story, payment, dispute, request, answer, tell, judge, work, state };
}

Deno.test("cancel_order() of a disputed order says that the refund waits; it is made when the dispute is won", async () => {
  await undone(sql, async (tx) => {
    const { story, payment, dispute, request, answer, tell, work, state } = await cancelledInDispute(tx);
    assert.match(answer.notice ?? "", /disputed.*waits/);
    assert.equal(await work(), "disputed");
    assert.deepEqual(await state(), ["disputed", "discarded"]);
    dispute.answered();
    await tell();
    assert.deepEqual(await state(), ["disputed", "discarded"]);
    dispute.closed("won");
    await tell();
    assert.deepEqual(await state(), ["queued", "queued"]);
    assert.equal(await work(), "go");
    story.refunded(payment, "1", total, "succeeded", request);
    await tell();
    await endRefundJob(tx, request, "done");
    assert.deepEqual(await state(), ["done", "done"]);
  });
});

Deno.test("a refund that waits for a bank is not made when the dispute is lost, and is when it is won on appeal", async () => {
  await undone(sql, async (tx) => {
    const { story, dispute, tell, work, state } = await cancelledInDispute(tx);
    await work();
    dispute.closed("lost");
    await tell();
    assert.deepEqual(await state(), ["disputed", "discarded"]);
    const [again] = await tx`select public.cancel_order(${story.frame.orderNumber}) ->> 'notice' as notice`;
    assert.match(again?.["notice"], /from the bank/);
    const waiting = await tx`select 1 from reporting.orders_needing_attention
      where reasons && array['refund_refused', 'refund_delayed']`;
    assert.equal(waiting.length, 0);
    dispute.closed("won");
    await tell();
    assert.deepEqual(await state(), ["queued", "queued"]);
  });
});

Deno.test("a dispute that was lost about a part leaves the rest to a person, once Stripe has refused it", async () => {
  await undone(sql, async (tx) => {
    const { story, dispute, request, tell, work, state } = await cancelledInDispute(tx);
    await work();
    dispute.closed("lost");
    for (const event of story.events) Object.assign(event.data.object, { amount: 5_000 });
    await tell();
    assert.deepEqual(await state(), ["queued", "queued"]);
    assert.equal(await work(), "go");
    await endRefundJob(tx, request, "discard", "critical");
    assert.deepEqual(await state(), ["given_up", "discarded", "refund_refused"]);
  });
});

Deno.test("a dispute that is won while the worker has the job is not missed", async () => {
  await undone(sql, async (tx) => {
    const { story, payment, dispute, request, tell, judge, state } = await cancelledInDispute(tx);
    await tx`update private.jobs set status = 'running', lease_id = gen_random_uuid(),
        leased_until = now() + interval '1 minute' where payload ->> 'refund_request_id' = ${request}`;
    assert.equal(await judge(), "disputed");
    dispute.closed("won");
    await tell();
    await endRefundJob(tx, request, "discard");
    assert.deepEqual(await state(), ["queued", "queued"]);
    assert.equal(await judge(), "go");
    // Somebody has refunded by hand meanwhile.
    story.refunded(payment, "1", total, "succeeded");
    await tell();
    await endRefundJob(tx, request, "discard");
    assert.deepEqual(await state(), ["not_needed", "discarded"]);
  });
});

Deno.test("each try after a dispute has another key at Stripe, which repeats what it refused before", async () => {
  await undone(sql, async (tx) => {
    const { request, work } = await cancelledInDispute(tx);
    await work();
    const [row] = await tx`select refusals from public.refund_requests where id = ${request}`;
    assert.equal(row?.["refusals"], 1);
  });
});

Deno.test("the refund of a second payment that is disputed waits as well; one that staff asked for does not", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    const [row] = await tx`
      select public.request_refund(${story.frame.orderNumber}, 1000) ->> 'command_id' as id`;
    const asked: string = row?.["id"];
    await tx`select private.ask_refund(${`duplicate:${payment.id}`}, ${story.frame.orderId}, ${payment.id}, null,
      'duplicate', 'duplicate', false)`;
    story.disputed(payment, "d", "needs_response");
    await deliver(tx, story.moves);
    const outcomes = await tx`select q.cause, (public.judge_refund(q.id)).outcome
      from public.refund_requests q where q.id in (${asked}, ${`duplicate:${payment.id}`}) order by q.cause`;
    assert.deepEqual(outcomes.map(({ cause, outcome }) => [cause, outcome]), [
      ["duplicate", "disputed"],
      ["requested", "go"],
    ]);
  });
});

Deno.test("an inquiry takes nothing: the refund of a cancelled order is what settles it", async () => {
  await undone(sql, async (tx) => {
    const { story, payment } = await paidOrder(tx);
    story.disputed(payment, "d", "warning_needs_response");
    await tellAll(tx, story);
    const [row] = await tx`select public.cancel_order(${story.frame.orderNumber}) as answer`;
    assert.equal(row?.["answer"].notice, undefined);
    const [judged] = await tx`select outcome from public.judge_refund(${`cancelled:${payment.id}`})`;
    assert.equal(judged?.["outcome"], "go");
  });
});
