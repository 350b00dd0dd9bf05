import type { Sql } from "postgres";
import type { Target } from "./target.ts";

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
    const { stack } = this.#target;
    const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
      method: "POST",
      headers: { "content-type": "application/json", apikey: stack.publishable_key },
      body: JSON.stringify({
        items: [{ sku: variant.sku, quantity: 1 }],
        customer_email: `replay-${Date.now()}-${++this.#orders}@example.com`,
      }),
    });
    const answer = await response.json();
    if (!response.ok) {
      throw new Error(`create-checkout-session answered ${response.status}: ${answer.error?.message}`);
    }
    return { orderId: answer.order_id, session: answer.session_id };
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
    const paid = await cli.json<{ error?: { message: string } }>(
      "post",
      `/v1/payment_pages/${placed.session}/confirm`,
      "-d",
      `payment_method=${method.id}`,
      "-d",
      `expected_amount=${session.amount_total}`,
    );
    return paid.error?.message ?? null;
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
