/**
 * Random histories of one payment: refunds by hand and by the shop, disputes of all of it and of parts, inquiries,
 * appeals, warnings, staff, and news that comes late. `HISTORIES=500` tries more, `HISTORIES_SEED` others.
 */
import assert from "node:assert/strict";
import Stripe from "stripe";
import type { JobContext } from "../../../supabase/functions/_shared/jobs/mod.ts";
import { runJob } from "../../../supabase/functions/_shared/jobs/mod.ts";
import type { Job } from "../../../supabase/functions/_shared/database/jobs.ts";
import type { Fact } from "../../../supabase/functions/_shared/stripe_events/facts.ts";
import { disputeFacts } from "../../../supabase/functions/_shared/stripe_events/dispute.ts";
import { earlyFraudWarningFacts } from "../../../supabase/functions/_shared/stripe_events/radar.ts";
import { refundFacts } from "../../../supabase/functions/_shared/stripe_events/refund.ts";
import { deliver } from "../settlement/arrange.ts";
import { randomFrom } from "../settlement/runs.ts";
import { searchDatabase } from "../settlement/search.ts";
import { attachSession, beginOrder } from "../settlement/shop.ts";
import { type Payment, Story } from "../settlement/story.ts";

const histories = Number(Deno.env.get("HISTORIES") ?? 40);
const firstSeed = Number(Deno.env.get("HISTORIES_SEED") ?? 1);
const stepsPerHistory = 22;

const database = await searchDatabase(100_000);
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Parameter = Parameters<typeof sql.json>[0];

const fixture = (name: string) =>
  JSON.parse(Deno.readTextFileSync(new URL(`../../fixtures/events/${name}.json`, import.meta.url))).data
    .object;
const refundFixture = fixture("refund.created");
const disputeFixture = fixture("charge.dispute.created");
const warningFixture = fixture("radar.early_fraud_warning.created");

const openBank = ["needs_response", "under_review", "appeal_needs_response", "appeal_under_review"];

/** What Stripe knows of one payment, and what of that the shop has not heard yet. */
class Account {
  readonly refunds: Stripe.Refund[] = [];
  readonly disputes: Stripe.Dispute[] = [];
  readonly warnings: Stripe.Radar.EarlyFraudWarning[] = [];
  readonly news: { facts: Fact[]; at: Date }[] = [];
  readonly log: string[] = [];
  #made = 0;
  #clock = Date.now() - 3 * 3_600_000;

  constructor(readonly payment: Payment, readonly tag: string, readonly random: () => number) {}

  now(): Date {
    this.#clock += 1_000;
    return new Date(this.#clock);
  }

  get given(): number {
    return this.refunds.filter(({ status }) => status !== "failed").reduce(
      (sum, { amount }) => sum + amount,
      0,
    );
  }

  get charged(): number {
    return this.disputes.filter(({ status }) => status === "lost").reduce(
      (sum, { amount }) => sum + amount,
      0,
    );
  }

  get isDisputed(): boolean {
    return this.disputes.some(({ status }) => status === "lost" || openBank.includes(status));
  }

  get isOpen(): boolean {
    return this.disputes.some(({ status }) => openBank.includes(status));
  }

  refund(amount: number | undefined, metadata: Record<string, string>): Stripe.Refund {
    const left = this.payment.amount - this.given;
    if (this.isDisputed) throw refused("charge_disputed");
    if (left <= 0) throw refused("charge_already_refunded");
    if ((amount ?? left) > left) throw refused("amount_too_large");
    const refund = {
      ...refundFixture,
      id: `re_${this.tag}_${++this.#made}`,
      amount: amount ?? left,
      charge: this.payment.chargeId,
      payment_intent: this.payment.id,
      created: Math.floor(this.now().getTime() / 1000),
      currency: "usd",
      metadata,
      status: this.random() < 0.3 ? "pending" : "succeeded",
    } as Stripe.Refund;
    this.refunds.push(refund);
    this.tell(refundFacts(refund));
    return refund;
  }

  dispute(amount: number, status: string): Stripe.Dispute {
    const dispute = {
      ...disputeFixture,
      id: `du_${this.tag}_${++this.#made}`,
      amount,
      charge: this.payment.chargeId,
      payment_intent: this.payment.id,
      created: Math.floor(this.now().getTime() / 1000),
      currency: "usd",
      status,
    } as Stripe.Dispute;
    this.disputes.push(dispute);
    this.tell(disputeFacts(dispute));
    return dispute;
  }

  move(dispute: Stripe.Dispute, status: string): void {
    dispute.status = status as Stripe.Dispute.Status;
    this.tell(disputeFacts(dispute));
  }

  warn(): void {
    const warning = {
      ...warningFixture,
      id: `issfr_${this.tag}_${++this.#made}`,
      charge: this.payment.chargeId,
      payment_intent: this.payment.id,
      created: Math.floor(this.now().getTime() / 1000),
      actionable: !this.isDisputed && this.given < this.payment.amount,
    } as Stripe.Radar.EarlyFraudWarning;
    this.warnings.push(warning);
    this.tell(earlyFraudWarningFacts(warning));
  }

  tell(facts: Fact[]): void {
    this.news.push({ facts: structuredClone(facts), at: this.now() });
  }

  get stripe(): Stripe {
    const refunds = {
      list: () => {
        const found = structuredClone(this.refunds);
        return (async function* () {
          yield* found;
        })();
      },
      create: (params: Stripe.RefundCreateParams) =>
        Promise.resolve().then(() => {
          const metadata = params.metadata as Record<string, string>;
          const known = this.refunds.find((refund) =>
            refund.metadata?.["refund_request_id"] === metadata["refund_request_id"] &&
            refund.status !== "failed"
          );
          if (known !== undefined) throw new Error(`${metadata["refund_request_id"]} is refunded twice`);
          const made = this.refund(params.amount, metadata);
          this.log.push(`  stripe refunds ${made.amount} for ${metadata["refund_request_id"]}`);
          return structuredClone(made);
        }),
    };
    const disputes = { list: () => Promise.resolve({ data: structuredClone(this.disputes) }) };
    return { refunds, disputes } as unknown as Stripe;
  }
}

function refused(code: string): Error {
  return new Stripe.errors.StripeInvalidRequestError({
    ...{ message: code, code, type: "invalid_request_error", statusCode: 400 },
  });
}

async function history(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const chance = (share: number) => random() < share;
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const tag = `h${seed}`;
  const story = new Story(await beginOrder(sql), 60, tag);
  const { orderId, orderNumber } = story.frame;
  await attachSession(sql, story, "a");
  const payment = story.paid("a");
  await deliver(sql, story.moves);
  const account = new Account(payment, tag, random);
  const { log } = account;
  if (chance(0.4)) {
    await sql`update private.settings set value = '"review"' where key = 'early_fraud_warning_policy'`;
  } else await sql`update private.settings set value = '"refund"' where key = 'early_fraud_warning_policy'`;

  const rpc = {
    applyStripeFacts: async (facts: Fact[], source: string, at: Date) => {
      await sql`select public.apply_stripe_facts(${
        sql.json(facts as unknown as Parameter)
      }, ${source}, ${at})`;
      return true;
    },
    judgeRefund: async (id: string) => (await sql`select * from public.judge_refund(${id})`)[0],
  };
  const context = {
    ...{ rpc, stripe: account.stripe, log: { warn: () => {}, info: () => {} } },
    now: () => account.now().getTime(),
  } as unknown as JobContext;

  const hear = async (all: boolean) => {
    while (account.news.length > 0 && (all || chance(0.7))) {
      const at = Math.floor(random() * account.news.length);
      const [item] = account.news.splice(at, 1);
      if (item !== undefined) await rpc.applyStripeFacts(item.facts, "reconcile", item.at);
    }
  };
  const work = async () => {
    const jobs = await sql<(Job & { lease_id: string })[]>`update private.jobs
      set status = 'running', attempts = attempts + 1, lease_id = gen_random_uuid(), leased_until = now() + interval '1 hour'
      where status = 'queued' and kind = 'refund_payment' and payload ->> 'payment_id' = ${payment.id}
      returning id::int, kind, payload, attempts, max_attempts, lease_id, created_at, null as order_id`;
    for (const job of jobs) {
      const outcome = await runJob(job, context);
      const at = outcome.kind === "snooze" ? outcome.until : null;
      const reason = "reason" in outcome ? outcome.reason : "error" in outcome ? outcome.error : null;
      const alert = "alert" in outcome ? outcome.alert ?? null : null;
      log.push(`  job ${job.payload["refund_request_id"]}: ${outcome.kind} ${reason ?? ""}`);
      await sql`select private.finish_job(${job.id}, ${job.lease_id}, ${outcome.kind}, ${reason}, ${at}, ${alert})`;
    }
  };
  const staff = async (name: string, query: string) => {
    try {
      await sql.unsafe(query);
      log.push(`staff ${name}`);
    } catch (error) {
      const state = (error as { code?: string }).code ?? "";
      log.push(`staff ${name}: refused ${(error as Error).message}`);
      assert.match(state, /^SH/, `${name}: ${(error as Error).message}`);
    }
  };
  const progress = () => {
    const dispute = pick(account.disputes);
    const next: Record<string, string[]> = {
      warning_needs_response: ["warning_under_review", "warning_closed", "needs_response", "prevented"],
      warning_under_review: ["warning_closed", "needs_response"],
      needs_response: ["under_review", "lost", "won"],
      under_review: ["won", "lost"],
      lost: ["appeal_needs_response"],
      appeal_needs_response: ["appeal_under_review", "lost"],
      appeal_under_review: ["won", "lost"],
    };
    const to = next[dispute?.status ?? ""];
    if (dispute === undefined || to === undefined) return;
    if (dispute.status === "lost" && !chance(0.3)) return;
    account.move(dispute, pick(to));
    log.push(`dispute ${dispute.id} ${dispute.status}`);
  };
  const check = async (what: string) => {
    const broken = await sql`select * from private.check_orders(${[orderId]}::uuid[])`;
    assert.deepEqual([...broken], [], what);
  };
  const A = payment.amount;
  try {
    for (let step = 0; step < stepsPerHistory; step++) {
      const dice = random();
      if (dice < 0.1) {
        const amount = pick([100, 12_900, undefined]);
        try {
          const { id, amount: made } = account.refund(amount, {});
          log.push(`dashboard ${id} ${made}`);
        } catch { /* Stripe refuses */ }
      } else if (dice < 0.22 && account.disputes.length < 3) {
        const d = account.dispute(
          pick([A, A, 100, 12_900]),
          pick(["needs_response", "needs_response", "warning_needs_response"]),
        );
        log.push(`dispute ${d.id} ${d.status} ${d.amount}`);
      } else if (dice < 0.45) progress();
      else if (dice < 0.5) {
        account.warn();
        log.push(`warning ${account.warnings.at(-1)?.actionable}`);
      } else if (dice < 0.58) {
        await staff(
          "refund",
          `select public.request_refund('${orderNumber}', ${pick(["null", "100", "12900"])})`,
        );
      } else if (dice < 0.63) await staff("cancel", `select public.cancel_order('${orderNumber}')`);
      else if (dice < 0.69) await staff("release", `select public.release_review('${orderNumber}')`);
      else if (dice < 0.73) {
        await staff("ship", `select public.mark_fulfilled('${orderNumber}', 'UPS', '1Z')`);
      } else if (dice < 0.77) {
        const [job] = await sql`select id from private.jobs where kind = 'refund_payment'
          and payload ->> 'payment_id' = ${payment.id} and status in ('dead', 'discarded') order by random() limit 1`;
        if (job !== undefined) await staff("redrive", `select public.redrive_job(${job["id"]})`);
      } else if (dice < 0.87) {
        const pending = account.refunds.filter(({ status }) =>
          status === "pending" || status === "succeeded"
        );
        const refund = pick(pending);
        if (refund !== undefined) {
          refund.status = chance(0.6) ? "failed" : "succeeded";
          account.tell(refundFacts(refund));
          log.push(`refund ${refund.id} ${refund.status}`);
        }
      }
      await hear(false);
      if (chance(0.6)) await work();
      await check(`step ${step}`);
    }
    // Banks decide, news arrives, the queue runs dry.
    for (const dispute of account.disputes) {
      if (openBank.includes(dispute.status)) account.move(dispute, pick(["won", "lost"]));
      else if (dispute.status.startsWith("warning_") && dispute.status !== "warning_closed") {
        account.move(dispute, "warning_closed");
      }
    }
    for (const refund of account.refunds.filter(({ status }) => status === "pending")) {
      refund.status = "succeeded";
      account.tell(refundFacts(refund));
    }
    log.push("the end");
    await hear(true);
    for (let n = 0; n < 5; n++) {
      await work();
      for (const refund of account.refunds.filter(({ status }) => status === "pending")) {
        refund.status = "succeeded";
        account.tell(refundFacts(refund));
      }
      await hear(true);
    }
    await check("at the end");
    const digest = async () => {
      const [row] = await sql`select md5(concat(
        (select to_jsonb(o) - 'updated_at' from public.orders o where o.id = ${orderId}),
        (select jsonb_agg(to_jsonb(q) order by q.id) from public.refund_requests q where q.order_id = ${orderId}),
        (select jsonb_agg(a.dedupe_key || a.status order by a.dedupe_key) from public.alerts a where a.data ->> 'order_number' = ${orderNumber}))) as md5`;
      return row?.["md5"];
    };
    const before = await digest();
    await sql`select private.settle_order(${orderId}, 'test')`;
    assert.equal(await digest(), before, "settling again changes something");

    const [order] =
      await sql`select o.status, o.fulfillment_status as fulfillment, o.cancelled_at is not null as cancelled,
        o.amount_refunded::int as refunded, private.hold_reasons(o) as holds,
        array(select reason from reporting.attention_reasons r where r.order_id = o.id order by 1) as waits,
        array(select q.id || ' ' || q.status from public.refund_requests q where q.order_id = o.id order by 1) as requests,
        array(select j.status || ' ' || j.dedupe_key from private.jobs j where j.kind = 'refund_payment' and j.payload ->> 'order_id' = o.id::text order by 1) as jobs
      from public.orders o where o.id = ${orderId}`;
    const state = JSON.stringify(order);
    const left = A - account.given - account.charged;
    log.push(`left ${left}: ${state}`);
    assert.equal(
      order?.["refunded"],
      account.refunds.filter(({ status }) => status === "succeeded").reduce((s, r) => s + r.amount, 0),
    );
    assert.ok(!order?.["jobs"].some((job: string) => job.startsWith("queued")), "the queue is not dry");
    assert.ok(
      !order?.["requests"].some((request: string) => request.endsWith("queued")),
      "a request without a job",
    );
    if (order?.["fulfillment"] === "on_hold") {
      assert.notDeepEqual(order?.["waits"], [], "held, and nobody is told why");
    }
    if (order?.["fulfillment"] === "unfulfilled") {
      assert.ok(left > 0, "goods to pack of which the money is gone");
    }
    if (order?.["cancelled"] && left > 0) {
      assert.notDeepEqual(order?.["waits"], [], "money of a cancelled order is kept");
    }
  } catch (error) {
    console.log(`seed ${seed}\n${log.join("\n")}`);
    throw error;
  }
}

Deno.test(`${histories} random histories of refunds, disputes and staff end well`, async () => {
  const failed: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    await history(seed).catch((error) => failed.push(`${seed}: ${String(error.message).slice(0, 300)}`));
  }
  assert.deepEqual(failed, []);
});
