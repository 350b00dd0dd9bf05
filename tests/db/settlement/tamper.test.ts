import assert from "node:assert/strict";
import type Stripe from "stripe";
import { deliver } from "./arrange.ts";
import { searchDatabase, undone } from "./search.ts";
import { attachSession, beginOrder } from "./shop.ts";
import { delivery } from "./moves.ts";
import { Story } from "./story.ts";

const database = await searchDatabase();
const { sql } = database;
Deno.test.afterAll(() => database.drop());

type Json = Record<string, unknown>;

interface Tamper {
  event: string;
  /** Path to the field, with dots. */
  field: string;
  value: (old: unknown, otherOrderId: string) => unknown;
  /** A word of `review_reasons`. */
  reason: string;
}

const more = (old: unknown) => Number(old) + 1;
const less = (old: unknown) => Number(old) - 100;
const euros = () => "eur";
const live = () => true;
const otherOrder = (_: unknown, id: string) => id;

const session = "checkout.session.completed";
const intent = "payment_intent.succeeded";
const charge = "charge.succeeded";

/** Every field that says how much, in what, in which mode, for which order and lines. */
const tampers: Tamper[] = [
  ...[
    "amount_subtotal",
    "amount_total",
    "total_details.amount_discount",
    "total_details.amount_shipping",
    "total_details.amount_tax",
  ]
    .flatMap((field) => [
      { event: session, field, value: more, reason: "amount_mismatch" },
      { event: session, field, value: less, reason: "amount_mismatch" },
      { event: session, field, value: () => null, reason: "amount_mismatch" },
    ]),
  { event: session, field: "currency", value: euros, reason: "currency_mismatch" },
  { event: session, field: "currency", value: () => null, reason: "currency_mismatch" },
  { event: session, field: "livemode", value: live, reason: "livemode_mismatch" },
  { event: session, field: "metadata.cart_hash", value: () => "another cart", reason: "cart_mismatch" },
  { event: session, field: "metadata.cart_hash", value: () => undefined, reason: "cart_mismatch" },
  { event: session, field: "metadata.order_id", value: otherOrder, reason: "order_mismatch" },
  { event: session, field: "payment_status", value: () => "no_payment_required", reason: "amount_mismatch" },
  { event: session, field: "payment_intent", value: () => null, reason: "amount_mismatch" },
  { event: intent, field: "amount", value: less, reason: "amount_mismatch" },
  { event: intent, field: "amount_received", value: less, reason: "amount_mismatch" },
  { event: intent, field: "amount_received", value: () => 0, reason: "amount_mismatch" },
  { event: intent, field: "currency", value: euros, reason: "currency_mismatch" },
  { event: intent, field: "livemode", value: live, reason: "livemode_mismatch" },
  { event: intent, field: "metadata.order_id", value: otherOrder, reason: "order_mismatch" },
  { event: charge, field: "amount", value: less, reason: "amount_mismatch" },
  { event: charge, field: "currency", value: euros, reason: "currency_mismatch" },
  { event: charge, field: "livemode", value: live, reason: "livemode_mismatch" },
];

function change(object: Json, path: string, change: (old: unknown) => unknown): void {
  const [head = "", ...rest] = path.split(".");
  if (rest.length > 0) return changeIn(object[head], rest.join("."), change);
  const value = change(object[head]);
  if (value === undefined) delete object[head];
  else object[head] = value;
}

function changeIn(value: unknown, path: string, with_: (old: unknown) => unknown): void {
  assert(typeof value === "object" && value !== null);
  change(value as Json, path, with_);
}

function tampered(event: Stripe.Event, tamper: Tamper, otherOrderId: string): Stripe.Event {
  if (event.type !== tamper.event) return event;
  const copy = structuredClone(event);
  change(copy.data.object as unknown as Json, tamper.field, (old) => tamper.value(old, otherOrderId));
  return copy;
}

const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

for (const [index, tamper] of tampers.entries()) {
  const name = `${tamper.event} with another ${tamper.field} (${index})`;
  Deno.test(`money is verified: ${name} ends in needs_review with an alert, whatever comes first`, async () => {
    for (const order of orders) {
      await undone(sql, async (tx) => {
        const other = await beginOrder(tx);
        const story = new Story(await beginOrder(tx), 1, "T");
        await attachSession(tx, story, "a");
        story.paid("a", { discount: 800, shipping: 995, tax: 2_100 });
        const events = story.events.map((event) => tampered(event, tamper, other.orderId));
        assert.notDeepEqual(events, story.events, "the field was changed");
        const outcomes = await deliver(tx, order.map((at) => delivery(events[at] ?? assert.fail())));
        assert.deepEqual(outcomes, ["applied", "applied", "applied"]);

        const [row] =
          await tx`select status, fulfillment_status, review_reasons from public.orders join public.order_risk k on k.order_id = id
          where id = ${story.frame.orderId}`;
        assert.equal(row?.["status"], "needs_review");
        assert.equal(row?.["fulfillment_status"], "on_hold");
        assert(row?.["review_reasons"].includes(tamper.reason), `${row?.["review_reasons"]}`);
        const alerts = await tx`select severity from public.alerts
          where kind = 'payment_mismatch' and data ->> 'order_number' = ${story.frame.orderNumber}`;
        assert.deepEqual([...alerts], [{ severity: "critical" }]);
        const [untouched] = await tx`select status from public.orders where id = ${other.orderId}`;
        assert.equal(untouched?.["status"], "pending", "the other order is not paid by it");
      });
    }
  });
}

Deno.test("money is verified: a free session for goods that cost something ends in needs_review", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    story.free("a");
    const [event] = story.events;
    assert(event !== undefined);
    change(event.data.object as unknown as Json, "total_details.amount_discount", () => 0);
    await deliver(tx, [delivery(event)]);
    const [row] =
      await tx`select status, review_reasons from public.orders join public.order_risk k on k.order_id = id where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...row }, { status: "needs_review", review_reasons: ["amount_mismatch"] });
  });
});

Deno.test("money is verified: lines that changed since the checkout are noticed by their hash", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await attachSession(tx, story, "a");
    await tx`update public.orders set cart_hash = 'of other lines' where id = ${story.frame.orderId}`;
    story.paid("a");
    await deliver(tx, story.moves);
    const [row] =
      await tx`select status, review_reasons from public.orders join public.order_risk k on k.order_id = id where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...row }, { status: "needs_review", review_reasons: ["cart_mismatch"] });
  });
});

Deno.test("money is verified: inclusive tax does not add to the total", async () => {
  await undone(sql, async (tx) => {
    const story = new Story(await beginOrder(tx), 1, "T");
    await tx`update public.orders set prices_include_tax = true where id = ${story.frame.orderId}`;
    await attachSession(tx, story, "a");
    story.paid("a");
    for (const event of story.events.filter((event) => event.type === session)) {
      change(event.data.object as unknown as Json, "total_details.amount_tax", () => 4_100);
    }
    await deliver(tx, story.moves);
    const [row] = await tx`select status, amount_tax::int, amount_total::int from public.orders
      where id = ${story.frame.orderId}`;
    assert.deepEqual({ ...row }, { status: "paid", amount_tax: 4_100, amount_total: 25_800 });
  });
});
