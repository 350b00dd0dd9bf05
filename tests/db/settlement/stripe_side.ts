/** Stripe, as a random walk has it: refunds, disputes and signs of fraud of one payment, and news that comes late. */
import type postgres from "postgres";
import { deliver, endRefundJob } from "./arrange.ts";
import type { Move } from "./moves.ts";
import { attachSession } from "./shop.ts";
import type { Payment, Story } from "./story.ts";

/** What Stripe has made of a refund. */
interface Made {
  id: string;
  amount: number;
  status: "succeeded" | "pending" | "failed";
  settled: (end: "succeeded" | "failed") => void;
}

export class StripeSide {
  #late: Move[] = [];
  #refunds = new Map<string, Made>();
  #dispute: ReturnType<Story["disputed"]> | null = null;
  #disputed = false;
  #lost = false;
  #twice = false;
  #signs: { review: ReturnType<Story["reviewed"]> | null; over: boolean; warned: boolean } = {
    review: null,
    over: false,
    warned: false,
  };

  /** `told` hears what has happened. */
  constructor(
    readonly tx: postgres.ReservedSql,
    readonly random: () => number,
    readonly story: Story,
    readonly payment: Payment,
    readonly told: (step: string) => void,
  ) {
    this.#news();
  }

  #below(n: number): number {
    return Math.floor(this.random() * n);
  }

  /** What the story has told since is on its way. */
  #news(): void {
    this.#late.push(...this.story.moves);
    this.story.events.length = 0;
  }

  /** News arrives: all, or some of it, not in its order. */
  async hear(all: boolean): Promise<void> {
    const arrived = this.#late.filter(() => all || this.random() < 0.6);
    this.#late = this.#late.filter((move) => !arrived.includes(move));
    if (!all && this.random() < 0.3) arrived.reverse();
    if (arrived.length > 0) await deliver(this.tx, arrived);
  }

  /** Radar holds the payment, the network warns of it, or the review ends. */
  async suspect(): Promise<void> {
    const { review } = this.#signs;
    if (review === null) this.#signs.review = this.story.reviewed(this.payment, "r");
    else if (!this.#signs.over) {
      review.approved();
      this.#signs.over = true;
    } else if (this.random() < 0.3 && !this.#signs.warned) {
      this.story.warned(this.payment, "w");
      this.#signs.warned = true;
    }
    this.told(`Stripe: a sign of fraud ${JSON.stringify(this.#signs)}`);
    this.#news();
    await this.hear(false);
  }

  async payTwice(): Promise<void> {
    if (this.#twice) return;
    this.#twice = true;
    await attachSession(this.tx, this.story, "b", 2);
    this.story.paid("b");
    this.told("Stripe: paid twice");
    this.#news();
    // A payment that is ahead of its page by an hour is one that nobody knows.
    await this.hear(true);
  }

  /** Minor units that Stripe would still give back. */
  get #left(): number {
    let left = this.payment.amount;
    for (const { amount, status } of this.#refunds.values()) if (status !== "failed") left -= amount;
    return left;
  }

  #make(key: string, amount: number, requestId?: string): void {
    const status = this.random() < 0.7 ? "succeeded" : "pending";
    const name = `${this.#refunds.size + 1}`;
    const { settled } = this.story.refunded(this.payment, name, amount, status, requestId);
    this.#refunds.set(key, { id: name, amount, status, settled });
    this.#news();
  }

  /** The job of a refund runs, as refund_payment.ts does: what Stripe lists is applied first. */
  async runRefund(): Promise<void> {
    const waiting = await this.tx`select q.id, q.amount from public.refund_requests q
      join private.jobs j on j.dedupe_key = 'refund_payment:' || q.id and j.status = 'queued' order by q.id`;
    const request = waiting[this.#below(waiting.length)];
    if (request === undefined) return;
    const id = String(request["id"]);
    // The money that came twice goes back elsewhere.
    if (id.startsWith("duplicate:")) return;
    await this.hear(true);
    const [judged] = await this.tx`select outcome from public.judge_refund(${id})`;
    const outcome = judged?.["outcome"];
    const end = async (how: "done" | "discard" | "retry", alert: string | null) => {
      await endRefundJob(this.tx, id, how, alert);
      this.told(`refund ${id} ${request["amount"]}: ${outcome}, ${how} ${alert}`);
    };
    if (outcome === "made") return await end("done", null);
    if (outcome === "overtaken") return await end("discard", "warning");
    if (outcome === "disputed") return await end("discard", null);
    const amount = request["amount"] === null ? this.#left : Number(request["amount"]);
    if (this.#disputed || this.#lost) return await end("discard", "critical");
    if (this.#left === 0) return await end("discard", null);
    if (amount > this.#left) return await end("discard", "critical");
    const luck = this.random();
    if (luck < 0.15) return await end("discard", "critical");
    if (luck < 0.25) return await end("retry", "warning");
    this.#make(id, amount, id);
    // The worker dies after Stripe has made it: its next try finds the refund.
    if (luck < 0.35) return await end("retry", null);
    await this.hear(true);
    await end("done", null);
  }

  async settleRefund(): Promise<void> {
    const open = [...this.#refunds.values()].filter(({ status }) => status !== "failed");
    const refund = open[this.#below(open.length)];
    if (refund === undefined) return;
    if (refund.status === "pending") refund.status = this.random() < 0.7 ? "succeeded" : "failed";
    else if (this.random() < 0.25) refund.status = "failed";
    else return;
    refund.settled(refund.status);
    this.#news();
    this.told(`Stripe: refund ${refund.id} of ${refund.amount} ${refund.status}`);
    await this.hear(false);
  }

  async refundByHand(): Promise<void> {
    if (this.#left < 1 || this.#disputed || this.#lost) return;
    // Out of order, two refunds of all would be there for a moment: Stripe tells of the failure first.
    await this.hear(true);
    const amount = this.random() < 0.3 ? this.#left : Math.min(this.#left, 100 * (1 + this.#below(90)));
    this.#make(`hand ${this.#refunds.size}`, amount);
    this.told(`Stripe: ${amount} refunded by hand`);
    await this.hear(false);
  }

  async dispute(): Promise<void> {
    if (this.#lost) return;
    if (this.#dispute === null) {
      this.#dispute = this.story.disputed(this.payment, "d", "needs_response");
      this.#disputed = true;
      this.told("Stripe: disputed");
    } else if (this.#disputed) {
      this.#lost = this.random() < 0.3;
      this.#disputed = false;
      this.#dispute.closed(this.#lost ? "lost" : "won");
      this.told(`Stripe: dispute ${this.#lost ? "lost" : "won"}`);
    }
    this.#news();
    await this.hear(false);
  }

  /** All that was on its way arrives, and every job comes to an end. */
  async calm(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      await this.hear(true);
      for (const refund of this.#refunds.values()) {
        if (refund.status === "pending") {
          refund.status = "succeeded";
          refund.settled("succeeded");
        }
      }
      this.#news();
      if (this.#disputed && this.#dispute !== null) {
        this.#disputed = false;
        this.#dispute.closed("won");
        this.#news();
      }
      await this.hear(true);
      const [row] = await this.tx`select count(*)::int as n from private.jobs
        where kind = 'refund_payment' and status = 'queued' and dedupe_key not like '%duplicate%'`;
      if (row?.["n"] === 0) return;
      await this.runRefund();
    }
  }
}
