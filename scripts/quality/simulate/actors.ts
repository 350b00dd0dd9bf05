/** Those who act in a world: each keeps trying for a while, or walks away, as people do. */
import { hashOf } from "./kernel.ts";
import { calm } from "./network.ts";
import { origins, type Shop } from "./shop.ts";
import type { Step } from "./steps.ts";

/** What a shopper knows of an order. */
export interface Order {
  order_id: string;
  order_number: string;
  session_id: string;
  /** The first page of the order. */
  first_session_id: string;
  /** What was bought, which may be less than was wanted. */
  lines: { sku: string; quantity: number }[];
}

type Cart = Pick<Extract<Step, { do: "buy" }>, "order" | "lines" | "patience" | "member">;

/** What staff were told yes to. */
export interface Done {
  id: string;
  name: string;
  args: Record<string, unknown>;
}

/** What a shopper is told of a cart that cannot be had. */
interface SoldOut {
  error: { details: { sku: string }[] };
}

/** Steps of a world, carried out. */
export class Actors {
  readonly orders = new Map<number, Order>();
  /** What was bought, by the order's id. */
  readonly carts = new Map<string, Order["lines"]>();
  readonly done: Done[] = [];
  /** Pieces of each article as the world began. */
  opening: ReadonlyMap<string, number> = new Map();
  /** Steps that are under way. */
  busy = 0;
  /** What an actor could not make sense of. */
  readonly surprises: string[] = [];

  constructor(readonly shop: Shop) {}

  /** Plans a step for its time. */
  plan(step: Step, number: number): void {
    const { kernel } = this.shop;
    this.busy += 1;
    kernel.plan(
      step.at,
      kernel.cause(`${step.do} ${"order" in step ? step.order : number}@${step.at}`),
      () => {
        this.#take(step).catch((error) =>
          this.surprises.push(`${JSON.stringify(step)}: ${error?.stack ?? error}`)
        )
          .finally(() => this.busy -= 1);
      },
    );
  }

  async #take(step: Step): Promise<void> {
    const { network, functions, kernel } = this.shop;
    switch (step.do) {
      case "buy":
        if (step.twice) await Promise.all([this.#buy(step), this.#buy(step)]);
        else await this.#buy(step);
        return;
      case "stock":
        return await this.#command("adjust_inventory", {
          p_sku: step.sku,
          p_delta: step.delta,
          p_reason: "counted",
        });
      case "weather": {
        const { lost, doubled, slow } = step;
        network.weather = { lost, doubled, slow };
        await kernel.sleep(step.forMs);
        network.weather = calm;
        return;
      }
      case "cut off":
        network.unreachable.add(origins[step.who]);
        await kernel.sleep(step.forMs);
        network.unreachable.delete(origins[step.who]);
        return;
      case "kill": {
        const instance = functions.instanceOf(step.name);
        if (instance !== null) instance.fuse ??= step.after;
        return;
      }
    }
    const order = this.orders.get(step.order);
    if (order !== undefined) await this.#goOn(step, order);
  }

  async #goOn(
    step: Exclude<Step, { do: "buy" | "cut off" | "kill" | "stock" | "weather" }>,
    order: Order,
  ): Promise<void> {
    const p_order_number = order.order_number;
    switch (step.do) {
      case "pay":
        return await this.#pay(step, order);
      case "resume":
        return await this.#resume(step.order, order);
      case "debit":
        return await this.#control("pay", { session: order.session_id, account_number: step.account });
      case "look": {
        const path = `order-status?session_id=${order.session_id}`;
        await this.#ask("GET", `${origins.api}/functions/v1/${path}`, null, this.#shopper(step.order));
        return;
      }
      case "refund": {
        const p_amount = step.amount === "most" ? await this.#most(order) : step.amount;
        await Promise.all(
          Array.from({ length: step.twice === true ? 2 : 1 }, (_, who) =>
            this.#command("request_refund", {
              p_order_number,
              p_amount,
              p_reason: "requested_by_customer",
              p_restock: step.restock,
            }, who)),
        );
        return;
      }
      case "announce return":
      case "receive return":
        return await this.#command(step.do === "announce return" ? "announce_return" : "receive_return", {
          p_order_number,
          p_lines: [{ sku: step.sku, quantity: 1 }],
        });
      case "return piece":
        return await this.#command("request_refund", {
          p_order_number,
          p_lines: [{ sku: step.sku, quantity: 1, restock: true }],
        });
      case "cancel":
        return await this.#command("cancel_order", { p_order_number, p_reason: "changed their mind" });
      case "ship":
        return await this.#command("mark_fulfilled", {
          p_order_number,
          p_carrier: "Post",
          p_tracking_number: `T${step.at}`,
          ...(step.sku === null ? {} : { p_lines: [{ sku: step.sku, quantity: 1 }] }),
        });
      case "release":
        return await this.#command("release_review", { p_order_number, p_note: "all is well" });
      case "accept dispute":
      case "leave dispute": {
        const [dispute] = await this.shop.ask((sql) =>
          sql<
            { id: string }[]
          >`select id from public.disputes where order_id = ${order.order_id} order by id limit 1`
        );
        if (dispute === undefined) return;
        const name = step.do === "accept dispute" ? "accept_dispute" : "leave_dispute";
        return await this.#command(name, { p_dispute_id: dispute.id, p_note: "looked at" });
      }
      case "refund at Stripe":
      case "dispute":
      case "review":
      case "warning":
        return await this.#atStripe(step, order);
    }
  }

  async #most(order: Order): Promise<number> {
    const [row] = await this.shop.ask((sql) =>
      sql<
        { most: number }[]
      >`select (amount_total * 0.7)::integer as most from public.orders where id = ${order.order_id}`
    );
    return row?.most ?? 1;
  }

  /** Whoever finds an article gone takes the others: that is another cart, under another key. */
  async #buy({ order, lines, patience, member = false }: Cart): Promise<void> {
    const key = `order-${order}-of-a-simulated-day-${lines.length}`;
    const account = member ? { authorization: `Bearer ${this.shop.memberToken}` } : {};
    const headers = { ...this.#shopper(order), ...account, "idempotency-key": key };
    const body = { items: lines, customer_email: `shopper-${order}@example.com` };
    for (let attempt = 1; attempt <= patience; attempt++) {
      const url = `${origins.api}/functions/v1/create-checkout-session`;
      const answer = await this.#ask("POST", url, body, headers);
      if (answer !== null && answer.status < 300) {
        this.#keep(order, answer.body as Order, lines);
        return;
      }
      const gone = JSON.stringify(answer?.body ?? "").includes("insufficient_stock")
        ? answer?.body as SoldOut
        : null;
      const left = lines.filter(({ sku }) => gone?.error.details.every((line) => line.sku !== sku));
      if (left.length > 0 && left.length < lines.length) {
        return await this.#buy({ order, lines: left, patience, member });
      }
      if (answer !== null && answer.status < 429) return;
      await this.shop.kernel.sleep(2_000 * attempt);
    }
  }

  #keep(order: number, opened: Omit<Order, "first_session_id" | "lines">, lines: Order["lines"]): void {
    this.carts.set(opened.order_id, lines);
    const before = this.orders.get(order);
    const same = before?.order_id === opened.order_id ? before : null;
    const first_session_id = same?.first_session_id ?? opened.session_id;
    this.orders.set(order, { ...opened, lines, first_session_id });
  }

  /** Of what nobody hears there are no events: neither delivered nor listed. */
  async #pay(step: Extract<Step, { do: "pay" }>, order: Order): Promise<void> {
    const session = step.first === true ? order.first_session_id : order.session_id;
    const pay = () => this.#control("pay", { session, card: step.card });
    await (step.unheard === true ? this.#unheard(pay) : pay());
  }

  async #unheard(happens: () => Promise<unknown>): Promise<void> {
    const events = async () => {
      const headers = { authorization: `Bearer ${this.shop.keys.stripe_secret_key}` };
      const page = await this.#ask("GET", `${origins.stripe}/v1/events?limit=20`, null, headers);
      return ((page?.body ?? { data: [] }) as { data?: { id: string }[] }).data ?? [];
    };
    const known = new Set((await events()).map(({ id }) => id));
    await this.#control("faults", { deliver: { delay_ms: [60_000, 60_000] } });
    await happens();
    await this.#control("faults", { deliver: { delay_ms: [0, 0] } });
    if (known.size === 0) return;
    for (const { id } of await events()) {
      if (!known.has(id)) await this.#control("ungenerate", { event: id });
    }
  }

  /** The link of the last mail that has one. */
  async #resume(order: number, known: Order): Promise<void> {
    const to = `shopper-${order}@example.com`;
    const link = this.shop.mails.findLast((mail) => mail.to.includes(to) && linkOf(mail.text) !== null);
    const token = linkOf(link?.text ?? null);
    if (token === null) return;
    const url = `${origins.api}/functions/v1/resume-checkout`;
    const headers = { ...this.#shopper(order), accept: "application/json" };
    const answer = await this.#ask("POST", url, { token }, headers);
    const opened = /cs_test_\w+/.exec(JSON.stringify(answer?.body ?? ""))?.[0];
    if (opened !== undefined) this.orders.set(order, { ...known, session_id: opened });
  }

  #shopper(order: number): Record<string, string> {
    const address = `203.${order >> 16 & 255}.${order >> 8 & 255}.${order & 255}`;
    return { apikey: this.shop.keys.publishable_key, "x-sent-from": address };
  }

  /** Stripe's own page, and what only its stand-in can be told. */
  async #control(call: string, body: unknown): Promise<void> {
    await this.#ask("POST", `${origins.stripe}/_control/${call}`, body);
  }

  async #atStripe(
    step: Extract<Step, { do: "refund at Stripe" | "dispute" | "review" | "warning" }>,
    order: Order,
  ): Promise<void> {
    const headers = { authorization: `Bearer ${this.shop.keys.stripe_secret_key}` };
    const url = `${origins.stripe}/v1/checkout/sessions/${order.session_id}`;
    const session = (await this.#ask("GET", url, null, headers))?.body as
      | { payment_intent?: unknown }
      | undefined;
    const payment = session?.payment_intent;
    if (typeof payment !== "string") return;
    if (step.do !== "refund at Stripe") {
      const call = step.do === "warning" ? "early_fraud_warning" : step.do;
      return await this.#control(call, { payment_intent: payment });
    }
    const amount = step.amount === null ? {} : { amount: `${step.amount}` };
    const form = new URLSearchParams({ payment_intent: payment, ...amount });
    const refund = () => this.#ask("POST", `${origins.stripe}/v1/refunds`, form, headers);
    await (step.unheard === true ? this.#unheard(refund) : refund());
  }

  /** Staff click until they have an answer; the command has one id and is carried out once. */
  async #command(name: string, args: Record<string, unknown>, who = 0): Promise<void> {
    const headers = {
      apikey: this.shop.keys.publishable_key,
      authorization: `Bearer ${this.shop.staffToken}`,
    };
    const number = hashOf(`${this.shop.kernel.current().name} command ${who}`).toString(16).padStart(12, "0");
    const id = `00000000-0000-4000-8000-${number}`;
    const body = { ...args, p_command_id: id };
    for (let attempt = 1; attempt <= 5; attempt++) {
      const answer = await this.#ask("POST", `${origins.api}/rest/v1/rpc/${name}`, body, headers);
      if (answer !== null && answer.status < 500) {
        if ([401, 403, 404].includes(answer.status)) {
          this.surprises.push(`${name}: ${JSON.stringify(answer)}`);
        }
        if (answer.status < 300) this.done.push({ id, name, args });
        return;
      }
      await this.shop.kernel.sleep(5_000 * attempt);
    }
  }

  /** Null when there was no answer. */
  async #ask(
    method: "GET" | "POST",
    url: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: unknown } | null> {
    const form = body instanceof URLSearchParams;
    const sent = body === null ? {} : { body: form ? body : JSON.stringify(body) };
    const type: Record<string, string> = body === null || form ? {} : { "content-type": "application/json" };
    try {
      const response = await fetch(url, {
        method,
        headers: { ...type, ...headers },
        ...sent,
        signal: AbortSignal.timeout(30_000),
      });
      const text = await response.text();
      return { status: response.status, body: text === "" ? null : JSON.parse(text) };
    } catch (error) {
      // The wire is what this is about: no answer is one of the answers.
      if (error instanceof TypeError || error instanceof DOMException) return null;
      throw error;
    }
  }
}

function linkOf(text: string | null): string | null {
  return /resume-checkout\?token=([\w.-]+)/.exec(text ?? "")?.[1] ?? null;
}
