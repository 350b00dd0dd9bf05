import type { Sql } from "postgres";
import Stripe from "stripe";
import type { Listener } from "../../lib/stripe_cli.ts";
import type { Report } from "./report.ts";
import { type Placed, Shop } from "./shop.ts";
import type { Target } from "./target.ts";

/** Triggers of the CLI, and the event each must leave in the database. */
const TRIGGERS = [
  "checkout.session.completed",
  "checkout.session.async_payment_succeeded",
  "checkout.session.async_payment_failed",
  "checkout.session.expired",
  "payment_intent.succeeded",
  "payment_intent.payment_failed",
  "payment_intent.canceled",
  "charge.succeeded",
  "charge.failed",
  "charge.refunded",
  "charge.refund.updated",
  "charge.dispute.created",
  "charge.dispute.updated",
  "charge.dispute.closed",
  "customer.updated",
  "customer.deleted",
];

interface EventRow {
  id: string;
  type: string;
  status: string;
  delivery_count: number;
}

/** A client of the Stripe under test, to ask it what happened. */
function clientOf({ apiBase, apiKey }: Target): Stripe {
  if (apiBase === null) return new Stripe(apiKey, { telemetry: false });
  const { hostname, port } = new URL(apiBase);
  return new Stripe(apiKey, { host: hostname, port: Number(port), protocol: "http", telemetry: false });
}

/** The scripted run: triggers, purchases and resends, each with what the database must say afterwards. */
export class Scenario {
  readonly #target: Target;
  readonly #sql: Sql;
  readonly #shop: Shop;
  readonly #stripe: Stripe;
  readonly #report: Report;
  readonly #startedAt = Math.floor(Date.now() / 1000);

  constructor(target: Target, sql: Sql, report: Report) {
    this.#target = target;
    this.#sql = sql;
    this.#shop = new Shop(target, sql);
    this.#stripe = clientOf(target);
    this.#report = report;
  }

  async run(listener: Listener): Promise<void> {
    await this.#triggers();
    const paid = await this.#purchase();
    await this.#declinedThenPaid();
    await this.#abandoned();
    await this.#disputed();
    await this.#resent(paid, listener);
    await this.#refunded(paid);
    await this.#everyEventOnce(listener);
  }

  async #triggers(): Promise<void> {
    for (const type of TRIGGERS) {
      const before = await this.#countOf(type);
      const { ok, stdout, stderr } = await this.#target.cli.run("trigger", type);
      const worked = ok && stdout.includes("Trigger succeeded");
      if (!worked) {
        const said = `${stdout}${stderr}`.trim();
        const why = /"message": "(.*)"/.exec(said)?.[1] ?? said.split("\n").at(-1) ?? "";
        this.#report.add(`trigger ${type}`, "recorded", `the CLI failed: ${why}`);
        continue;
      }
      const recorded = await this.#shop.until(async () => await this.#countOf(type) > before);
      this.#report.add(`trigger ${type}`, "recorded", recorded ? "recorded" : "not recorded");
    }
  }

  async #purchase(): Promise<Placed> {
    const placed = await this.#shop.checkOut();
    const problem = await this.#shop.pay(placed, "tok_visa");
    const order = await this.#shop.orderOnce(placed, ({ status }) => status === "paid");
    this.#report.add("purchase with tok_visa", "paid in full", problem ?? describe(order));
    return placed;
  }

  async #declinedThenPaid(): Promise<void> {
    const placed = await this.#shop.checkOut();
    const problem = await this.#shop.pay(placed, "tok_chargeDeclinedInsufficientFunds");
    this.#report.add("declined card", "Your card has insufficient funds.", problem ?? "accepted");
    const pending = await this.#shop.order(placed);
    this.#report.add("order after the decline", "pending", pending.status);
    const second = await this.#shop.pay(placed, "tok_mastercard");
    const order = await this.#shop.orderOnce(placed, ({ status }) => status === "paid");
    this.#report.add("same page, another card", "paid in full", second ?? describe(order));
  }

  async #abandoned(): Promise<void> {
    const placed = await this.#shop.checkOut();
    await this.#target.cli.json("post", `/v1/checkout/sessions/${placed.session}/expire`);
    const order = await this.#shop.orderOnce(placed, ({ status }) => status === "expired");
    this.#report.add("abandoned checkout", "expired", order.status);
    const [{ held } = { held: -1 }] = await this.#sql<{ held: number }[]>`
      select count(*)::int as held from public.inventory_reservations
      where order_id = ${placed.orderId} and status = 'active'`;
    this.#report.add("its stock", "released", held === 0 ? "released" : `${held} still held`);
  }

  async #disputed(): Promise<void> {
    const placed = await this.#shop.checkOut();
    const problem = await this.#shop.pay(placed, "tok_createDispute");
    const order = await this.#shop.orderOnce(
      placed,
      (row) => row.status === "paid" && row.fulfillment_status === "on_hold",
    );
    this.#report.add(
      "purchase that is disputed at once",
      "paid, on_hold",
      problem ?? `${order.status}, ${order.fulfillment_status}`,
    );
  }

  /** The same event again: counted, and nothing else. */
  async #resent(placed: Placed, listener: Listener): Promise<void> {
    const [event] = await this.#sql<EventRow[]>`
      select id, type, status, delivery_count from public.webhook_events
      where type = 'checkout.session.completed' and payload->'data'->'object'->>'id' = ${placed.session}`;
    if (event === undefined) {
      this.#report.add("resend of the paid session's event", "a duplicate", "the event was never stored");
      return;
    }
    const before = await this.#shop.order(placed);
    const answered = () => listener.answers.filter((answer) => answer.event === event.id).length;
    // The stack's own endpoint gets the event as well, and may have it before the CLI does.
    await this.#shop.until(() => Promise.resolve(answered() > 0));
    const first = answered();
    await this.#target.cli.run("events", "resend", event.id);
    const arrived = await this.#shop.until(() => Promise.resolve(answered() > first));
    const [after] = await this.#sql<EventRow[]>`
      select id, type, status, delivery_count from public.webhook_events where id = ${event.id}`;
    const counted = (after?.delivery_count ?? 0) > event.delivery_count;
    const same = JSON.stringify(await this.#shop.order(placed)) === JSON.stringify(before);
    this.#report.add(
      "resend of the paid session's event",
      "a duplicate",
      !arrived ? "not delivered" : !counted ? "not counted" : same ? "a duplicate" : "the order changed",
    );
  }

  async #refunded(placed: Placed): Promise<void> {
    const session = await this.#stripe.checkout.sessions.retrieve(placed.session);
    const intent = typeof session.payment_intent === "string"
      ? session.payment_intent
      : session.payment_intent?.id;
    await this.#target.cli.json("post", "/v1/refunds", "-d", `payment_intent=${intent}`);
    const order = await this.#shop.orderOnce(placed, ({ status }) => status === "refunded");
    const full = order.amount_refunded === order.amount_paid
      ? "in full"
      : `${order.amount_refunded} of ${order.amount_paid}`;
    this.#report.add("refund", "refunded in full", `${order.status} ${full}`);
  }

  /** What Stripe says happened since the start, held against what was stored. */
  async #everyEventOnce(listener: Listener): Promise<void> {
    const ids: string[] = [];
    for await (const { id } of this.#stripe.events.list({ created: { gte: this.#startedAt }, limit: 100 })) {
      ids.push(id);
    }
    const stored = async () =>
      await this.#sql<EventRow[]>`
        select id, type, status, delivery_count from public.webhook_events where id in ${this.#sql(ids)}`;
    await this.#shop.until(async () => (await stored()).length === ids.length);
    const rows = await stored();
    this.#report.add("events stored, each once", `${ids.length}`, `${rows.length}`);
    const unfinished = rows.filter(({ status }) => status !== "processed" && status !== "ignored");
    this.#report.add(
      "events not processed",
      "none",
      unfinished.length === 0
        ? "none"
        : unfinished.map(({ id, type, status }) => `${type} ${id} ${status}`).join(", "),
    );
    const refused = listener.answers.filter(({ status }) => status !== 200);
    this.#report.add(
      "answers to `stripe listen` other than 200",
      "none",
      refused.length === 0 ? "none" : refused.map(({ event, status }) => `${event} ${status}`).join(", "),
    );
  }

  async #countOf(type: string): Promise<number> {
    const [{ count } = { count: 0 }] = await this.#sql<{ count: number }[]>`
      select count(*)::int as count from public.webhook_events where type = ${type}`;
    return count;
  }
}

function describe(order: { status: string; amount_paid: string; amount_total: string }): string {
  return order.status === "paid" && order.amount_paid === order.amount_total
    ? "paid in full"
    : `${order.status}, ${order.amount_paid} of ${order.amount_total}`;
}
