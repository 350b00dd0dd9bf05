/**
 * Disputes of a shop whose staff do not look, over two months of a virtual clock: reasons, amounts and payment methods of
 * every kind, inquiries that escalate, appeals, events that come late or never, deadlines that move, calls that fail and
 * workers that die. `DISPUTES=1000` tries more of them, `DISPUTES_SEED` others.
 */
import assert from "node:assert/strict";
import type { JobContext } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { runJob } from "../../../supabase/functions/_shared/jobs/mod.ts";
import type { Job } from "../../../supabase/functions/_shared/database/jobs.ts";
import type { Fact } from "../../../supabase/functions/_shared/stripe_events/facts.ts";
import { disputeFacts } from "../../../supabase/functions/_shared/stripe_events/dispute.ts";
import { deliver } from "../settlement/arrange.ts";
import { randomFrom } from "../settlement/runs.ts";
import { searchDatabase } from "../settlement/search.ts";
import { attachSession, beginOrder } from "../settlement/shop.ts";
import { type Payment, Story } from "../settlement/story.ts";
import { Bank, type Case, dayMs, hourMs } from "./bank.ts";

const count = Number(Deno.env.get("DISPUTES") ?? 24);
const seed = Number(Deno.env.get("DISPUTES_SEED") ?? 1);
const stepMs = 4 * hourMs;
const perOrder = 4;
const limit = 3_000;
const percent: Record<string, number> = { fraudulent: 30 };

const database = await searchDatabase(10_000);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

const random = randomFrom(seed);
const chance = (share: number) => random() < share;
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
const bank = new Bank(random);

type Parameter = Parameters<typeof sql.json>[0];
const rpc = {
  applyStripeFacts: async (facts: Fact[], source: string, observedAt: Date) => {
    await sql`select public.apply_stripe_facts(${
      sql.json(facts as unknown as Parameter)
    }, ${source}, ${observedAt})`;
    return true;
  },
  decideDispute: async (
    id: string,
    round: string,
    { written, obstacle }: { written: boolean; obstacle: string | null },
  ) => {
    const [row] = await sql`select * from public.decide_dispute(${id}, ${round}, ${written}, ${obstacle})`;
    return row;
  },
  getDisputeEvidence: async (id: string) =>
    (await sql`select public.get_dispute_evidence(${id}) as evidence`)[0]?.["evidence"],
};
const log = { warn: () => {} };
const context = { rpc, stripe: bank.stripe, log, now: Date.now } as unknown as JobContext;

/** Stripe tells of a dispute. */
const tell = ({ id }: Case) => rpc.applyStripeFacts(disputeFacts(bank.show(id)), "reconcile", new Date());

/** What is told late or never, by when (virtual) it is. */
const news: { atMs: number; dispute: Case }[] = [];

/** Events come at once, late or never; what opens a round for good is found by reconciling within a day. */
async function emit(dispute: Case, mayBeLost: boolean): Promise<void> {
  if (chance(0.6)) await tell(dispute);
  else if (!mayBeLost || chance(0.5)) news.push({ atMs: bank.nowMs + random() * dayMs, dispute });
}

async function paidOrder(index: number): Promise<Payment> {
  const story = new Story(await beginOrder(sql), 60, `u${index}`);
  await attachSession(sql, story, "a");
  const payment = story.paid("a");
  await deliver(sql, story.moves);
  return payment;
}

/** Time passes for everything that the database has written a time on. */
async function passTime(): Promise<void> {
  bank.nowMs += stepMs;
  const step = `${stepMs / 1000} seconds`;
  await sql`update public.disputes set evidence_due_by = evidence_due_by - ${step}::interval`;
  await sql`update private.jobs set run_at = run_at - ${step}::interval where status = 'queued'`;
  // The leases of workers that died have run out.
  await sql`update private.jobs set status = 'queued', lease_id = null, leased_until = null where status = 'running'`;
}

async function work(): Promise<void> {
  const jobs = await sql<(Job & { lease_id: string })[]>`update private.jobs
    set status = 'running', attempts = attempts + 1, lease_id = gen_random_uuid(), leased_until = now() + interval '1 hour'
    where status = 'queued' and run_at <= now() and kind in ('answer_dispute', 'submit_dispute_evidence')
    returning id::int, kind, payload, attempts, max_attempts, lease_id, created_at, null as order_id`;
  for (const job of jobs) {
    const outcome = await runJob(job, context);
    if (chance(0.05)) continue;
    const at = outcome.kind === "snooze" ? outcome.until : null;
    const reason = "reason" in outcome ? outcome.reason : "error" in outcome ? outcome.error : null;
    const alert = "alert" in outcome ? outcome.alert ?? null : null;
    await sql`select private.finish_job(${job.id}, ${job.lease_id}, ${outcome.kind}, ${reason}, ${at}, ${alert})`;
  }
}

/** What happens at the bank and at a few desks, in one step. */
async function live(dispute: Case): Promise<void> {
  const round = dispute.rounds.at(-1);
  if (round === undefined) return;
  bank.lapse(dispute);
  const waits = dispute.status.endsWith("needs_response");
  if (waits && chance(0.004)) {
    bank.write(dispute, pick(["uncategorized_text", "shipping_carrier", "receipt"]), "By hand.", false);
  }
  if (waits && chance(0.001)) bank.write(dispute, "uncategorized_text", "By hand.", true);
  if (waits && chance(0.002)) {
    round.dueMs = Math.max(bank.nowMs + 48 * hourMs, round.dueMs + pick([-3, 3]) * dayMs);
  }
  if (!dispute.status.endsWith("under_review") || !chance(0.02)) return;
  // There is one appeal.
  const appealed = dispute.rounds.some(({ status }) => status === "appeal_needs_response");
  if (dispute.status === "warning_under_review") {
    if (chance(0.5)) bank.ask(dispute, "needs_response", 9);
    else dispute.status = "warning_closed";
    await emit(dispute, true);
  } else {
    dispute.status = pick(["won", "lost"]);
    if (dispute.status === "lost" && !appealed && chance(0.8)) bank.ask(dispute, "appeal_needs_response", 10);
    await emit(dispute, false);
  }
}

/** What is wrong with how a round was answered; null: nothing. */
function judge(dispute: Case, round: Case["rounds"][number]): string | null {
  if (round.by === "person" || round.dueMs > bank.nowMs) return null;
  const appeal = round.status === "appeal_needs_response";
  const klarnaInquiry = dispute.method === "klarna" && round.status === "warning_needs_response";
  const leave = appeal ? dispute.method !== "card" : dispute.compliance || klarnaInquiry;
  const small = dispute.amount * (percent[dispute.reason] ?? 100) / 100 < limit;
  const inquiry = round.status === "warning_needs_response";
  const wanted = leave ? null : small && !inquiry ? "accept" : "fight";
  // Who writes evidence means to fight.
  if (wanted === "accept" && dispute.touched && round.answer === "fight") return null;
  return round.answer === wanted
    ? null
    : `${dispute.id}: ${round.status} ended as ${round.answer}, not ${wanted}`;
}

Deno.test(`${count} disputes and nobody there: none missed, none against the policy, nobody's words overwritten`, async () => {
  await sql`update private.settings set value = ${
    sql.json({ usd: limit })
  } where key = 'dispute_accept_below'`;
  await sql`update private.settings set value = ${sql.json(percent)} where key = 'dispute_win_percent'`;
  const payments: Payment[] = [];
  for (let order = 0; order * perOrder < count; order++) payments.push(await paidOrder(order));
  for (let step = 0; step * stepMs < 50 * dayMs; step++) {
    // All of them are opened in the first twenty days.
    const opened = Math.min(count, Math.ceil((step + 1) * count * stepMs / (20 * dayMs)));
    for (let n = bank.cases.size; n < opened; n++) {
      const payment = payments[n % payments.length];
      assert(payment !== undefined);
      const inquiry = chance(0.25);
      const dispute = bank.open(
        {
          id: `du_u_${n}`,
          charge: payment.chargeId,
          payment: payment.id,
          amount: pick([900, 2_999, 3_000, 9_999, 10_000, 25_800]),
          reason: pick(["fraudulent", "product_not_received", "credit_not_processed", "general"]),
          method: pick(["card", "card", "card", "klarna", "paypal"]),
          compliance: !inquiry && chance(0.05),
          intended: chance(0.5) ? "prefer_manual" : null,
        },
        inquiry ? "warning_needs_response" : "needs_response",
        inquiry ? 14 : 9,
      );
      await emit(dispute, false);
    }
    for (const { dispute } of news.filter(({ atMs }) => atMs <= bank.nowMs)) await tell(dispute);
    news.splice(0, news.length, ...news.filter(({ atMs }) => atMs > bank.nowMs));
    for (const dispute of bank.cases.values()) await live(dispute);
    await work();
    await passTime();
  }
  const wrong = [...bank.cases.values()].flatMap((dispute) =>
    dispute.rounds.map((round) => judge(dispute, round)).filter((fault) => fault !== null)
  );
  assert.deepEqual([...bank.faults, ...wrong], []);
  const rounds = [...bank.cases.values()].flatMap((dispute) => dispute.rounds);
  for (const status of ["warning_needs_response", "needs_response", "appeal_needs_response"]) {
    assert(
      rounds.some((round) => round.status === status && round.answer === "fight"),
      `no ${status} was fought`,
    );
  }
  assert(rounds.some((round) => round.answer === "accept"), "none was accepted");
  assert(rounds.some((round) => round.answer === null), "none was left alone");
  const unaudited = await sql`select d.dispute_id, d.round from public.dispute_decisions d
    where not exists (
      select 1 from public.order_events e where e.kind = 'dispute_decided'
        and e.data ->> 'dispute_id' = d.dispute_id and e.data ->> 'round' = d.round
    )`;
  assert.deepEqual([...unaudited], []);
  const dead = await sql`select id, kind, last_error from private.jobs where status = 'dead'`;
  assert.deepEqual([...dead], []);
});
