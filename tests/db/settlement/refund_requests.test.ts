/**
 * Staff, the queue, Stripe's dashboard and the bank in any order: whatever they do, a customer gets no more than was
 * asked for, and nobody loses sight of money that is owed.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { sqlstateOf } from "../../support/role.ts";
import { deliver, endRefundJob } from "./arrange.ts";
import { firstSeed, randomFrom, runs } from "./runs.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { type Payment, Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Tx = postgres.ReservedSql;

/** Stripe's side of one payment, and the worker that asks it, one step at a time. */
class World {
  #refunds = 0;
  /** Refunds that a person asked for, by request id, and those made by hand in the dashboard. */
  meant: { amount: number; request: string | null }[] = [];
  made: { amount: number; request: string | null; name: string; failed: boolean }[] = [];

  constructor(
    readonly tx: Tx,
    readonly story: Story,
    readonly payment: Payment,
    readonly random: () => number,
  ) {}

  get left(): number {
    return this.payment.amount -
      this.made.filter(({ failed }) => !failed).reduce((sum, { amount }) => sum + amount, 0);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }

  /** Runs what staff would run; a refusal changes nothing. */
  async #try(statement: (tx: Tx) => PromiseLike<unknown>): Promise<string | null> {
    await this.tx`savepoint step`;
    const state = await sqlstateOf(statement(this.tx));
    if (state !== null) await this.tx`rollback to savepoint step`;
    return state;
  }

  async ask(): Promise<void> {
    const amount = this.pick([null, 3_000, 10_000, 20_000]) ?? null;
    const before = this.left;
    const state = await this.#try((tx) =>
      tx`select public.request_refund(${this.story.frame.orderNumber}, ${amount}, 'x', ${
        this.random() < 0.5
      })`
    );
    if (state !== null) return void assert.equal(state, "SHREF");
    assert(before > 0 && (amount ?? 0) <= before, "nothing was accepted that is not there");
    const [row] = await this
      .tx`select id, amount::int from public.refund_requests order by created_at desc limit 1`;
    this.meant.push({ amount: row?.["amount"] ?? before, request: row?.["id"] });
  }

  async #tell(amount: number, request: string | null): Promise<void> {
    const name = `${++this.#refunds}`;
    this.made.push({ amount, request, name, failed: false });
    this.story.refunded(this.payment, name, amount, "succeeded", request ?? undefined);
    for (const move of this.story.moves) {
      if (move.call === "event") {
        for (const fact of move.facts) if ("created" in fact) fact.created = await this.#now();
      }
      await deliver(this.tx, [move]);
    }
    this.story.events.length = 0;
  }

  /** Later than anything the database has written. */
  async #now(): Promise<number> {
    const [row] = await this.tx`select ceil(extract(epoch from clock_timestamp()))::int as now`;
    return row?.["now"];
  }

  async byHand(): Promise<void> {
    const amount = Math.min(this.left, this.pick([1_000, 3_000, 25_800]) ?? 0);
    if (amount === 0) return;
    await this.#tell(amount, null);
    this.meant.push({ amount, request: null });
  }

  /** The worker takes one job that is queued: reads, judges, asks Stripe, and books. */
  async work(): Promise<void> {
    const jobs = await this
      .tx`select payload ->> 'refund_request_id' as id, (payload ->> 'amount')::int as amount
      from private.jobs where kind = 'refund_payment' and status = 'queued' order by id`;
    const job = this.pick(jobs);
    if (job === undefined) return;
    const { id, amount } = job as unknown as { id: string; amount: number | null };
    const [row] = await this.tx`select outcome from public.judge_refund(${id})`;
    if (row?.["outcome"] === "made") return await endRefundJob(this.tx, id, "done");
    if (row?.["outcome"] === "overtaken") return await endRefundJob(this.tx, id, "discard", "warning");
    if (this.left === 0) return await endRefundJob(this.tx, id, "discard");
    const dice = this.random();
    if (dice < 0.3 || (amount ?? 0) > this.left) {
      return await endRefundJob(this.tx, id, "discard", "critical");
    }
    if (dice < 0.45) return await endRefundJob(this.tx, id, "retry", "warning");
    await this.#tell(amount ?? this.left, id);
    // The worker dies here now and then.
    if (dice < 0.9) await endRefundJob(this.tx, id, "done");
  }

  async redrive(): Promise<void> {
    const jobs = await this
      .tx`select id from private.jobs where kind = 'refund_payment' and status in ('discarded', 'dead')`;
    const job = this.pick(jobs);
    if (job === undefined) return;
    const state = await this.#try((tx) => tx`select private.redrive_job(${job["id"]})`);
    assert(state === null || state === "SHREF", `${state}`);
  }

  async bounce(): Promise<void> {
    const refund = this.pick(this.made.filter(({ failed }) => !failed));
    if (refund === undefined) return;
    refund.failed = true;
    await this
      .tx`select public.apply_stripe_facts(jsonb_build_array(jsonb_build_object('fact', 'refund', 'id', r.id,
        'payment_id', r.payment_id, 'amount', r.amount, 'currency', r.currency, 'status', 'failed', 'request_id', r.request_id,
        'created', extract(epoch from r.created_at)::bigint)), 'job', now())
      from public.refunds r where r.id = ${this.story.id("re", refund.name)}`;
  }
}

Deno.test("whatever staff, queue, dashboard and bank do: nobody is paid twice, and nothing that is owed is lost", async () => {
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    await undone(sql, async (tx) => {
      const story = new Story(await beginOrder(tx), 1, "T");
      await attachSession(tx, story, "a");
      const payment = story.paid("a");
      await deliver(tx, story.moves);
      story.events.length = 0;
      const world = new World(tx, story, payment, randomFrom(seed));
      const path: string[] = [];
      for (let step = 0; step < 14; step++) {
        const what = world.pick(
          ["ask", "ask", "work", "work", "work", "redrive", "redrive", "byHand", "bounce"] as const,
        );
        path.push(what ?? "");
        if (what !== undefined) await world[what]();
        const where = `CONVERGENCE_SEED=${seed}: ${path.join(" → ")}`;
        const broken = await tx`select invariant, detail from public.check_invariants()`;
        assert.deepEqual([...broken], [], where);
        assert(world.left >= 0, where);
        const perRequest = Map.groupBy(
          world.made.filter(({ request }) => request !== null),
          ({ request }) => request,
        );
        for (const [request, refunds] of perRequest) {
          assert.equal(refunds.length, 1, `${where}: ${request} is made once`);
        }
        const [order] =
          await tx`select oversold_at, status from public.orders where id = ${story.frame.orderId}`;
        assert.equal(order?.["oversold_at"], null, where);
      }
    });
  }
});
