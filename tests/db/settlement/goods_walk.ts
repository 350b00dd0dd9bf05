/**
 * Random walks of staff and Stripe over one order: parcels, returns, exchanges, refunds and what becomes of them,
 * disputes, in any order, with news that comes late. The model here is Stripe; the shop is the real SQL.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { attachSession, beginCart, type CartLine } from "./shop.ts";
import { type Extras, Story } from "./story.ts";
import { StripeSide } from "./stripe_side.ts";

type Tx = postgres.ReservedSql;

/** What a command came to. */
export interface Outcome {
  step: string;
  /** SQLSTATE and message; null: it was carried out. */
  refused: string | null;
}

const currencies = ["usd", "jpy", "kwd", "isk"] as const;

export class Walk {
  readonly log: Outcome[] = [];
  /** Pieces that staff have booked in or out, by SKU. */
  readonly adjusted = new Map<string, number>();
  #story: Story;
  #stripe: StripeSide | null = null;
  #number = 0;
  private constructor(readonly tx: Tx, readonly random: () => number, story: Story, readonly skus: string[]) {
    this.#story = story;
  }

  /** A paid cart of up to three lines, with discount, delivery and tax; its variants have a twin of the same price. */
  static async begin(tx: Tx, random: () => number): Promise<Walk> {
    const below = (n: number) => Math.floor(random() * n);
    const currency = currencies[below(currencies.length)] ?? "usd";
    const step = currency === "kwd" ? 10 : currency === "isk" ? 100 : 1;
    const lines: CartLine[] = ["SHIRT", "TIE", "WATCH"].slice(0, 1 + below(3)).map((sku) => ({
      sku,
      quantity: 1 + below(4),
      price: step * (100 + below(9_900)),
    }));
    const amount = lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
    const part = (share: number) => random() < 0.5 ? 0 : step * below(Math.floor(amount * share / step));
    const extras: Extras = { discount: part(0.6), shipping: part(0.3), tax: part(0.3) };
    const story = new Story(await beginCart(tx, lines, currency), 60, "W");
    for (const { sku, price } of lines) {
      await tx`with v as (
          insert into public.product_variants (product_id, sku, price_amount, currency)
          select id, ${`A-${sku}`}, ${price}, ${currency} from public.products limit 1 returning id
        )
        insert into public.inventory_levels (variant_id, on_hand) select id, ${below(4)} from v`;
    }
    const walk = new Walk(tx, random, story, lines.flatMap(({ sku }) => [sku, `A-${sku}`]));
    await attachSession(tx, story, "a");
    const { log } = walk;
    walk.#stripe = new StripeSide(
      tx,
      random,
      story,
      story.paid("a", extras),
      (step) => log.push({ step, refused: null }),
    );
    await walk.stripe.hear(true);
    walk.log.push({ step: JSON.stringify({ currency, lines, extras }), refused: null });
    return walk;
  }

  get orderId(): string {
    return this.#story.frame.orderId;
  }

  get stripe(): StripeSide {
    if (this.#stripe === null) throw new Error("not paid");
    return this.#stripe;
  }

  #below(n: number): number {
    return Math.floor(this.random() * n);
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#below(list.length)];
  }

  /** A statement of staff, which may be refused: then it is undone. */
  async #staff(step: string, statement: () => PromiseLike<unknown>): Promise<void> {
    await this.tx`savepoint staff`;
    try {
      await statement();
      await this.tx`release savepoint staff`;
      this.log.push({ step, refused: null });
    } catch (error) {
      await this.tx`rollback to savepoint staff`;
      if (error instanceof assert.AssertionError) throw error;
      const { code, message } = error as postgres.PostgresError;
      this.log.push({ step, refused: `${code} ${message}` });
    }
  }

  async #hash(): Promise<string> {
    const [row] = await this.tx`select search.hash(${[this.orderId]}::uuid[]) as hash,
      (select count(*) from public.staff_commands) as commands`;
    return `${row?.["hash"]} ${row?.["commands"]}`;
  }

  async #submit(name: string, args: Record<string, unknown>, dryRun: boolean, id: string | null) {
    const [row] = await this.tx`select private.submit_command(${name}, ${
      JSON.stringify(args)
    }::text::jsonb, ${dryRun}, ${id}) as answer`;
    // What each call makes anew.
    const { command_id: _id, dry_run: _dry, return_id: _return, ...answer } = row?.["answer"];
    return JSON.stringify(answer);
  }

  /** Staff call a command by its name; now and then they try it first, and send it twice. */
  async command(name: string, args: Record<string, unknown>): Promise<void> {
    const id = crypto.randomUUID();
    const thorough = this.random() < 0.15;
    await this.#staff(`${name} ${JSON.stringify(args)}`, async () => {
      if (!thorough) return void await this.#submit(name, args, false, id);
      const before = await this.#hash();
      const tried = await this.#submit(name, args, true, null);
      assert.equal(await this.#hash(), before, `a dry run of ${name} changes something`);
      const done = await this.#submit(name, args, false, id);
      assert.equal(tried, done, `a dry run of ${name} answers something else`);
      const after = await this.#hash();
      assert.equal(await this.#submit(name, args, false, id), done);
      assert.equal(await this.#hash(), after, `${name} sent twice changes something`);
    });
  }

  /** Pieces of what the order has, and now and then of something else. */
  async #lines(more: (sku: string) => Record<string, unknown>): Promise<Record<string, unknown>[]> {
    const rows = await this.tx`select sku from public.order_items where order_id = ${this.orderId}`;
    const skus = this.skus.filter((sku) => rows.some((row) => row["sku"] === sku) || this.random() < 0.03);
    const lines = skus.filter(() => this.random() < 0.5).map((sku) => ({
      sku,
      quantity: 1 + this.#below(2),
      ...more(sku),
    }));
    return lines.length > 0 ? lines : [{ sku: this.skus[0], quantity: 1, ...more(this.skus[0] ?? "") }];
  }

  /** One step of anybody. */
  async step(): Promise<void> {
    const order_number = this.#story.frame.orderNumber;
    const restock = () => this.random() < 0.5 ? { restock: this.random() < 0.6 } : {};
    const twin = (sku: string) => sku.startsWith("A-") ? sku.slice(2) : `A-${sku}`;
    const maybe = (args: Record<string, unknown>) => this.random() < 0.5 ? args : {};
    const number = ++this.#number;
    const moves: [number, () => Promise<void>][] = [
      [4, async () =>
        await this.command("mark_fulfilled", {
          order_number,
          tracking_number: `T${number}`,
          ...maybe({ lines: await this.#lines(() => ({})) }),
        })],
      [5, async () =>
        await this.command("request_refund", {
          order_number,
          lines: await this.#lines(restock),
          ...(this.random() < 0.2 ? { shipping: true } : {}),
        })],
      [1, async () => await this.command("request_refund", { order_number, amount: 100 * this.#below(90) })],
      [1, async () => await this.command("request_refund", { order_number, shipping: true })],
      [0.25, async () => await this.command("request_refund", { order_number, ...restock() })],
      [
        3,
        async () =>
          await this.command("announce_return", { order_number, lines: await this.#lines(() => ({})) }),
      ],
      [4, async () =>
        await this.command("exchange_return", {
          order_number,
          lines: await this.#lines((sku) => ({ for: twin(sku) })),
        })],
      [
        4,
        async () =>
          await this.command("receive_return", {
            order_number,
            ...maybe({ lines: await this.#lines(restock) }),
          }),
      ],
      [4, () => this.#closeReturn()],
      [0.15, async () => await this.command("cancel_order", { order_number })],
      [1, async () => await this.command("release_review", { order_number })],
      [2, () => this.#redrive()],
      [1, () => this.#assign()],
      [1, () => this.#adjust()],
      [7, () => this.stripe.runRefund()],
      [3, () => this.stripe.settleRefund()],
      [0.7, () => this.stripe.refundByHand()],
      [0.3, () => this.stripe.dispute()],
      [0.5, () => this.stripe.suspect()],
      [0.3, () => this.stripe.payTwice()],
      [1, async () =>
        await this.command("correct_shipment", {
          order_number,
          parcel: 1 + this.#below(2),
          tracking_number: `C${number}`,
        })],
      [1, () => this.#resend()],
      [5, () => this.stripe.hear(false)],
    ];
    let at = this.random() * moves.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, move] of moves) {
      at -= weight;
      if (at <= 0) return await move();
    }
  }

  async #closeReturn(): Promise<void> {
    const open = await this.tx`select r.id from public.returns r
      where r.order_id = ${this.orderId} and r.status <> 'closed' order by r.created_at, r.id`;
    const found = this.#pick(open);
    if (found !== undefined) await this.command("close_return", { return_id: found["id"] });
  }

  async #adjust(): Promise<void> {
    const sku = this.#pick(this.skus) ?? "";
    const delta = this.#below(5) - 1;
    await this.command("adjust_inventory", { sku, delta });
    if (this.log.at(-1)?.refused === null) this.adjusted.set(sku, (this.adjusted.get(sku) ?? 0) + delta);
  }

  async #redrive(): Promise<void> {
    const jobs = await this.tx`select id from private.jobs
      where kind = 'refund_payment' and status in ('dead', 'discarded') order by id`;
    const job = this.#pick(jobs);
    if (job !== undefined) await this.command("redrive_job", { job_id: Number(job["id"]) });
  }

  async #assign(): Promise<void> {
    const refunds = await this.tx`select id from public.refunds where request_id is null order by id`;
    const refund = this.#pick(refunds);
    const restock = () => ({ restock: this.random() < 0.6 });
    if (refund !== undefined) {
      await this.command("assign_refund", { refund_id: refund["id"], lines: await this.#lines(restock) });
    }
  }

  async #resend(): Promise<void> {
    const mails = await this.tx`select distinct template from public.notifications
      where order_id = ${this.orderId} order by 1`;
    const mail = this.#pick(mails);
    if (mail !== undefined) {
      await this.command("resend_notification", {
        order_number: this.#story.frame.orderNumber,
        template: mail["template"],
      });
    }
  }

  /** Pieces that the shop has or has sold, and damaged ones that it has taken in, by SKU; whether all are back. */
  async goods() {
    const rows = await this.tx`select v.sku, l.on_hand + l.committed as pieces, coalesce((
        select sum(x.quantity) from public.return_lines x join public.returns r on r.id = x.return_id
        join public.order_items i on i.id = x.order_item_id
        where r.stocked_at is not null and not x.restock and i.variant_id = v.id
      ), 0)::int as damaged
      from public.inventory_levels l join public.product_variants v on v.id = l.variant_id`;
    const [order] = await this.tx`select restocked_at is not null or cancelled_at is not null as over
      from public.orders where id = ${this.orderId}`;
    return {
      over: order?.["over"] === true,
      adjusted: new Map(this.adjusted),
      lines: new Map(rows.map((row) => [row["sku"], { pieces: row["pieces"], damaged: row["damaged"] }])),
    };
  }

  /** Fails unless every rule holds, and no piece has come from nowhere or gone nowhere since `before`. */
  async check(before: Awaited<ReturnType<Walk["goods"]>>): Promise<void> {
    const broken = await this.tx`select * from private.check_orders(${[this.orderId]}::uuid[])`;
    assert.deepEqual([...broken], []);
    const { lines } = await this.goods();
    for (const [sku, { pieces, damaged }] of lines) {
      const was = before.lines.get(sku);
      const booked = (this.adjusted.get(sku) ?? 0) - (before.adjusted.get(sku) ?? 0);
      // Of an order whose goods are all on the shelf, what comes in later is there already.
      const lost = before.over ? 0 : damaged - Number(was?.damaged);
      assert.equal(pieces, Number(was?.pieces) + booked - lost, `pieces of ${sku}`);
    }
    if (this.random() < 0.1) {
      await this.tx`savepoint again`;
      const hash = await this.#hash();
      await this.tx`select private.settle_order(${this.orderId}, 'test')`;
      assert.equal(await this.#hash(), hash, "settling again changes something");
      await this.tx`rollback to savepoint again`;
    }
  }

  /** What was given up is asked for once more, and half of the orders go back whole. */
  async last(): Promise<void> {
    const jobs = await this.tx`select id from private.jobs
      where kind = 'refund_payment' and status in ('dead', 'discarded') order by id`;
    for (const { id } of jobs) await this.command("redrive_job", { job_id: Number(id) });
    if (this.random() < 0.5) {
      const { orderNumber: order_number } = this.#story.frame;
      await this.command("request_refund", { order_number, restock: true });
    }
  }

  /** Staff end every return that is open, in one way or the other. */
  async end(): Promise<void> {
    const open = await this.tx`select r.id, i.sku, l.quantity from public.returns r
      join public.return_lines l on l.return_id = r.id join public.order_items i on i.id = l.order_item_id
      where r.status <> 'closed' order by r.created_at, r.id, i.sku`;
    for (const { id, sku, quantity } of open) {
      const [now] = await this.tx`select status from public.returns where id = ${id}`;
      if (now === undefined || now["status"] === "closed") continue;
      await this.command("close_return", { return_id: id });
      if (this.log.at(-1)?.refused === null) continue;
      const lines = [{ sku, quantity, restock: false }];
      await this.command("receive_return", { order_number: this.#story.frame.orderNumber, lines });
      assert.equal(this.log.at(-1)?.refused, null, "a return that nobody can end");
    }
  }
}
