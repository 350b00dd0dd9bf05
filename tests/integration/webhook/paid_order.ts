/** Orders for webhook tests: made through checkout, paid at the stand-in, their events held back for the test to deliver. */
import assert from "node:assert/strict";
import { enabledEvents } from "../../../supabase/functions/_shared/stripe_events/mod.ts";
import type { TestStack } from "../../support/stack.ts";

export interface PaidOrder {
  orderId: string;
  sessionId: string;
  /** What Stripe would deliver to us, oldest first. */
  events: Record<string, unknown>[];
}

/** Keeps the stand-in from delivering anything by itself. */
export async function holdDeliveries(stack: TestStack): Promise<void> {
  await control(stack, "faults", { deliver: { drop: 1 } });
}

/** Buys one shirt and pays it. */
export async function payOrder(stack: TestStack, sku = "SHIRT-OXF-WHT-M", quantity = 1): Promise<PaidOrder> {
  const response = await fetch(`${stack.functions_url}/create-checkout-session`, {
    method: "POST",
    headers: { "apikey": stack.publishable_key, "content-type": "application/json" },
    body: JSON.stringify({ items: [{ sku, quantity }], customer_email: "ada@example.com" }),
  });
  const order = await response.json();
  assert.equal(response.status, 201, JSON.stringify(order));
  await control(stack, "pay", { session: order.session_id });
  const events = (await stripeEvents(stack)).filter((event) =>
    enabledEvents.includes(String(event["type"])) && JSON.stringify(event).includes(order.order_id)
  );
  return { orderId: order.order_id, sessionId: order.session_id, events };
}

/** All events of the stand-in, oldest first. */
export async function stripeEvents(stack: TestStack): Promise<Record<string, unknown>[]> {
  const response = await fetch(`${stack.stripe_url}/v1/events?limit=100`, {
    headers: { authorization: `Bearer ${stack.stripe_secret_key}` },
  });
  const list: { data: Record<string, unknown>[] } = await response.json();
  return list.data.reverse();
}

/** The one event of a type. */
export function eventOf(order: PaidOrder, type: string): Record<string, unknown> {
  const found = order.events.find((event) => event["type"] === type);
  assert(found !== undefined, `no ${type} among ${order.events.map((event) => event["type"])}`);
  return found;
}

async function control(stack: TestStack, call: string, body: object): Promise<void> {
  const response = await fetch(`${stack.stripe_url}/_control/${call}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  assert(response.ok, `${call}: ${response.status} ${text}`);
}
