/** Those who act in a world: each keeps trying for a while, or walks away, as people do. */
import { hashOf } from "./kernel.ts";
import { calm } from "./network.ts";
import { origins, type Shop } from "./shop.ts";
import type { Step } from "./steps.ts";

/** What a shopper knows of an order. */
interface Order {
  order_id: string;
  order_number: string;
  session_id: string;
}

type Cart = Pick<Extract<Step, { do: "buy" }>, "order" | "lines" | "patience">;

/** What a shopper is told of a cart that cannot be had. */
interface SoldOut {
  error: { details: { sku: string }[] };
}

/** Steps of a world, carried out. */
export class Actors {
  readonly orders = new Map<number, Order>();
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
        return await this.#control("pay", { session: order.session_id, card: step.card });
      case "debit":
        return await this.#control("pay", { session: order.session_id, account_number: step.account });
      case "look": {
        const path = `order-status?session_id=${order.session_id}`;
        await this.#ask("GET", `${origins.api}/functions/v1/${path}`, null, this.#shopper(step.order));
        return;
      }
      case "refund":
        return await this.#command("request_refund", {
          p_order_number,
          p_amount: step.amount,
          p_reason: "requested_by_customer",
          p_restock: step.restock,
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
      case "review":
      case "warning":
        return await this.#atStripe(step, order);
    }
  }

  /** Whoever finds an article gone takes the others: that is another cart, under another key. */
  async #buy({ order, lines, patience }: Cart): Promise<void> {
    const key = `order-${order}-of-a-simulated-day-${lines.length}`;
    const headers = { ...this.#shopper(order), "idempotency-key": key };
    const body = { items: lines, customer_email: `shopper-${order}@example.com` };
    for (let attempt = 1; attempt <= patience; attempt++) {
      const url = `${origins.api}/functions/v1/create-checkout-session`;
      const answer = await this.#ask("POST", url, body, headers);
      if (answer !== null && answer.status < 300) {
        this.orders.set(order, answer.body as Order);
        return;
      }
      const gone = JSON.stringify(answer?.body ?? "").includes("insufficient_stock")
        ? answer?.body as SoldOut
        : null;
      const left = lines.filter(({ sku }) => gone?.error.details.every((line) => line.sku !== sku));
      if (left.length > 0 && left.length < lines.length) {
        return await this.#buy({ order, lines: left, patience });
      }
      if (answer !== null && answer.status < 429) return;
      await this.shop.kernel.sleep(2_000 * attempt);
    }
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
    step: Extract<Step, { do: "refund at Stripe" | "review" | "warning" }>,
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
      const call = step.do === "review" ? "review" : "early_fraud_warning";
      return await this.#control(call, { payment_intent: payment });
    }
    const amount = step.amount === null ? {} : { amount: `${step.amount}` };
    const form = new URLSearchParams({ payment_intent: payment, ...amount });
    await this.#ask("POST", `${origins.stripe}/v1/refunds`, form, headers);
  }

  /** Staff click until they have an answer; the command has one id and is carried out once. */
  async #command(name: string, args: Record<string, unknown>): Promise<void> {
    const headers = {
      apikey: this.shop.keys.publishable_key,
      authorization: `Bearer ${this.shop.staffToken}`,
    };
    const id = hashOf(`${this.shop.kernel.current().name} command`).toString(16).padStart(12, "0");
    const body = { ...args, p_command_id: `00000000-0000-4000-8000-${id}` };
    for (let attempt = 1; attempt <= 5; attempt++) {
      const answer = await this.#ask("POST", `${origins.api}/rest/v1/rpc/${name}`, body, headers);
      if (answer !== null && answer.status < 500) {
        if ([401, 403, 404].includes(answer.status)) {
          this.surprises.push(`${name}: ${JSON.stringify(answer)}`);
        }
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
