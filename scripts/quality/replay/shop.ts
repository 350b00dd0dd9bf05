import type { Sql } from "postgres";
import type Stripe from "stripe";
import type { Target } from "./target.ts";
import { StackError } from "../../lib/errors.ts";

/** An order placed for the replay. */
export interface Placed {
  orderId: string;
  session: string;
}

export interface OrderRow {
  status: string;
  fulfillment_status: string;
  amount_total: string;
  amount_paid: string;
  amount_refunded: string;
}

const DEADLINE_MS = 30_000;
const PAUSE_MS = 100;
/** The longest that a rate limit's Retry-After is waited for. */
const LONGEST_WAIT_S = 60;

/** What a shopper and a shop's owner do, each through the door they use. */
export class Shop {
  readonly #target: Target;
  readonly #sql: Sql;
  #orders = 0;

  constructor(target: Target, sql: Sql) {
    this.#target = target;
    this.#sql = sql;
  }

  /** Orders one piece of something in stock. */
  async checkOut(): Promise<Placed> {
    const [variant] = await this.#sql<{ sku: string }[]>`
      select v.sku from public.product_variants v join public.inventory_levels l on l.variant_id = v.id
      where v.active and l.on_hand - l.reserved > 0 order by l.on_hand - l.reserved desc, v.sku limit 1`;
    if (variant === undefined) throw new Error("the catalogue has nothing in stock: see supabase/seed.sql");
    const email = `replay-${Date.now()}-${++this.#orders}@example.com`;
    let response = await this.#order(variant.sku, email);
    const retryAfterS = Number(response.headers.get("retry-after") ?? Infinity);
    if (response.status === 429 && retryAfterS <= LONGEST_WAIT_S) {
      // A stack that others use as well may have spent this address's requests of the minute.
      await response.body?.cancel();
      await new Promise((resolve) => setTimeout(resolve, retryAfterS * 1000));
      response = await this.#order(variant.sku, email);
    }
    const answer = await response.json();
    if (!response.ok) {
      const { code, message } = answer.error ?? {};
      const hint = code === "velocity_exceeded" ? "; start the stack with VELOCITY_MODE=off" : "";
      throw new StackError(`create-checkout-session answered ${response.status} ${code}: ${message}${hint}`);
    }
    return { orderId: answer.order_id, session: answer.session_id };
  }

  #order(sku: string, email: string): Promise<Response> {
    const { stack } = this.#target;
    return fetch(`${stack.functions_url}/create-checkout-session`, {
      method: "POST",
      headers: { "content-type": "application/json", apikey: stack.publishable_key },
      body: JSON.stringify({ items: [{ sku, quantity: 1 }], customer_email: email }),
    });
  }

  /** Pays a session's page as the Stripe CLI's own fixtures do. Returns Stripe's error message, or null. */
  async pay(placed: Placed, token: string): Promise<string | null> {
    const { cli } = this.#target;
    const session = await cli.json<{ amount_total: number }>(
      "get",
      `/v1/checkout/sessions/${placed.session}`,
    );
    const details = [
      "billing_details[name]=Jenny Rosen",
      "billing_details[email]=jenny.rosen@example.com",
      "billing_details[address][line1]=510 Townsend St",
      "billing_details[address][city]=San Francisco",
      "billing_details[address][state]=CA",
      "billing_details[address][postal_code]=94103",
      "billing_details[address][country]=US",
    ];
    const method = await cli.json<{ id: string }>(
      "post",
      "/v1/payment_methods",
      "-d",
      "type=card",
      "-d",
      `card[token]=${token}`,
      ...details.flatMap((detail) => ["-d", detail]),
    );
    const paid = await cli.json<{ error?: { message: string }; payment_intent?: string | null }>(
      "post",
      `/v1/payment_pages/${placed.session}/confirm`,
      "-d",
      `payment_method=${method.id}`,
      "-d",
      `expected_amount=${session.amount_total}`,
    );
    if (paid.error !== undefined) return paid.error.message;
    return typeof paid.payment_intent === "string" ? await this.#pass(paid.payment_intent) : null;
  }

  /** Passes the bank's challenge, if there is one: a stack that has seen much traffic asks for 3-D Secure. */
  async #pass(intent: string): Promise<string | null> {
    const path = `/v1/payment_intents/${intent}`;
    const read = () => this.#target.cli.json<Stripe.PaymentIntent>("get", path);
    const challenge = (await read()).next_action?.redirect_to_url?.url ?? null;
    if (challenge === null) return null;
    const done = await fetch(challenge, {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams({ outcome: "pass" }),
    });
    await done.body?.cancel();
    return (await read()).last_payment_error?.message ?? null;
  }

  async order(placed: Placed): Promise<OrderRow> {
    const [row] = await this.#sql<OrderRow[]>`
      select status, fulfillment_status, amount_total, amount_paid, amount_refunded
      from public.orders where id = ${placed.orderId}`;
    if (row === undefined) throw new Error(`the order ${placed.orderId} is gone`);
    return row;
  }

  /** The order once `settled` says so, or as it is when the time is up. */
  async orderOnce(placed: Placed, settled: (order: OrderRow) => boolean): Promise<OrderRow> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const order = await this.order(placed);
      if (settled(order) || Date.now() > deadline) return order;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Asks until the answer is true or the time is up. */
  async until(question: () => Promise<boolean>): Promise<boolean> {
    const deadline = Date.now() + DEADLINE_MS;
    while (!(await question())) {
      if (Date.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return true;
  }
}
